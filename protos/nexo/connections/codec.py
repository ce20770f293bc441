"""Converts values of the model to protobuf messages and back, field by field.

Fields are matched by name, with three exceptions: the message field of a duration `elapsed_s` is `elapsed`,
and `connection` may be `connection_name` or `model` `default_model` there. Classes whose message has another
structure have a function in `READERS` or `WRITERS`.

An enum value that a newer peer added is read as the most cautious member, never as an error. The functions
for single values, at the end, are also used where a message is built by hand.
"""

import types
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache, partial
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf import descriptor_pool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from nexo.connections import terms
from nexo.connections.model.connection import NetworkProfile
from nexo.connections.v1 import connection_pb2

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PACKAGE = connection_pb2.DESCRIPTOR.package

Convert = Callable[[Any], Any]
Rows = tuple[tuple[str, Convert], ...]

READERS: dict[type, Convert] = {}
"""By class: a function that converts a message to a value."""
WRITERS: dict[type, Convert] = {}
"""By class: a function that converts a value to a message."""

_CAUTIOUS: dict[type[StrEnum], StrEnum] = {
    terms.Provider: terms.Provider.CUSTOM,
    terms.ProviderKind: terms.ProviderKind.SERVICE,
    terms.AuthScheme: terms.AuthScheme.NONE,
    terms.KeySource: terms.KeySource.NONE,
    terms.KeyVerdict: terms.KeyVerdict.UNVERIFIED,
    terms.Outcome: terms.Outcome.NOT_COMPATIBLE,
    terms.HealthState: terms.HealthState.UNKNOWN,
    terms.Layer: terms.Layer.CONFIGURATION,
    terms.LayerStatus: terms.LayerStatus.NOT_REACHED,
    terms.ResolutionSource: terms.ResolutionSource.DEFAULT,
    terms.VaultState: terms.VaultState.LOCKED,
    terms.StoreState: terms.StoreState.READ_ONLY,
    terms.ImportAction: terms.ImportAction.SKIP,
}


def read(kind: Callable[..., T], message: Any, **given: Any) -> T:
    """Convert a message to a value; fields in `given` override those of the message."""
    for name, get in _reading(kind, message.__class__):
        if name not in given:
            given[name] = get(message)
    return kind(**given)


def read_all(kind: type[T], messages: Iterable[Any]) -> tuple[T, ...]:
    """Convert messages to values."""
    convert = READERS.get(kind) or partial(read, kind)
    return tuple(map(convert, messages))


def write(kind: Callable[..., T], value: Any, **given: Any) -> T:
    """Convert a value to a message; fields in `given` override those of the value. None is left out."""
    for name, get in _writing(kind, value.__class__):
        if name not in given:
            given[name] = get(value)
    return kind(**given)


@cache
def _reading(kind: type, message: type[Message]) -> Rows:
    """The fields that the class shares with the message, each with a function that reads it."""
    known = message.DESCRIPTOR.fields_by_name
    hints: dict[str, Any] = {field.name: field.type for field in fields(kind)}
    # Resolving hints that hold no names took a third of the time for the first answer of a process.
    if any(isinstance(hint, str) for hint in hints.values()):
        hints = get_type_hints(kind)
    rows = []
    for name in (field.name for field in fields(kind)):
        names = (name, name.removesuffix("_s"), f"{name}_name", f"default_{name}")
        wire = next(filter(known.__contains__, names), "")
        if wire:
            rows.append((name, _taken(wire, known[wire], hints[name])))
    return tuple(rows)


def _taken(wire: str, field: Any, hint: Any) -> Convert:
    take = attrgetter(wire)
    if get_origin(hint) is tuple:
        each = _read_as(field, get_args(hint)[0])
        return lambda message: tuple(take(message) if each is None else map(each, take(message)))
    optional = get_origin(hint) in (Union, types.UnionType)
    inner = get_args(hint)[0] if optional else hint
    convert = _read_as(field, inner, optional=optional)
    if convert is None and not optional:
        # Most fields of a hand-out are of this kind; a wrapper would add two calls for each.
        return take
    if convert is None:
        if field.has_presence:
            return lambda message: take(message) if message.HasField(wire) else None
        return lambda message: take(message) or None
    if not optional or field.enum_type or field.message_type in (Timestamp.DESCRIPTOR, Duration.DESCRIPTOR):
        return lambda message: convert(take(message))
    return lambda message: convert(take(message)) if message.HasField(wire) else None


