"""For every provider and preset, a background check is one request that uses no tokens and loads no model.

Against a real server that records what it is asked, whatever it answers: also after a refusal, an overload
or nonsense no second and no dearer request follows.
"""

import asyncio
import json
import socket
from dataclasses import replace

import pytest

from answering_server import AnsweringServer, Request, answer, reset
from nexo.connections.terms import Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import Fact
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.prober import Prober
from probing_help import BASE_PATHS, check, target

FREE = {
    "/v1/models",
    "/v1beta/models",
    "/models",
    "/key",
    "/v1/key",
    "/api/tags",
    "/api/version",
}
"""Paths that list or describe. Nothing of what generates (chat, messages, completions, generate, embed) is
here, nor what makes Ollama load a model (/api/show does not, and is not needed either)."""

WANTED = [(provider, "") for provider in Provider] + [(Provider.CUSTOM, preset) for preset in PRESETS]

ANSWERS = {
    "empty list": lambda: answer(200, b'{"object":"list","data":[],"models":[]}'),
    "refusal": lambda: answer(
        401, b'{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}'
    ),
    "throttling": lambda: answer(429, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'),
    "overload": lambda: answer(503, b"{}"),
    "a page": lambda: answer(200, b"<html>hello</html>", (("Content-Type", "text/html"),)),
    "a redirect": lambda: answer(302, b"", (("Location", "/v1/chat/completions"),)),
    "nothing": lambda: None,
}


@pytest.mark.parametrize(("provider", "preset"), WANTED, ids=lambda value: str(value) or "plain")
@pytest.mark.parametrize("case", ANSWERS)
def test_one_request_that_costs_nothing(provider: Provider, preset: str, case: str) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        response = ANSWERS[case]()
        if response is None:
            reset(connection)
        return response

    with AnsweringServer(script) as server:
        path = "/v1" if preset else BASE_PATHS[provider]
        check(target(provider, server.origin + path, preset=preset, model="a-model"))
        requests = list(server.requests)
    assert len(requests) == 1, [f"{one.method} {one.target}" for one in requests]
    (request,) = requests
    if request.method == "POST":
        # Where the model list is public, a chat request that cannot run is the only way to ask about the key.
        assert request.path.endswith("/chat/completions")
        assert request.body.replace(b" ", b"") == b'{"messages":0}'
    else:
        assert (request.method, request.body) == ("GET", b"")
        assert request.path in FREE


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize(
    ("facts", "method"),
    [
        ({Fact.LIST_PUBLIC}, "GET"),
        ({Fact.LIST_PUBLIC, Fact.REFUSED_TELLS}, "POST"),
        ({Fact.LIST_PUBLIC, Fact.NULL_TELLS}, "POST"),
        ({Fact.LIST_PUBLIC, Fact.GET_TELLS}, "GET"),
        ({Fact.NO_LIST, Fact.GET_TELLS}, "GET"),
        ({Fact.NO_LIST}, "GET"),
        ({Fact.NO_LIST, Fact.REFUSED_TELLS}, "POST"),
        ({Fact.NO_LIST, Fact.REFUSED_RAN}, "GET"),
        ({Fact.NO_LIST, Fact.REFUSED_TELLS, Fact.REFUSED_RAN}, "GET"),
        ({Fact.LIST_PUBLIC, Fact.REFUSED_TELLS, Fact.REFUSED_RAN}, "GET"),
    ],
)
@pytest.mark.parametrize("case", ANSWERS)
def test_one_request_whatever_a_test_has_learned(
    provider: Provider, facts: set[Fact], method: str, case: str
) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        response = ANSWERS[case]()
        if response is None:
            reset(connection)
        return response

    with AnsweringServer(script) as server:
        wanted = target(provider, server.origin + BASE_PATHS[provider], model="a-model")
        check(replace(wanted, facts=frozenset(facts)))
        (request,) = server.requests
    assert request.method == method
    if method == "POST":
        assert json.loads(request.body) in (None, {"messages": 0}, {"contents": 0})
    else:
        assert request.path in FREE or Fact.GET_TELLS in facts


def test_two_requests_that_run_nothing_where_no_test_has_told_of_a_missing_list() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path == "/v1/chat/completions":
            return answer(405, b'{"detail":"Method Not Allowed"}')
        return answer(404, b'{"detail":"Not Found"}')

    with AnsweringServer(script) as server:
        prober = Prober(SystemClock())
        verdict = asyncio.run(prober.check_untested(target(Provider.CUSTOM, f"{server.origin}/v1")))
        assert [(r.method, r.body) for r in server.requests] == [("GET", b"")] * 2
        assert verdict.ok
