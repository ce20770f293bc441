"""Which rows of a table can be read? Asked in SQL, from `tables`: one wrong word costs its own row only.

A column holds what its type says, within what the contract and Python can carry, and only words that this
version knows. Any other row is skipped, counted by `store check`, and kept: a newer version may know it.
"""

import enum
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from nexo.connections.terms import (
    AuthScheme,
    HealthState,
    Outcome,
    Provider,
    ResolutionSource,
)
from nexo_daemon.domain.model import EvidenceSource, ProxyMode, SecretKind, WorkspaceKind
from nexo_daemon.domain.passes import Wish
from nexo_daemon.store.tables import Kind, StoredColumn, StoredTable, select
from nexo_daemon.vault.slots import SlotKind, SlotState

WORDS: dict[tuple[str, str], type[enum.Enum]] = {
    ("connections", "provider"): Provider,
    ("connections", "auth_scheme"): AuthScheme,
    ("connections", "proxy"): ProxyMode,
    ("key_slots", "kind"): SlotKind,
    ("key_slots", "state"): SlotState,
    ("secrets", "kind"): SecretKind,
    ("bindings", "kind"): WorkspaceKind,
    ("health", "state"): HealthState,
    ("health", "last_known"): HealthState,
    ("samples", "outcome"): Outcome,
    ("transitions", "from_state"): HealthState,
    ("transitions", "to_state"): HealthState,
    ("transitions", "source"): EvidenceSource,
    ("handouts", "source"): ResolutionSource,
    ("gateway", "wish"): Wish,
    ("gateway_tokens", "workspace_kind"): WorkspaceKind,
    ("gateway_runs", "workspace_kind"): WorkspaceKind,
}
"""The columns that hold one of a few words."""

_JSON = {("connections", "no_proxy"): "array", ("key_slots", "parameters"): "object"}
_LONG = {"id", "revision"}
_LATEST = 253_370_764_800_000_000
"""Microseconds: the year 9999, which no time zone takes beyond what Python can say."""
_LONGEST_S = 1e10


@cache
def sound(table: StoredTable) -> str:
    """A condition in SQL: true for the rows that can be read, false for the others; never NULL.

    Text, because a start asks eight tables, and SQLAlchemy took longer to write these conditions down than
    SQLite to answer them (2026-11-27). Nothing in it comes from outside of the code.
    """
    return f"({' AND '.join(_fits(table, column) for column in table.columns)})"


def sound_rows(
    db: sqlite3.Connection, table: StoredTable, where: str = "1", values: Sequence[object] = ()
) -> Iterator[dict[str, Any]]:
    """Those that can be read, as `tables.select` gives them."""
    return select(db, table, f"{sound(table)} AND {where}", values)


def unsound_rows(db: sqlite3.Connection, table: StoredTable) -> int:
    """How many rows cannot be read."""
    found = db.execute(f'SELECT count(*) FROM "{table.name}" WHERE NOT {sound(table)}')  # noqa: S608 - ours
    return int(found.fetchone()[0])


def _fits(table: StoredTable, column: StoredColumn) -> str:
    raw = f'"{table.name}"."{column.name}"'
    fits = _of_its_kind(table, column, raw)
    return f"({raw} IS NULL OR {fits})" if column.optional else fits


def _of_its_kind(table: StoredTable, column: StoredColumn, raw: str) -> str:
    match column.kind:
        case Kind.MOMENT:
            return f"(typeof({raw}) = 'integer' AND {raw} BETWEEN 0 AND {_LATEST})"
        case Kind.BOOLEAN:
            return f"(typeof({raw}) = 'integer' AND {raw} BETWEEN 0 AND 1)"
        case Kind.INTEGER:
            most = (1 << 62) if column.name in _LONG else (1 << 31) - 1
            return f"(typeof({raw}) = 'integer' AND {raw} BETWEEN 0 AND {most})"
        case Kind.REAL:
            return f"(typeof({raw}) IN ('real', 'integer') AND {raw} BETWEEN 0 AND {_LONGEST_S})"
        case Kind.BLOB:
            return f"typeof({raw}) = 'blob'"
    words = WORDS.get((table.name, column.name))
    if words is not None:
        # An optional word may be the empty one.
        known = [str(word) for word in words] + ([""] if column.optional else [])
        return f"(typeof({raw}) = 'text' AND {raw} IN ({', '.join(map(_quoted, known))}))"
    shape = _JSON.get((table.name, column.name))
    if shape is not None:
        kind = f"CASE WHEN json_valid({raw}) = 1 THEN json_type({raw}) ELSE '' END"
        return f"(typeof({raw}) = 'text' AND {kind} = {_quoted(shape)})"
    return f"typeof({raw}) = 'text'"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