def _read_as(field: Any, kind: Any, *, optional: bool = False) -> Convert | None:
    """The function that converts the content of the field; None if it needs no conversion."""
    if field.enum_type:
        otherwise = None if optional else _CAUTIOUS[kind]
        wire = field.enum_type
        return lambda number: enum_from_wire(kind, number, wire) or otherwise
    if field.message_type is None:
        return None
    if field.message_type == Timestamp.DESCRIPTOR:
        return moment if optional else lambda message: moment(message) or EPOCH
    if field.message_type == Duration.DESCRIPTOR:
        return seconds if optional else lambda message: seconds(message) or 0.0
    return READERS.get(kind) or partial(read, kind)


@cache
def _writing(message: type[Message], kind: type) -> Rows:
    """The fields that the message shares with the class, each with a function that reads it."""
    rows = []
    for field in message.DESCRIPTOR.fields:
        name = field.name
        names = (name, f"{name}_s", name.removesuffix("_name"), name.removeprefix("default_"))
        attribute = next(filter(partial(hasattr, kind), names), "")
        if attribute:
            rows.append((name, _given(attribute, field)))
    return tuple(rows)


def _given(attribute: str, field: Any) -> Convert:
    take, convert = attrgetter(attribute), _written_as(field)
    if convert is None:
        return take

    def get(value: Any) -> Any:
        found = take(value)
        if found is None:
            return None
        return [convert(one) for one in found] if isinstance(found, tuple | list) else convert(found)

    return get


def _written_as(field: Any) -> Convert | None:
    if field.enum_type:
        wire = field.enum_type
        return lambda member: enum_to_wire(member, wire)
    if field.message_type is None:
        return None
    if field.message_type == Timestamp.DESCRIPTOR:
        return timestamp
    if field.message_type == Duration.DESCRIPTOR:
        return duration
    inner = GetMessageClass(field.message_type)
    return lambda value: WRITERS.get(value.__class__, partial(write, inner))(value)


def network_to_wire(profile: NetworkProfile) -> connection_pb2.NetworkProfile:
    """Convert a network profile to its message."""
    message = connection_pb2.NetworkProfile(no_proxy=profile.no_proxy, ca_bundle=profile.ca_bundle)
    if profile.proxy in ("", "system"):
        message.system.SetInParent()
    elif profile.proxy == "direct":
        message.direct.SetInParent()
    else:
        message.proxy_url = profile.proxy
    return message


WRITERS[NetworkProfile] = network_to_wire


@lru_cache(maxsize=512, typed=True)
def enum_to_wire(member: StrEnum, wire: Any = None) -> Any:  # the stubs give each enum its own integer type
    """The number of `member` in the contract's enum `wire`; by default, the enum named like its class."""
    wire = wire or descriptor_pool.Default().FindEnumTypeByName(f"{_PACKAGE}.{type(member).__name__}")
    return wire.values_by_name[_prefix(wire) + member.name].number


@lru_cache(maxsize=512)
def enum_from_wire(kind: type[E], number: int, wire: Any = None) -> E | None:
    """The member of `kind` with that number; None for UNSPECIFIED and for values that a newer peer added."""
    wire = wire or descriptor_pool.Default().FindEnumTypeByName(f"{_PACKAGE}.{kind.__name__}")
    value = wire.values_by_number.get(number)
    return kind.__members__.get(value.name.removeprefix(_prefix(wire))) if value else None


def _prefix(wire: Any) -> str:
    """The common prefix of an enum's names in the contract, taken from the first: PREFIX_UNSPECIFIED."""
    return str(wire.values_by_number[0].name.removesuffix("UNSPECIFIED"))


def timestamp(moment: datetime | None) -> Timestamp | None:
    """An aware `datetime` as a Timestamp; None stays None."""
    if moment is None:
        return None
    # `FromDatetime` takes four times as long.
    since = moment - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def moment(message: Timestamp | None) -> datetime | None:
    """A Timestamp as an aware `datetime` in UTC; None and the unset (zero) one give None."""
    if message is None or (message.seconds == 0 and message.nanos == 0):
        return None
    # `ToDatetime` takes ten times as long, and a hand-out has several timestamps.
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
