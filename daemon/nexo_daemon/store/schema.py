"""What the tables are. The migrations lead here; `tests/unit/store` proves that they arrive.

Moments are whole microseconds since 1970 in UTC. `digest` columns make flipped bits visible, which SQLite's
own integrity check does not look for; they are no protection against a person (the sealing is).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

APPLICATION_ID = 0x4E45584F
"""`PRAGMA application_id` of our files: "NEXO"."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every schema revision ever released, oldest first; here so that a normal start does not import Alembic."""

HEAD = REVISIONS[-1]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """So many microseconds after the beginning of 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=count)


def microseconds_in(span: timedelta) -> int:
    """Whole microseconds of a span."""
    return span // _MICROSECOND


class Moment(TypeDecorator[datetime]):
    """An aware datetime as whole microseconds since 1970."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else moment(value)


# Named constraints, so that a later migration can refer to them.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("revision", Integer, nullable=False),
    # Deferred: the default and the connection it points to change in one transaction in any order.
    Column("default_id", String, ForeignKey("connections.id", deferrable=True, initially="DEFERRED")),
    Column(
        "previous_default_id", String, ForeignKey("connections.id", deferrable=True, initially="DEFERRED")
    ),
    Column("important_interval_s", Float, nullable=False),
    Column("other_interval_s", Float, nullable=False),
    Column("checks_paused", Boolean, nullable=False),
    # Of all bindings together: one that is lost with its page must not go unnoticed.
    Column("bindings_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

connections = Table(
    "connections",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("name_folded", String, nullable=False, unique=True),
    Column("provider", String, nullable=False),
    Column("preset", String, nullable=False),
    Column("base_url", String, nullable=False),
    Column("auth_scheme", String, nullable=False),
    Column("default_model", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("proxy", String, nullable=False),
    Column("proxy_url", String, nullable=False),
    Column("no_proxy", String, nullable=False),
    Column("ca_bundle", String, nullable=False),
    Column("key_reference", String, nullable=False),
    Column("key_verdict", String, nullable=False),
    Column("key_added_at", Moment),
    Column("key_proven_at", Moment),
    Column("key_expires_at", Moment),
    Column("previous_key_until", Moment),
    Column("check_interval_s", Float),
    Column("checks_paused", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    # Pairs of names as JSON.
    Column("model_map", String, nullable=False, server_default="[]"),
)

data_keys = Table(
    "data_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", Moment, nullable=False),
)

key_slots = Table(
    "key_slots",
    metadata,
    Column("id", String, primary_key=True),
    # Null while a slot is being made or cleared away.
    Column("data_key_id", String, ForeignKey("data_keys.id", deferrable=True, initially="DEFERRED")),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    # Parameters of the derivation as JSON, and where the slot's secret lies; nothing secret.
    Column("parameters", String, nullable=False),
    Column("nonce", LargeBinary),
    Column("wrapped", LargeBinary),
    Column("created_at", Moment, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("id", String, primary_key=True),
    Column("connection_id", String, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("origin", String, nullable=False),
    Column(
        "key_id", String, ForeignKey("data_keys.id", deferrable=True, initially="DEFERRED"), nullable=False
    ),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("form", Integer, nullable=False, server_default="1"),
    UniqueConstraint("connection_id", "kind", "position", name="secrets_once_each"),
)

# No foreign key: a binding outlives its connection and fails closed.
bindings = Table(
    "bindings",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("connection_id", String, nullable=False),
    Column("connection_name", String, nullable=False),
    Column("allow_fallback", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sticky_s", Float),
)

fallback = Table(
    "fallback",
    metadata,
    Column("position", Integer, primary_key=True),
    Column(
        "connection_id", String, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
)

health = Table(
    "health",
    metadata,
    Column("connection_id", String, ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("since", Moment),
    Column("checked_at", Moment),
    Column("latency_s", Float),
    Column("retry_at", Moment),
    Column("consecutive_failures", Integer, nullable=False),
    Column("next_check_at", Moment),
    Column("advice", String, nullable=False),
    Column("last_known", String),
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connection_id", String, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("latency_min_s", Float),
    Column("latency_median_s", Float),
    Column("latency_max_s", Float),
    Column("checks", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("span_s", Float, nullable=False),
    Column("from_traffic", Integer, nullable=False, server_default="0"),
    Index("samples_by_connection", "connection_id", "at"),
    Index("samples_by_time", "at"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connection_id", String, ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("from_state", String, nullable=False),
    Column("to_state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("lasted_s", Float),
    Column("advice", String, nullable=False),
    Column("important", Boolean, nullable=False),
    Column("source", String, nullable=False, server_default=""),
    Index("transitions_by_connection", "connection_id", "at"),
)

# No foreign key: the record of what left outlives the connection.
handouts = Table(
    "handouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("connection_id", String, nullable=False),
    Column("connection_name", String, nullable=False),
    Column("method", String, nullable=False),
    Column("client_name", String, nullable=False),
    Column("client_version", String, nullable=False),
    Column("client_pid", Integer, nullable=False),
    Column("client_program", String, nullable=False),
    Column("workspace", String, nullable=False),
    Column("source", String),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("last_at", Moment),
    Index("handouts_by_connection", "connection_id", "id"),
)

# When the vault locks by itself: no row before somebody says so.
auto_lock = Table(
    "auto_lock",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("idle_s", Float),
    Column("on_suspend", Boolean, nullable=False),
    Column("on_screen_lock", Boolean, nullable=False),
)

# Whether the local gateway is to listen, and on which port: no row before its first use.
gateway = Table(
    "gateway",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True),
    Column("wish", String, nullable=False),
    Column("port", Integer, nullable=False),
)

# No foreign key: a token outlives its connection and fails closed.
gateway_tokens = Table(
    "gateway_tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("token_digest", LargeBinary, nullable=False, unique=True),
    # Both null: the default.
    Column("workspace_kind", String),
    Column("workspace", String),
    Column("connection_id", String, nullable=False),
    Column("connection_name", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("digest", LargeBinary, nullable=False),
)

# So that a daemon that is started anew knows the runs that go on. A row goes with its process.
gateway_runs = Table(
    "gateway_runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("token_digest", LargeBinary, nullable=False, unique=True),
    Column("workspace_kind", String),
    Column("workspace", String),
    Column("connection", String, nullable=False),
    Column("environment_connection", String, nullable=False),
    Column("client_name", String, nullable=False),
    Column("client_version", String, nullable=False),
    Column("client_pid", Integer, nullable=False),
    Column("client_program", String, nullable=False),
    # When the process began, as the kernel counts it: a process id is given again.
    Column("born", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

# No foreign key: what was used outlives the connection.
usage = Table(
    "usage",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    # An hour or a day.
    Column("span_s", Float, nullable=False),
    Column("connection_id", String, nullable=False),
    Column("connection_name", String, nullable=False),
    Column("workspace", String, nullable=False),
    Column("program", String, nullable=False),
    Column("model", String, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("broken", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("unreported", Integer, nullable=False),
    Index("usage_by_time", "at"),
)

version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
"""Alembic's own table, declared so that a start can read the revision without importing Alembic."""
