"""A background check is one request that uses no tokens and loads no model: for every provider and preset.

Against a real server that records what it is asked, whatever it answers: also after a refusal, an overload
or nonsense no second and no dearer request follows.
"""

import socket

import pytest

from answering_server import AnsweringServer, Request, answer, reset
from nexo_client.terms import Provider
from nexo_daemon.providers.presets import PRESETS
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
