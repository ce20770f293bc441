"""The tables for SQLAlchemy: keys, constraints and indexes. `tables` has the columns.

A test (`tests/unit/store`) proves that the migrations result in this schema. Imported only after the daemon
has answered its first call.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

from nexo_daemon.store import tables
from nexo_daemon.store.tables import Kind


class Moment(TypeDecorator[datetime]):
    """An aware datetime as whole microseconds since 1970."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert a value for the database."""
        return None if value is None else tables.microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert a value from the database."""
        return None if value is None else tables.moment(value)


_TYPES = {
    Kind.TEXT: String,
    Kind.INTEGER: Integer,
    Kind.REAL: Float,
    Kind.BOOLEAN: Boolean,
    Kind.BLOB: LargeBinary,
    Kind.MOMENT: Moment,
}

# The constraints are named, so that later migrations can refer to them.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _kept(table: tables.StoredTable, *how: SchemaItem, **defaults: str) -> Table:
    columns: Iterator[Column[Any]] = (
        Column(
            column.name,
            _TYPES[column.kind],
            nullable=column.optional,
            server_default=defaults.get(column.name),
        )
        for column in table.columns
    )
    return Table(table.name, metadata, *columns, *how)


def _key(*columns: str) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint(*columns)


def _one_row() -> CheckConstraint:
    return CheckConstraint("id = 1", name="one_row")


def _points_to(target: str, column: str) -> ForeignKeyConstraint:
    """A deferred foreign key: both ends may change in one transaction in any order."""
    return ForeignKeyConstraint([column], [target], deferrable=True, initially="DEFERRED")


def _of_a_connection() -> ForeignKeyConstraint:
    """A foreign key to a connection: the row is deleted with it."""
    return ForeignKeyConstraint(["connection_id"], ["connections.id"], ondelete="CASCADE")


settings = _kept(
    tables.settings,
    _key("id"),
    _one_row(),
    _points_to("connections.id", "default_id"),
    _points_to("connections.id", "previous_default_id"),
)
connections = _kept(tables.connections, _key("id"), UniqueConstraint("name_folded"), model_map="[]")
data_keys = _kept(tables.data_keys, _key("id"))
key_slots = _kept(tables.key_slots, _key("id"), _points_to("data_keys.id", "data_key_id"))
secrets = _kept(
    tables.secrets,
    _key("id"),
    _of_a_connection(),
    _points_to("data_keys.id", "key_id"),
    UniqueConstraint("connection_id", "kind", "position", name="secrets_once_each"),
    form="1",
)
# No foreign key: a binding outlives its connection, and programs then get an error.
bindings = _kept(tables.bindings, _key("kind", "value"))
fallback = _kept(tables.fallback, _key("position"), _of_a_connection(), UniqueConstraint("connection_id"))
health = _kept(tables.health, _key("connection_id"), _of_a_connection())
samples = _kept(
    tables.samples,
    _key("id"),
    _of_a_connection(),
    Index("samples_by_connection", "connection_id", "at"),
    Index("samples_by_time", "at"),
    from_traffic="0",
)
transitions = _kept(
    tables.transitions,
    _key("id"),
    _of_a_connection(),
    Index("transitions_by_connection", "connection_id", "at"),
    source="",
)
# No foreign key: the audit record outlives the connection.
handouts = _kept(
    tables.handouts, _key("id"), Index("handouts_by_connection", "connection_id", "id"), times="1"
)
auto_lock = _kept(tables.auto_lock, _key("id"), _one_row())
gateway = _kept(tables.gateway, _key("id"), _one_row())
# No foreign key: a token outlives its connection and fails closed.
gateway_tokens = _kept(tables.gateway_tokens, _key("id"), UniqueConstraint("token_digest"))
gateway_runs = _kept(tables.gateway_runs, _key("id"), UniqueConstraint("token_digest"))
# No foreign key: usage records outlive the connection.
usage = _kept(tables.usage, _key("id"), Index("usage_by_time", "at"))

version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
"""Alembic's own table, declared here so that a store can be created without importing Alembic."""
