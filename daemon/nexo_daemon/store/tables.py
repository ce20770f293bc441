"""The columns of each table by name, and how rows are read. Does not import SQLAlchemy.

At start, rows are read before the first answer, while modules that only write are imported later: `schema`
describes these tables to SQLAlchemy, `writing` changes them.

Times are whole microseconds since 1970 in UTC. `digest` columns reveal flipped bits, which SQLite's integrity
check does not detect; they do not protect against attackers (sealing does).
"""

import enum
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from nexo.connections.schemas import REVISIONS

APPLICATION_ID = 0x4E45584F
"""`PRAGMA application_id` of our files: "NEXO"."""

HEAD = REVISIONS[-1]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """The time that is `count` microseconds after the beginning of 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


def microseconds_in(span: timedelta) -> int:
    """The whole microseconds of a time span."""
    return span // _MICROSECOND


class Kind(enum.Enum):
    """Types of column values."""

    TEXT = enum.auto()
    INTEGER = enum.auto()
    REAL = enum.auto()
    BOOLEAN = enum.auto()
    BLOB = enum.auto()
    MOMENT = enum.auto()


class ColumnType(NamedTuple):
    """The type of a column, and whether it may be NULL."""

    kind: Kind
    optional: bool = False


class StoredColumn(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    optional: bool


class StoredTable(NamedTuple):
    """A table and its columns, in the order of a new store."""

    name: str
    columns: tuple[StoredColumn, ...]


TEXT, INTEGER, REAL, BOOLEAN, BLOB, MOMENT = map(ColumnType, Kind)


def maybe(type_: ColumnType) -> ColumnType:
    """The same type, but NULL is allowed."""
    return type_._replace(optional=True)


def _table(name: str, /, **columns: ColumnType) -> StoredTable:
    return StoredTable(name, tuple(StoredColumn(of, *type_) for of, type_ in columns.items()))


settings = _table(
    "settings",
    id=INTEGER,
    revision=INTEGER,
    default_id=maybe(TEXT),
    previous_default_id=maybe(TEXT),
    important_interval_s=REAL,
    other_interval_s=REAL,
    checks_paused=BOOLEAN,
    # Over all bindings together, so that losing one with its page is noticed.
    bindings_digest=BLOB,
    digest=BLOB,
)

connections = _table(
    "connections",
    id=TEXT,
    name=TEXT,
    name_folded=TEXT,
    provider=TEXT,
    preset=TEXT,
    base_url=TEXT,
    auth_scheme=TEXT,
    default_model=TEXT,
    enabled=BOOLEAN,
    proxy=TEXT,
    proxy_url=TEXT,
    no_proxy=TEXT,
    ca_bundle=TEXT,
    key_reference=TEXT,
    key_verdict=TEXT,
    key_added_at=maybe(MOMENT),
    key_proven_at=maybe(MOMENT),
    key_expires_at=maybe(MOMENT),
    previous_key_until=maybe(MOMENT),
    check_interval_s=maybe(REAL),
    checks_paused=BOOLEAN,
    revision=INTEGER,
    created_at=MOMENT,
    updated_at=MOMENT,
    digest=BLOB,
    # A JSON list of pairs of names.
    model_map=TEXT,
)

data_keys = _table(
    "data_keys",
    id=TEXT,
    created_at=MOMENT,
)

key_slots = _table(
    "key_slots",
    id=TEXT,
    # NULL while a slot is being created or removed.
    data_key_id=maybe(TEXT),
    kind=TEXT,
    state=TEXT,
    # JSON: parameters of the key derivation, and where the slot's secret is kept; nothing secret.
    parameters=TEXT,
    nonce=maybe(BLOB),
    wrapped=maybe(BLOB),
    created_at=MOMENT,
)

secrets = _table(
    "secrets",
    id=TEXT,
    connection_id=TEXT,
    kind=TEXT,
    name=TEXT,
    position=INTEGER,
    origin=TEXT,
    key_id=TEXT,
    nonce=BLOB,
    ciphertext=BLOB,
    form=INTEGER,
)

bindings = _table(
    "bindings",
    kind=TEXT,
    value=TEXT,
    connection_id=TEXT,
    connection_name=TEXT,
    allow_fallback=BOOLEAN,
    created_at=MOMENT,
    digest=BLOB,
    sticky_s=maybe(REAL),
)

fallback = _table(
    "fallback",
    position=INTEGER,
    connection_id=TEXT,
)

health = _table(
    "health",
    connection_id=TEXT,
    state=TEXT,
    reason=TEXT,
    since=maybe(MOMENT),
    checked_at=maybe(MOMENT),
    latency_s=maybe(REAL),
    retry_at=maybe(MOMENT),
    consecutive_failures=INTEGER,
    next_check_at=maybe(MOMENT),
    advice=TEXT,
    last_known=maybe(TEXT),
)

samples = _table(
    "samples",
    id=INTEGER,
    connection_id=TEXT,
    at=MOMENT,
    outcome=TEXT,
    reason=TEXT,
    latency_min_s=maybe(REAL),
    latency_median_s=maybe(REAL),
    latency_max_s=maybe(REAL),
    checks=INTEGER,
    failures=INTEGER,
    span_s=REAL,
    from_traffic=INTEGER,
)

transitions = _table(
    "transitions",
    id=INTEGER,
    connection_id=TEXT,
    at=MOMENT,
    from_state=TEXT,
    to_state=TEXT,
    reason=TEXT,
    evidence=TEXT,
    lasted_s=maybe(REAL),
    advice=TEXT,
    important=BOOLEAN,
    source=TEXT,
)

handouts = _table(
    "handouts",
    id=INTEGER,
    at=MOMENT,
    connection_id=TEXT,
    connection_name=TEXT,
    method=TEXT,
    client_name=TEXT,
    client_version=TEXT,
    client_pid=INTEGER,
    client_program=TEXT,
    workspace=TEXT,
    source=maybe(TEXT),
    times=INTEGER,
    last_at=maybe(MOMENT),
)

# The auto-lock setting; no row until it is set.
auto_lock = _table(
    "auto_lock",
    id=INTEGER,
    idle_s=maybe(REAL),
    on_suspend=BOOLEAN,
    on_screen_lock=BOOLEAN,
)

# Whether the local gateway is switched on, and its port; no row before its first use.
gateway = _table(
    "gateway",
    id=INTEGER,
    wish=TEXT,
    port=INTEGER,
)

gateway_tokens = _table(
    "gateway_tokens",
    id=TEXT,
    name=TEXT,
    token_digest=BLOB,
    # Both NULL: the default connection.
    workspace_kind=maybe(TEXT),
    workspace=maybe(TEXT),
    connection_id=TEXT,
    connection_name=TEXT,
    created_at=MOMENT,
    expires_at=maybe(MOMENT),
    last_used_at=maybe(MOMENT),
    digest=BLOB,
)

# Lets a restarted daemon recognise runs that are still going on. A row is removed with its process.
gateway_runs = _table(
    "gateway_runs",
    id=TEXT,
    token_digest=BLOB,
    workspace_kind=maybe(TEXT),
    workspace=maybe(TEXT),
    connection=TEXT,
    environment_connection=TEXT,
    client_name=TEXT,
    client_version=TEXT,
    client_pid=INTEGER,
    client_program=TEXT,
    # Start time of the process as counted by the kernel, because process ids are reused.
    born=TEXT,
    created_at=MOMENT,
    digest=BLOB,
)

usage = _table(
    "usage",
    id=INTEGER,
    at=MOMENT,
    # The length of an hour or a day.
    span_s=REAL,
    connection_id=TEXT,
    connection_name=TEXT,
    workspace=TEXT,
    program=TEXT,
    model=TEXT,
    requests=INTEGER,
    failed=INTEGER,
    broken=INTEGER,
    left=INTEGER,
    input_tokens=INTEGER,
    output_tokens=INTEGER,
    cached_tokens=INTEGER,
    unreported=INTEGER,
)


_MEANT: Mapping[Kind, Callable[[Any], Any]] = {Kind.MOMENT: moment, Kind.BOOLEAN: bool}


def select(
    db: sqlite3.Connection, table: StoredTable, where: str = "1", values: Sequence[object] = ()
) -> Iterator[dict[str, Any]]:
    """Yield rows as dictionaries by column name.

    Args:
        where: a condition in SQL, optionally with ORDER BY and LIMIT.
        values: for the placeholders.
    """
    names, statement, meant = _selection(table)
    for found in db.execute(f"{statement} WHERE {where}", values):
        row = dict(zip(names, found, strict=True))
        for name, convert in meant:
            if row[name] is not None:
                row[name] = convert(row[name])
        yield row


@cache
def _selection(table: StoredTable) -> tuple[tuple[str, ...], str, list[tuple[str, Callable[[Any], Any]]]]:
    # Built here, because compiling the statements for eight tables takes longer than running them.
    names = tuple(column.name for column in table.columns)
    columns = ", ".join(f'"{name}"' for name in names)
    meant = [(column.name, _MEANT[column.kind]) for column in table.columns if column.kind in _MEANT]
    return names, f'SELECT {columns} FROM "{table.name}"', meant  # noqa: S608 - built from constants
