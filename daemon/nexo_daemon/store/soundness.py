"""Which rows of a table can be read? Asked in SQL, from the schema: one wrong word costs its own row only.

A column holds what its type says, within what the contract and Python can carry, and only words that this
version knows. Any other row is skipped, counted by `store check`, and kept: a newer version may know it.
"""

import enum
from functools import cache

import sqlalchemy as sa

from nexo.connections.terms import (
    AuthScheme,
    HealthState,
    Outcome,
    Provider,
    ResolutionSource,
)
from nexo_daemon.domain.model import EvidenceSource, ProxyMode, SecretKind, WorkspaceKind
from nexo_daemon.domain.passes import Wish
from nexo_daemon.store import schema
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
def sound(table: sa.Table) -> sa.ColumnElement[bool]:
    """True for the rows that can be read, false for the others; never NULL."""
    return sa.and_(*(_fits(table, column) for column in table.c))


def unsound_rows(db: sa.Connection, table: sa.Table) -> int:
    """How many rows cannot be read."""
    statement = sa.select(sa.func.count()).select_from(table).where(sa.not_(sound(table)))
    return int(db.execute(statement).scalar() or 0)


def _fits(table: sa.Table, column: sa.Column[object]) -> sa.ColumnElement[bool]:
    fits = _of_its_kind(table, column)
    return sa.or_(column.is_(None), fits) if column.nullable else fits


def _of_its_kind(table: sa.Table, column: sa.Column[object]) -> sa.ColumnElement[bool]:
    raw: sa.ColumnElement[object] = sa.type_coerce(column, sa.types.NullType())
    kind = sa.func.typeof(raw)
    match column.type:
        case schema.Moment():
            return sa.and_(kind == "integer", _between(raw, 0, _LATEST))
        case sa.Boolean():
            return sa.and_(kind == "integer", _between(raw, 0, 1))
        case sa.Integer():
            most = (1 << 62) if column.name in _LONG else (1 << 31) - 1
            return sa.and_(kind == "integer", _between(raw, 0, most))
        case sa.Float():
            return sa.and_(kind.in_(("real", "integer")), _between(raw, 0, _LONGEST_S))
        case sa.LargeBinary():
            return kind == "blob"
    text = kind == "text"
    words = WORDS.get((table.name, column.name))
    if words is not None:
        # An optional word may be the empty one.
        known = [str(word) for word in words] + ([""] if column.nullable else [])
        return sa.and_(text, sa.type_coerce(raw, sa.String()).in_(known))
    shape = _JSON.get((table.name, column.name))
    if shape is not None:
        return sa.and_(
            text, sa.case((sa.func.json_valid(raw) == 1, sa.func.json_type(raw)), else_="") == shape
        )
    return text


def _between(raw: sa.ColumnElement[object], least: float, most: float) -> sa.ColumnElement[bool]:
    return raw.between(sa.literal(least), sa.literal(most))
