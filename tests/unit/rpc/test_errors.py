"""What a status carries stays within what clients accept, and is cut where a person can still read it."""

import base64
from urllib.parse import quote

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from nexo.connections.errors import BY_REASON, ConnectionInUse, NexoError
from nexo_client.failures import from_reason
from nexo_daemon.rpc.errors import code_of, shortened, trailer_of

# gRPC's default soft limit of the whole trailing metadata, which holds a few hundred bytes more.
LIMIT = 8192 - 300


@pytest.mark.parametrize("letter", ["a", "ü", "🙂"])
def test_the_longest_refusal_reaches_the_client(letter: str) -> None:
    users = "\n".join(f"/home/me/{letter * 200}/{number}" for number in range(500))
    error = ConnectionInUse(
        letter * 9000, hint=letter * 9000, metadata={"used_by": users, "name": letter * 9000, "field": "name"}
    )
    message, details = trailer_of(error)
    assert len(quote(message)) + len(base64.b64encode(details)) < LIMIT
    status, info = Status.FromString(details), ErrorInfo()
    assert status.message == message
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["field"]) == ("CONNECTION_IN_USE", "name")
    assert info.metadata["used_by"].startswith(f"/home/me/{letter}")


def test_an_ordinary_refusal_is_whole() -> None:
    error = ConnectionInUse("'work' is in use", hint="move its users", metadata={"used_by": "a\nb"})
    message, details = trailer_of(error)
    info = ErrorInfo()
    Status.FromString(details).details[0].Unpack(info)
    assert message == "'work' is in use"
    assert dict(info.metadata) == {"used_by": "a\nb", "hint": "move its users", "action": "replace_users"}


def test_a_list_is_cut_between_lines_and_letters_stay_whole() -> None:
    assert shortened("one\ntwo\nthree", 12) == "one\ntwo\n…"
    assert shortened("🙂🙂🙂", 9) == "🙂…"
    assert shortened("short", 5) == "short"


@pytest.mark.parametrize("kind", BY_REASON.values(), ids=lambda kind: str(kind.reason))
def test_what_the_daemon_raises_is_what_the_caller_catches(kind: type[NexoError]) -> None:
    error = kind("name: is taken", hint="choose another", metadata={"field": "name"})
    message, details = trailer_of(error)
    status, info = Status.FromString(details), ErrorInfo()
    status.details[0].Unpack(info)
    caught = from_reason(info.reason, message, info.metadata)
    assert (type(caught), vars(caught), caught.message) == (kind, vars(error), "name: is taken")
    assert status.code == code_of(error).value[0] != 0
