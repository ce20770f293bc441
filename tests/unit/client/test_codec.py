"""Values and messages become each other by the names of their fields, whatever a newer peer sends."""

import inspect
from dataclasses import fields
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from nexo.connections import codec, terms
from nexo.connections.codec import read, write
from nexo.connections.v1 import connection_pb2 as c
from nexo.connections.v1 import daemon_pb2 as d
from nexo.connections.v1 import gateway_pb2 as g
from nexo.connections.v1 import health_pb2 as h
from nexo.connections.v1 import store_pb2 as s
from nexo.connections.v1 import vault_pb2 as v
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import convert, types
from nexo_daemon.domain.model import Credentials
from nexo_daemon.domain.secret import Secret

BOTH_WAYS: list[tuple[type, type[Message]]] = [
    (types.AutoLock, v.AutoLock),
    (types.Backup, s.StoreBackup),
    (types.ClientInfo, w.ClientInfo),
    (types.ConnectionHealth, h.ConnectionHealth),
    (types.Gateway, g.Gateway),
    (types.Health, c.Health),
    (types.HealthSample, h.HealthSample),
    (types.HealthSlice, h.HealthSlice),
    (types.HealthTransition, h.HealthTransition),
    (types.ImportStep, s.ImportStep),
    (types.KeyInfo, c.KeyInfo),
    (types.LayerResult, c.LayerResult),
    (types.Model, c.Model),
    (types.ProviderInfo, c.ProviderInfo),
    (types.ResolutionStep, w.ResolutionStep),
    (types.Suggestion, c.Suggestion),
    (types.TestResult, c.TestResult),
    (types.Usage, g.Usage),
]
READ_ONLY: list[tuple[type, type[Message]]] = [
    (types.Connection, c.Connection),
    (types.DefaultSwitch, c.SetDefaultConnectionResponse),
    (types.Follower, w.Follower),
    (types.GatewayOverview, g.GetGatewayResponse),
    (types.GatewayToken, g.GatewayToken),
    (types.GatewayUser, g.GatewayUser),
    (types.Handout, d.Handout),
    (types.HealthHistory, h.ListHealthHistoryResponse),
    (types.HealthSettings, h.HealthSettings),
    (types.LastTest, c.GetLastTestResponse),
    (types.ModelList, c.ListModelsResponse),
    (types.ResolvedConnection, w.ResolvedConnection),
    (types.SavedConnection, c.CreateConnectionResponse),
    (types.SlicedHistory, h.SlicedHistory),
    (types.Snapshot, d.Snapshot),
    (types.Status, d.Status),
    (types.Vault, v.Vault),
    (types.WatchEvent, d.WatchResponse),
    (types.WorkspaceBinding, w.WorkspaceBinding),
]


def filled(draw: Any, message: Message, depth: int = 0) -> None:
    for field in message.DESCRIPTOR.fields:
        many = isinstance(getattr(message, field.name), (list, tuple)) or not isinstance(
            getattr(message, field.name), (str, bytes, bool, int, float, Message)
        )
        if depth > 2 or not draw(st.booleans()):
            continue
        if field.message_type is not None:
            child = getattr(message, field.name)
            child = child.add() if many else child
            child.SetInParent()
            name = field.message_type.name
            if name == "Timestamp":
                child.seconds, child.nanos = draw(st.integers(1, 4_000_000_000)), 125_000_000
            elif name == "Duration":
                child.seconds, child.nanos = draw(st.integers(1, 80_000)), 250_000_000
            else:
                filled(draw, child, depth + 1)
            continue
        value = {
            FieldDescriptor.CPPTYPE_STRING: draw(st.text(max_size=5)),
            FieldDescriptor.CPPTYPE_BOOL: draw(st.booleans()),
            FieldDescriptor.CPPTYPE_DOUBLE: draw(st.floats(0, 1)),
        }.get(field.cpp_type)
        if field.enum_type is not None:
            value = draw(st.sampled_from([one.number for one in field.enum_type.values]))
        elif value is None:
            value = draw(st.integers(0, 2_000_000_000))
        elif field.type == FieldDescriptor.TYPE_BYTES:
            value = draw(st.binary(max_size=5))
        if many:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


@pytest.mark.parametrize(("kind", "wire"), BOTH_WAYS, ids=lambda entry: entry.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_what_is_written_is_what_was_read(kind: type, wire: type[Message], data: st.DataObject) -> None:
    message = wire()
    filled(data.draw, message)
    value = read(kind, message)
    assert read(kind, write(wire, value)) == value


@pytest.mark.parametrize(("kind", "wire"), BOTH_WAYS + READ_ONLY, ids=lambda entry: entry.__name__)
def test_every_field_of_a_noun_comes_from_the_message(kind: type, wire: type[Message]) -> None:
    given_elsewhere = {"WatchEvent": {"ended"}}.get(kind.__name__, set())
    found = {name for name, _ in codec._reading(kind, wire)}
    assert {field.name for field in fields(kind)} - found == given_elsewhere


@pytest.mark.parametrize(
    "kind",
    [one for _, one in inspect.getmembers(terms, inspect.isclass) if issubclass(one, terms.StrEnum)],
    ids=lambda kind: str(kind.__name__),
)
def test_an_unknown_member_of_what_a_noun_must_have_is_read_as_the_most_cautious(kind: type) -> None:
    if kind in (terms.StrEnum, terms.Reason, terms.Action, terms.UsageBy):
        return  # never read from a noun
    assert isinstance(codec._CAUTIOUS[kind], kind)


def test_a_noun_survives_what_a_newer_daemon_added() -> None:
    message = c.Connection(name="work", provider=99, auth_scheme=99)  # type: ignore[arg-type]
    message.health.state = 99  # type: ignore[assignment]
    found = read(types.Connection, message)
    assert (found.provider, found.auth_scheme) == (terms.Provider.CUSTOM, terms.AuthScheme.NONE)
    assert found.health.state is terms.HealthState.UNKNOWN
    event = d.WatchResponse(sequence=3, revision=4)
    assert convert.watch_event(event) == types.WatchEvent(3, 4)


def test_a_secret_cannot_be_written_by_its_name() -> None:
    with pytest.raises(TypeError) as refused:
        write(w.ResolvedConnection, Credentials(api_key=Secret("sk-hidden")))
    assert "sk-hidden" not in str(refused.value)
