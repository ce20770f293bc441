"""Reads everything that the daemon keeps in memory, once at start, from a store that may be damaged.

Untrusted rows are skipped and reported. If bindings may be missing, the default and the fall-back list are
dropped too: a workspace whose binding was lost must not silently get another account.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import reduce
from typing import Any, TypeVar

from nexo.connections.values import frozen
from nexo_daemon.domain.model import Binding, SealedSecret, Settings, StoredState
from nexo_daemon.store import rows, tables
from nexo_daemon.store.soundness import sound_rows
from nexo_daemon.store.tables import StoredTable
from nexo_daemon.vault.slots import WrappedKey

T = TypeVar("T")


@frozen
class StoreContents:
    """The data, and descriptions of what could not be read."""

    state: StoredState
    slots: tuple[WrappedKey, ...]
    data_keys: Mapping[str, datetime]
    problems: tuple[str, ...]


def read(db: sqlite3.Connection) -> StoreContents:
    """Read all tables that are kept in memory."""
    problems: list[str] = []
    reader = _Reader(db, problems)
    slots = reader.all(tables.key_slots, rows.slot_from_row)
    data_keys = dict(reader.all(tables.data_keys, lambda row: (str(row["id"]), row["created_at"])))
    sealed: dict[str, list[SealedSecret]] = {}
    for connection_id, one in reader.all(
        tables.secrets, lambda row: (row["connection_id"], rows.secret_from_row(row))
    ):
        sealed.setdefault(connection_id, []).append(one)
    connections = reader.all(
        tables.connections,
        lambda row: rows.connection_from_row(
            row, tuple(sorted(sealed.get(row["id"], ()), key=lambda one: (one.kind, one.position)))
        ),
    )
    known = {connection.id for connection in connections}
    health = dict(
        reader.all(tables.health, lambda row: (str(row["connection_id"]), rows.health_from_row(row)))
    )
    bindings, settings = _bindings_and_settings(reader, problems)
    if settings.default_id is not None and settings.default_id not in known:
        settings = Settings(revision=settings.revision, health=settings.health)
        problems.append("the default connection is unreadable")
    kept = {owner: one for owner, one in health.items() if owner in known}
    state = StoredState(settings, tuple(connections), tuple(bindings), kept)
    return StoreContents(state, tuple(slots), data_keys, tuple(problems))


def _bindings_and_settings(reader: "_Reader", problems: list[str]) -> tuple[list[Binding], Settings]:
    """Without its bindings, only the revision of the settings is left."""
    before = len(problems)
    bindings = reader.all(tables.bindings, rows.binding_from_row)
    together = reduce(rows.combined, (rows.binding_to_row(b)["digest"] for b in bindings), rows.NO_BINDINGS)
    entries = sorted(
        reader.all(tables.fallback, lambda row: (int(row["position"]), str(row["connection_id"])))
    )
    fallback_ids = tuple(connection_id for _, connection_id in entries)
    found = reader.all(
        tables.settings,
        lambda row: (rows.settings_from_row(row, fallback_ids), row["bindings_digest"]),
    )
    if len(found) != 1 and len(problems) == before:
        problems.append("the settings are missing")
    if found and found[0][1] != together and len(problems) == before:
        problems.append("bindings of workspaces are missing")
    if len(problems) == before:
        return bindings, found[0][0]
    return bindings, Settings(revision=found[0][0].revision if found else 0)


class _Reader:
    def __init__(self, db: sqlite3.Connection, problems: list[str]) -> None:
        self._db = db
        self._problems = problems

    def all(self, table: StoredTable, convert: Callable[[rows.Row], T]) -> list[T]:
        """The rows that can be read; the others are reported as a problem."""
        out: list[T] = []
        damaged = 0
        try:
            count = self._db.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]  # noqa: S608 - ours
            for row in sound_rows(self._db, table):
                with suppress(rows.DamagedRowError, ValueError, TypeError, KeyError):
                    out.append(convert(row))
            damaged = count - len(out)
        except (sqlite3.Error, ValueError, TypeError, OverflowError):
            self._problems.append(f"the table '{table.name}' is unreadable in part")
        # Unreadable health is treated as "never checked", which does no harm.
        if damaged and table is not tables.health:
            self._problems.append(f"{damaged} of the {table.name} {'is' if damaged == 1 else 'are'} damaged")
        return out


def check(connection: sqlite3.Connection) -> Sequence[str]:
    """The problems that SQLite finds: structure, indexes, constraints, foreign keys. Empty when sound.

    Raises:
        sqlite3.OperationalError: another program holds the file locked.
    """
    try:
        findings: list[Any] = connection.execute("PRAGMA integrity_check(20)").fetchall()
        problems = [str(row[0]) for row in findings if row[0] != "ok"]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchmany(20)
        problems += [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in orphans]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if is_busy(error):
            raise
        return [str(error)]
    return problems


def is_busy(error: Exception) -> bool:
    """Whether the error only means that another program is using the file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
