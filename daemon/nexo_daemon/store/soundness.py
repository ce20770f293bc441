"""Tells in SQL which rows can be read, based on `tables`: an invalid value affects only its own row.

A value must have the type of its column, be within the limits of the contract and of Python, and, for enums,
be known to this version. Other rows are skipped and kept, because a newer version may know them; `store
check` counts them.
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
from nexo_daemon.domain.gateway import GatewayMode
from nexo_daemon.domain.model import EvidenceSource, ProxyMode, SecretKind, WorkspaceKind
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
    ("gateway", "wish"): GatewayMode,
    ("gateway_tokens", "workspace_kind"): WorkspaceKind,
    ("gateway_runs", "workspace_kind"): WorkspaceKind,
}
"""The columns that hold enums."""

_JSON = {("connections", "no_proxy"): "array", ("key_slots", "parameters"): "object"}
_LONG = {"id", "revision"}
_LATEST = 253_370_764_800_000_000
"""Microseconds up to the year 9999, so that no time zone exceeds Python's range."""
_LONGEST_S = 1e10


@cache
def sound(table: StoredTable) -> str:
    """A condition in SQL: true for the rows that can be read, false for the others; never NULL.

    It is text, because a start reads eight tables, and SQLAlchemy took longer to build these conditions than
    SQLite to evaluate them (2026-11-27). It contains only values from the code.
    """
    return f"({' AND '.join(_fits(table, column) for column in table.columns)})"


def sound_rows(
    db: sqlite3.Connection, table: StoredTable, where: str = "1", values: Sequence[object] = ()
) -> Iterator[dict[str, Any]]:
    """The rows that can be read, as returned by `tables.select`."""
    return select(db, table, f"{sound(table)} AND {where}", values)


def unsound_rows(db: sqlite3.Connection, table: StoredTable) -> int:
    """The number of rows that cannot be read."""
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
        # An optional enum may be empty.
        known = [str(word) for word in words] + ([""] if column.optional else [])
        return f"(typeof({raw}) = 'text' AND {raw} IN ({', '.join(map(_quoted, known))}))"
    shape = _JSON.get((table.name, column.name))
    if shape is not None:
        kind = f"CASE WHEN json_valid({raw}) = 1 THEN json_type({raw}) ELSE '' END"
        return f"(typeof({raw}) = 'text' AND {kind} = {_quoted(shape)})"
    return f"typeof({raw}) = 'text'"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
