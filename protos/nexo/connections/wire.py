"""Translations between Python values and the contract that both sides make the same way.

Not for whole objects: the client's are in `convert`, the daemon's in `nexo_daemon.rpc.convert`.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nexo.connections import terms
from nexo.connections.v1 import connection_pb2, daemon_pb2, gateway_pb2, workspace_pb2

E = TypeVar("E", bound=StrEnum)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_WIRE_ENUMS: dict[type[StrEnum], tuple[Any, str]] = {
    terms.Provider: (connection_pb2.Provider, "PROVIDER"),
    terms.ProviderKind: (connection_pb2.ProviderKind, "PROVIDER_KIND"),
    terms.AuthScheme: (connection_pb2.AuthScheme, "AUTH_SCHEME"),
    terms.KeySource: (connection_pb2.KeySource, "KEY_SOURCE"),
    terms.KeyVerdict: (connection_pb2.KeyVerdict, "KEY_VERDICT"),
    terms.Outcome: (connection_pb2.Outcome, "OUTCOME"),
    terms.HealthState: (connection_pb2.HealthState, "HEALTH_STATE"),
    terms.Layer: (connection_pb2.Layer, "LAYER"),
    terms.LayerStatus: (connection_pb2.LayerStatus, "LAYER_STATUS"),
    terms.ResolutionSource: (workspace_pb2.ResolutionSource, "RESOLUTION_SOURCE"),
    terms.VaultState: (daemon_pb2.VaultState, "VAULT_STATE"),
    terms.StoreState: (daemon_pb2.StoreState, "STORE_STATE"),
    terms.UsageBy: (gateway_pb2.UsageBy, "USAGE_BY"),
}


@cache
def _tables(kind: type[StrEnum]) -> tuple[dict[StrEnum, int], dict[int, StrEnum]]:
    wire, prefix = _WIRE_ENUMS[kind]
    to_wire = {member: int(wire.Value(f"{prefix}_{member.name}")) for member in kind}
    return to_wire, {number: member for member, number in to_wire.items()}


def enum_to_wire(member: StrEnum | None) -> Any:  # the stubs give each enum its own integer type
    """The number of `member` in the contract; None gives UNSPECIFIED."""
    return 0 if member is None else _tables(type(member))[0][member]


def enum_from_wire(kind: type[E], number: int) -> E | None:
    """The member of `kind` with that number; None for UNSPECIFIED and for what a newer peer added."""
    return _tables(kind)[1].get(number)  # type: ignore[return-value]  # the cache loses the type variable


def timestamp(moment: datetime | None) -> Timestamp | None:
    """An aware `datetime` as a Timestamp; None stays None."""
    if moment is None:
        return None
    # FromDatetime takes four times as long.
    since = moment - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def moment(message: Timestamp | None) -> datetime | None:
    """A Timestamp as an aware `datetime` in UTC; None and the unset (zero) one give None."""
    if message is None or (message.seconds == 0 and message.nanos == 0):
        return None
    # ToDatetime takes ten times as long, and a hand-out has several.
    return EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def duration(seconds: float | None) -> Duration | None:
    """Seconds as a Duration; None stays None."""
    if seconds is None:
        return None
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def seconds(message: Duration | None) -> float | None:
    """A Duration in seconds; None and zero give None (zero means unset in this contract)."""
    if message is None or (message.seconds == 0 and message.nanos == 0):
        return None
    return message.seconds + message.nanos / 1e9
