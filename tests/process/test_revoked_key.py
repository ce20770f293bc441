"""No green light for a key that a test has proven wrong, and no red one for want of a model list."""

import json
import socket
from collections.abc import Iterator

import pytest

from answering_server import AnsweringServer, Request, answer
from surroundings import Nexod, Surroundings

KEY = "a-good-key-0123456789"
MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'
COMPLETION = b'{"object":"chat.completion","choices":[{"message":{"content":"hi"}}]}'


class Service:
    """Calls are guarded; the list is public, or missing.

    Attributes:
        runs: the request that cannot run is answered with a completion.
    """

    def __init__(self) -> None:
        self.listing = True
        self.revoked = False
        self.runs = False
        self.ran = 0

    def script(self, request: Request, _connection: socket.socket) -> bytes:
        if (request.method, request.path) == ("GET", "/v1/models") and self.listing:
            return answer(200, MODELS)
        if (request.method, request.path) == ("POST", "/v1/chat/completions"):
            if self.revoked or request.key != KEY:
                return answer(401, b'{"error":{"message":"Invalid API key","code":"invalid_api_key"}}')
            if self.runs:
                self.ran += 1
                return answer(200, COMPLETION)
            return answer(400, b'{"error":{"message":"messages: expected an array"}}')
        return answer(404, b'{"error":"Not Found","success":false}')


@pytest.fixture
def service() -> Iterator[tuple[Service, AnsweringServer]]:
    made = Service()
    with AnsweringServer(made.script) as server:
        yield made, server


def add(surroundings: Surroundings, server: AnsweringServer, expect: int = 0) -> None:
    surroundings.nexoctl(
        *("add", "work", "--provider", "custom", "--base-url", f"{server.origin}/v1", "--api-key-stdin"),
        stdin=KEY,
        expect=expect,
    )


def state(surroundings: Surroundings, *options: str) -> str:
    found = surroundings.nexoctl("--json", "health", "work", *options, expect=None).json
    record = found[0] if isinstance(found, list) else found
    return str(record["state"])


@pytest.mark.parametrize("listing", [True, False])
def test_a_test_moves_the_light_at_once_and_the_checks_keep_what_it_found(
    nexod: Nexod, surroundings: Surroundings, service: tuple[Service, AnsweringServer], listing: bool
) -> None:
    made, server = service
    made.listing = listing
    add(surroundings, server)
    surroundings.nexoctl("wait", "work", "--healthy", "--timeout", "30s")
    made.revoked = True
    surroundings.nexoctl("test", "work", expect=6)
    assert state(surroundings) == "unhealthy"
    assert state(surroundings, "--check") == "unhealthy", "a check asks what the test asked"
    made.revoked = False
    surroundings.nexoctl("test", "work")
    assert state(surroundings) == "healthy"


def test_what_was_learned_outlives_the_daemon(
    nexod: Nexod, surroundings: Surroundings, service: tuple[Service, AnsweringServer]
) -> None:
    made, server = service
    add(surroundings, server)
    surroundings.nexoctl("wait", "work", "--healthy", "--timeout", "30s")
    nexod.stop()
    made.revoked = True
    before = len(server.requests)
    surroundings.start_nexod()
    surroundings.nexoctl("health", "work", "--check", expect=None)
    asked = server.requests[before:]
    assert asked
    assert {request.path for request in asked} == {"/v1/chat/completions"}
    # In the form that told the good key from the bad one.
    assert all(json.loads(request.body) in (None, {"messages": 0}) for request in asked)


def test_a_connection_without_a_list_is_saved_and_never_sent_what_ran(
    nexod: Nexod, surroundings: Surroundings, service: tuple[Service, AnsweringServer]
) -> None:
    made, server = service
    made.listing, made.runs = False, True
    add(surroundings, server)
    surroundings.nexoctl("wait", "work", "--healthy", "--timeout", "30s")
    ran = made.ran
    assert ran <= 1
    for _ in range(2):
        assert state(surroundings, "--check") == "healthy"
    assert made.ran == ran
