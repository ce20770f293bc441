"""In the terminal: how an address was read, and one that was found but not proven."""

import socket
from collections.abc import Iterator

import pytest

from answering_server import AnsweringServer, Request, answer
from surroundings import Nexod, Surroundings

KEY = "a-good-key-0123456789"


def script(request: Request, _connection: socket.socket) -> bytes:
    if request.path != "/v1/models":
        return answer(404, b'{"detail":"Not Found"}')
    if request.key != KEY:
        return answer(401, b'{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}')
    return answer(200, b'{"object":"list","data":[{"id":"m","object":"model"}]}')


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with AnsweringServer(script) as made:
        yield made


def draft(surroundings: Surroundings, address: str, key: str, expect: int) -> str:
    done = surroundings.nexoctl(
        *("test", "--draft", "--provider", "custom", "--base-url", address, "--api-key-stdin"),
        stdin=key,
        expect=expect,
    )
    return done.out + done.err


@pytest.mark.parametrize("form", ['"{}"', "<{}>", "OPENAI_BASE_URL={}", "curl {}", "{}."])
def test_a_repaired_address_works_and_is_said(
    nexod: Nexod, surroundings: Surroundings, server: AnsweringServer, form: str
) -> None:
    told = draft(surroundings, form.format(f"{server.origin}/v1"), KEY, 0)
    assert f"read as {server.origin}/v1" in told


def test_a_right_address_is_not_talked_about(
    nexod: Nexod, surroundings: Surroundings, server: AnsweringServer
) -> None:
    assert "read as" not in draft(surroundings, f"{server.origin}/v1/", KEY, 0)


def test_an_address_that_was_found_with_a_wrong_key_is_shown_as_not_proven(
    nexod: Nexod, surroundings: Surroundings, server: AnsweringServer
) -> None:
    told = draft(surroundings, server.origin, "a-bad-key-9876543210", 6)
    assert f"{server.origin}/v1" in told
    assert "works" not in told
