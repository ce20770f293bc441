"""No string, number or list of the contract is without a bound, and none may exceed it, whoever sends it."""

import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from nexo.connections.errors import InvalidField
from nexo_daemon.rpc.bounds import BYTES, COUNT, RANGE, check_bounds, key
from nexo_daemon.rpc.drafts import client_info

FILES = ("connection", "daemon", "gateway", "health", "store", "vault", "workspace")
TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
OTHERS = (*TEXTS, FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_MESSAGE)
SPANS: tuple[Descriptor, ...] = (Duration.DESCRIPTOR, Timestamp.DESCRIPTOR)


def repeated(field: FieldDescriptor) -> bool:
    """The oldest protobuf that is promised has only `label`, of which the newest warns."""
    known = getattr(field, "is_repeated", None)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED if known is None else known)


def requests() -> list[Descriptor]:
    found: list[Descriptor] = []
    for name in FILES:
        module = import_module(f"nexo.connections.v1.{name}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            found += [method.input_type for method in service.methods]
    return found


def paths(message: Descriptor, seen: tuple[str, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Every field that a request can bring along, with the way to it."""
    for field in message.fields:
        yield (field,)
        inner = field.message_type
        if inner is not None and inner not in SPANS and inner.full_name not in seen:
            for rest in paths(inner, (*seen, inner.full_name)):
                yield (field, *rest)


FIELDS = [(request, path) for request in requests() for path in paths(request)]
STRINGS = [(request, path) for request, path in FIELDS if path[-1].type in TEXTS]
NUMBERS = [
    (request, path)
    for request, path in FIELDS
    if path[-1].type not in OTHERS or path[-1].message_type == Duration.DESCRIPTOR
]
TIMES = [(request, path) for request, path in FIELDS if path[-1].message_type in SPANS]


def test_every_string_has_a_bound_and_every_bound_a_string() -> None:
    assert {key(path[-1]) for _, path in STRINGS} == set(BYTES)


def test_every_repeated_field_has_a_bound_and_every_bound_such_a_field() -> None:
    assert {key(path[-1]) for _, path in FIELDS if repeated(path[-1])} == set(COUNT)


def test_every_number_has_a_range_and_every_range_a_number() -> None:
    assert {key(path[-1]) for _, path in NUMBERS} == set(RANGE)


def inside(message: Message, path: tuple[FieldDescriptor, ...]) -> Any:
    """The message that has the field at the end of the path."""
    at: Any = message
    for field in path[:-1]:
        inner = getattr(at, field.name)
        at = inner.add() if repeated(field) else inner
    return at


def filled(request: Descriptor, path: tuple[FieldDescriptor, ...], size: int) -> Any:
    message = GetMessageClass(request)()
    at, last = inside(message, path), path[-1]
    value: Any = b"x" * size if last.type == FieldDescriptor.TYPE_BYTES else "x" * size
    if repeated(last):
        getattr(at, last.name).append(value)
    else:
        setattr(at, last.name, value)
    return message


def named(paths: list[tuple[Descriptor, tuple[FieldDescriptor, ...]]]) -> Any:
    ids = [".".join([request.name, *(field.name for field in path)]) for request, path in paths]
    return pytest.mark.parametrize(("request_type", "path"), paths, ids=ids)


@named(STRINGS)
def test_a_string_may_have_as_many_bytes_as_its_bound_says_and_not_one_more(
    request_type: Descriptor, path: tuple[FieldDescriptor, ...]
) -> None:
    limit = BYTES[key(path[-1])]
    check_bounds(filled(request_type, path, limit))
    with pytest.raises(InvalidField, match=f"has {limit + 1} bytes"):
        check_bounds(filled(request_type, path, limit + 1))


LISTS = [(request, field) for request in requests() for field in request.fields if repeated(field)]


@pytest.mark.parametrize(
    ("request_type", "field"), LISTS, ids=[f"{request.name}.{field.name}" for request, field in LISTS]
)
def test_a_list_of_anything_may_have_as_many_entries_as_its_bound_says_and_not_one_more(
    request_type: Descriptor, field: FieldDescriptor
) -> None:
    message, limit = GetMessageClass(request_type)(), COUNT[key(field)]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return
    entries: Any = getattr(message, field.name)
    for size in range(1, limit + 2):
        if field.message_type is not None:
            entries.add()
        else:
            entries.append("x" if field.type in TEXTS else 1)
        if size in (1, limit):
            check_bounds(message)
    with pytest.raises(InvalidField, match=f"has {limit + 1} entries"):
        check_bounds(message)


@named(NUMBERS)
def test_a_number_may_be_at_the_ends_of_its_range_and_not_beyond(
    request_type: Descriptor, path: tuple[FieldDescriptor, ...]
) -> None:
    low, high, hint = RANGE[key(path[-1])]

    def with_number(number: float) -> Message:
        message = GetMessageClass(request_type)()
        at, name = inside(message, path), path[-1].name
        if path[-1].message_type is not None:
            getattr(at, name).FromSeconds(int(number))
        else:
            setattr(at, name, int(number))
        return message

    for end, beyond in ((low, low - 1), (high, high + 1)):
        if math.isinf(end):
            continue
        check_bounds(with_number(end))
        with pytest.raises(InvalidField) as refused:
            check_bounds(with_number(beyond))
        assert refused.value.field == path[-1].name
        assert refused.value.hint == hint != ""


# Seconds and nanoseconds that are no time, of either kind.
NO_TIMES = [(2**63 - 1, 0), (-(2**63), 0), (315_576_000_001, 0), (5, -10), (1, 10**9), (1, -(2**31))]


@named(TIMES)
def test_a_time_is_one(request_type: Descriptor, path: tuple[FieldDescriptor, ...]) -> None:
    for seconds, nanos in NO_TIMES:
        message = GetMessageClass(request_type)()
        time = getattr(inside(message, path), path[-1].name)
        time.seconds, time.nanos = seconds, nanos
        with pytest.raises(InvalidField) as refused:
            check_bounds(message)
        assert refused.value.field == path[-1].name
        assert refused.value.hint


@pytest.mark.parametrize("spelled", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def test_a_moment_may_be_the_first_or_the_last(spelled: str) -> None:
    from nexo.connections.codec import moment
    from nexo.connections.v1 import daemon_pb2 as d

    request = d.ListHandoutsRequest()
    request.since.FromJsonString(spelled)
    check_bounds(request)
    assert moment(request.since)


def test_what_a_caller_says_of_itself_can_be_stored() -> None:
    from nexo.connections.v1 import workspace_pb2 as w

    said = client_info(w.ClientInfo(name="a\x1b" * 200, pid=-(2**31)))
    assert (said.name, said.pid) == ("a" * 40, 0)


def test_a_bound_counts_bytes_and_the_error_quotes_nothing() -> None:
    from nexo.connections.v1 import connection_pb2 as c

    secret = "sk-canary-" + "é" * (16 * 1024)
    with pytest.raises(InvalidField) as refused:
        check_bounds(c.CreateConnectionRequest(draft=c.ConnectionDraft(api_key=secret)))
    assert "canary" not in str(refused.value)
    assert refused.value.metadata["field"] == "api_key"
