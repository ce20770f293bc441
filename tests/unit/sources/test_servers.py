"""Servers on this computer: real sockets that answer as Ollama, LM Studio, vLLM and llama.cpp do.

The bodies are transcribed from the servers' documentation and sources: they prove that we understand them,
not that every version sends them.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nexo_sources import servers

Pages = dict[str, tuple[int, object]]


@contextmanager
def serving(pages: Pages) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A port that answers these pages, and what it was asked (method and path)."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.command, self.path))
            status, body = pages.get(self.path, pages.get("*", (404, {"error": "not found"})))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def models(owner: str, *names: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


LM_STUDIO_ODD = (200, {"error": "Unexpected endpoint or method. (GET /x). Returning 200 anyway"})
SERVERS: dict[str, tuple[str, Pages, tuple[str, str]]] = {
    "ollama": (
        "ollama",
        {
            "/api/version": (200, {"version": "0.20.1"}),
            "/api/tags": (200, {"models": [{"name": "llama3.1:8b", "size": 1}, {"name": "qwen3:4b"}]}),
            "/v1/models": (200, models("library", "llama3.1:8b")),
        },
        ("ollama", ""),
    ),
    "lm studio": (
        "lmstudio",
        {
            "/v1/models": (200, models("organization_owner", "qwen3")),
            "/api/v0/models": (200, {"object": "list", "data": [{"id": "qwen3", "state": "not-loaded"}]}),
            "*": LM_STUDIO_ODD,
        },
        ("lmstudio", "qwen3"),
    ),
    "vllm": ("vllm", {"/v1/models": (200, models("vllm", "big"))}, ("vllm", "big")),
    "llama.cpp": ("llamacpp", {"/v1/models": (200, models("llamacpp", "a.gguf"))}, ("llamacpp", "a.gguf")),
    "litellm": (
        "litellm",
        {"/v1/models": (200, models("openai", "x", "y")), "/health/liveliness": (200, b'"I\'m alive!"')},
        ("litellm", ""),
    ),
    # vLLM moved to LM Studio's port is vLLM, not LM Studio.
    "another port": ("lmstudio", {"/v1/models": (200, models("vllm", "big"))}, ("vllm", "big")),
}


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_is_known_by_what_it_says(case: str) -> None:
    usual, pages, (name, model) = SERVERS[case]
    with serving(pages) as (port, asked):
        found = servers.ask_ports({usual: port})
    assert [(one.name, one.model, one.api_key) for one in found.findings] == [(name, model, "")]
    assert found.findings[0].address.startswith(f"http://127.0.0.1:{port}")
    # Nothing that could use a token or load a model.
    assert {method for method, _ in asked} == {"GET"}
    assert not found.skipped


NOBODY: dict[str, Pages] = {
    "a web page": {"*": (200, b"<!doctype html><title>Directory listing</title>")},
    "a made-up 200 for everything": {"*": LM_STUDIO_ODD},
    "another service's JSON": {"*": (200, {"data": [{"name": "no id"}]})},
    "a redirect": {"*": (302, b"")},
    "a failure": {"*": (500, b"oops")},
}


@pytest.mark.parametrize("case", NOBODY)
def test_something_else_on_the_port_is_not_taken_for_a_server(case: str) -> None:
    with serving(NOBODY[case]) as (port, _):
        assert not servers.ask_ports({"vllm": port, "llamacpp": port})


def test_an_unknown_server_of_the_dialect_is_offered_without_a_preset() -> None:
    with serving({"/v1/models": (200, models("me", "mine"))}) as (port, _):
        found = servers.ask_ports({"vllm": port})
    assert [(one.name, one.preset) for one in found.findings] == [(f"local-{port}", "")]


def test_a_server_that_wants_a_key_is_named_with_the_command() -> None:
    refusal = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}
    with serving({"/v1/models": (401, refusal)}) as (port, _):
        found = servers.ask_ports({"vllm": port})
    assert not found.findings
    assert (
        f"nexoctl add vllm --provider vllm --base-url http://127.0.0.1:{port}/v1" in found.skipped[0].reason
    )


def test_a_silent_port_holds_nobody_up_for_long() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not servers.ask_ports({"ollama": listener.getsockname()[1]})


def test_the_port_of_ollama_is_the_one_that_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, port in (
        ("0.0.0.0:5555", 5555),
        (":7777", 7777),
        ("127.0.0.1", 11434),
        ("http://h:1/", 1),
        (":²", 11434),
    ):
        monkeypatch.setenv("OLLAMA_HOST", text)
        assert servers._usual()["ollama"] == port
