"""The gateway of a real daemon: each request goes to the connection of the moment, byte for byte."""

import contextlib
import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Caller, add, ask, opened
from nexo.connections.terms import Provider, UsageBy
from nexo_client.errors import GatewayClosed, InvalidField, NexoError
from nexo_client.types import ConnectionDraft, MappedModel, Workspace
from ports import free_port
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for


def says(name: str) -> AnsweringServer:
    def script(request: Request, _: object) -> bytes:
        return answer(200, json.dumps({"served_by": name}).encode())

    return AnsweringServer(script)


def calls(server: AnsweringServer) -> list[Request]:
    """What programs asked; the daemon's own checks only read."""
    return [request for request in server.requests if request.method == "POST"]


def test_each_request_goes_to_the_connection_of_the_moment(nexod: Nexod) -> None:
    with says("a") as a, says("b") as b, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1", key="sk-of-a")
        add(client, "b", b.origin + "/v1", key="sk-of-b")
        first = ask(port, "/openai/v1/chat/completions?x=a%2Fb", token, body=b'{"model":"m"}')
        assert (first.status, first.headers["x-nexo-connection"]) == (200, "a")
        client.set_default("b")
        second = ask(port, "/openai/v1/chat/completions", token, body=b'{"model":"m"}')
        assert (second.status, second.headers["x-nexo-connection"]) == (200, "b")
        (to_a,), (to_b,) = calls(a), calls(b)
        assert (to_a.key, to_b.key) == ("sk-of-a", "sk-of-b")
        assert to_a.target == "/v1/chat/completions?x=a%2Fb"
        assert token not in repr((to_a.headers, to_b.headers))


def test_the_bytes_and_headers_of_a_request_pass_but_for_what_belongs_to_one_hop_or_account(
    nexod: Nexod,
) -> None:
    body = b'{"model" : "m",\n "thinking":{"signature":"\xc3\xa9\\u00e9=="},"x":1e2}'
    with says("a") as a, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1", key="sk-of-a", provider="custom")
        kept = (
            ("anthropic-beta", "one,two"),
            ("Anthropic-Version", "2023-06-01"),
            ("X-Stainless-Lang", "python"),
            ("User-Agent", "claude-cli/2 (x)"),
            ("Idempotency-Key", "7"),
        )
        gone = (
            ("X-Api-Key", "sk-of-somebody"),
            ("x-goog-api-key", "sk-of-somebody"),
            ("api-key", "sk-of-somebody"),
            ("Cookie", "sk-of-somebody"),
            ("OpenAI-Organization", "sk-of-somebody"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "sk-of-somebody"),
            ("Proxy-Authorization", "sk-of-somebody"),
            ("TE", "trailers"),
        )
        done = ask(
            port, "/anthropic/v1/messages?beta=true&key=sk-of-somebody", token, body=body, headers=kept + gone
        )
        assert done.status == 200, done
        (request,) = calls(a)
        assert (request.target, request.body) == ("/v1/messages?beta=true", body)
        assert {name.lower(): value for name, value in kept}.items() <= request.headers.items()
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["host"] == f"127.0.0.1:{a.port}"
        assert "sk-of-somebody" not in repr((request.target, request.headers))
        assert not {name.lower() for name, _ in gone} - {"connection"} & request.headers.keys()


@pytest.mark.parametrize(
    ("dialect", "form"),
    [
        ("openai/v1", lambda e: (e["error"]["message"], e["error"]["code"])),
        ("anthropic", lambda e: (e["error"]["message"], e["request_id"].removeprefix("req_nexo_"))),
        ("google", lambda e: (e["error"]["message"], e["error"]["details"][0]["reason"])),
        ("ollama", lambda e: (e["error"], "no_default_connection")),
    ],
)
def test_what_a_person_has_to_mend_is_a_400_in_the_dialect_of_the_program(
    nexod: Nexod, dialect: str, form: Callable[[Any], tuple[str, str]]
) -> None:
    with opened(nexod) as (_, token, port):
        refused = ask(port, f"/{dialect}/anything", token)
        assert refused.status == 400
        message, reason = form(json.loads(refused.body))
        assert message == (
            "nexo: there is no default connection; add one with 'nexoctl add', or choose one with "
            "'nexoctl default NAME'"
        )
        assert reason == "no_default_connection"


def test_a_bound_workspace_fails_closed_exactly_as_it_does_in_resolve(nexod: Nexod) -> None:
    with says("other") as other, says("bound") as bound, nexod.client() as client:
        add(client, "bound", bound.origin + "/v1")
        add(client, "other", other.origin + "/v1")
        client.set_default("other")
        client.bind(Workspace(name="project"), "bound")
        run = client.gateway.mint(workspace=Workspace(name="project"))
        port, token = run.gateway.port, run.secret

        def both() -> tuple[int, str, str]:
            reply = ask(port, "/openai/v1/chat/completions", token)
            try:
                resolved = client.resolve(workspace=Workspace(name="project")).name
            except NexoError as error:
                return reply.status, json.loads(reply.body)["error"]["code"], error.reason.lower()
            return reply.status, reply.headers["x-nexo-connection"], resolved

        assert both() == (200, "bound", "bound")
        client.update_connection("bound", ConnectionDraft(enabled=False))
        assert both() == (400, "connection_disabled", "connection_disabled")
        client.delete_connection("bound", force=True)
        assert both() == (400, "binding_broken", "binding_broken")
        client.unbind(Workspace(name="project"))
        assert both() == (200, "other", "other")
        client.vault.lock()
        assert both() == (400, "vault_locked", "vault_locked")
        assert len(calls(bound)) == len(calls(other)) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /openai/v1/x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /openai/v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer nexo_wrong\r\n\r\n",
        b"GET /openai/v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer \r\n\r\n",
        b"GET /t/nexo_wrong/ollama/api/tags HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: {host}/#@x\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nOrigin: null\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nAuthorization: Bearer {token}"
        b"\r\n\r\n",
        b"OPTIONS /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET http://{host}/openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/../x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/%2e%2e/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/%252e./x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET //openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"POST /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /openai/v1/\xe4 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x?\x01 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
        b"POST /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n"
        b"Authorization: Bearer {token}\r\n\r\n",
        b"GET /openai/v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=lambda raw: ascii(raw.replace(b"\r\n", b" "))[2:92],
)
def test_what_may_not_in_never_reaches_a_provider(nexod: Nexod, raw: bytes) -> None:
    with says("a") as a, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1")
        caller = Caller(port)
        caller.send(raw.replace(b"{host}", f"127.0.0.1:{port}".encode()).replace(b"{token}", token.encode()))
        status, headers = caller.head()
        caller.close()
        assert 400 <= status < 500
        assert "access-control-allow-origin" not in headers
        if b"websocket" in raw:
            assert status == 426
        assert [r for r in a.requests if "/x" in r.target or r.method != "GET"] == []


def test_a_stream_that_breaks_is_broken_for_the_program_and_says_so_in_the_record(nexod: Nexod) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'10\r\ndata: {"a": 1}\n\n\r\n'
        )
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        reply = ask(port, "/openai/v1/chat/completions", token, body=b'{"model":"m"}')
        assert (reply.status, reply.whole, reply.body) == (200, False, b'data: {"a": 1}\n\n')
        assert reply.headers["x-accel-buffering"] == "no"
        (row,) = wait_for(lambda: client.gateway.usage(by=[UsageBy.MODEL]).rows, "it is in the record")
        assert (row.model, row.requests, row.broken, row.left) == ("m", 1, 1, 0)


def test_a_chunk_passes_at_once_and_the_provider_is_left_when_the_program_leaves(nexod: Nexod) -> None:
    left = threading.Event()
    begun = threading.Event()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        if "quiet" not in request.target:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"8\r\ndata: 1\n\r\n"
            )
        begun.set()
        if connection.recv(1) == b"":
            left.set()
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        for target in ("/openai/v1/quiet", "/openai/v1/streams"):
            left.clear()
            begun.clear()
            caller = Caller(port)
            caller.request("POST", target, token, b"{}")
            if "quiet" not in target:
                caller.head()
                assert caller.chunk() == b"data: 1\n"
            assert begun.wait(PATIENCE_S)
            caller.close()
            assert left.wait(PATIENCE_S), target
        (row,) = wait_for(
            lambda: [r for r in client.gateway.usage().rows if r.requests == 2], "both are in the record"
        )
        assert (row.left, row.broken) == (2, 0)


def test_an_error_body_never_tells_the_key_that_a_provider_repeats(nexod: Nexod) -> None:
    key = "sk-canary-" + "e" * 30

    def script(request: Request, _: socket.socket) -> bytes:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        echo = json.dumps({"error": {"message": f"Incorrect API key provided: {request.key}"}}).encode()
        if "packed" in request.target:
            packed = gzip.compress(echo)
            codings = [("Content-Encoding", coding) for coding in request.target.split("/")[3:]]
            return answer(401, packed, (*codings, ("X-Echo", request.key)))
        return answer(401, echo, (("Content-Type", "application/json"), ("X-Echo", request.key)))

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1", key=key)
        packed = ("gzip", "GZIP", "gzip/identity", "identity/gzip")
        for target in ("/openai/v1/plain", *(f"/openai/v1/packed/{codings}" for codings in packed)):
            reply = ask(port, target, token, headers=(("Accept-Encoding", "gzip"),))
            assert reply.status == 401
            assert b"Incorrect API key provided: ****" in reply.body
            assert key not in repr(reply)


def test_redirects_are_neither_followed_nor_passed_on(nexod: Nexod) -> None:
    with says("b") as b:

        def script(request: Request, _: socket.socket) -> bytes:
            return answer(307, b"", (("Location", b.origin + "/v1/x"),))

        with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
            add(client, "a", server.origin + "/v1")
            reply = ask(port, "/openai/v1/x", token)
            assert reply.status == 502
            assert "location" not in reply.headers
            assert b.requests == []


def test_usage_is_what_the_provider_reports_and_nothing_is_guessed(nexod: Nexod) -> None:
    stream = (
        b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":10,'
        b'"cache_read_input_tokens":5,"cache_creation_input_tokens":0,"output_tokens":1}}}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":20}}\n\n'
    )

    def script(request: Request, _: socket.socket) -> bytes:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[],"usage":{"input_tokens":9,"output_tokens":9}}')
        if request.path.endswith("/messages"):
            return answer(200, stream, (("Content-Type", "text/event-stream"),))
        return answer(200, b'{"choices":[{"message":{"content":"\\"usage\\":{}"}}]}')

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        agent = (("User-Agent", "claude-cli/2.1 (external)"),)
        ask(port, "/anthropic/v1/messages", token, body=b'{"model":"claude"}', headers=agent)
        ask(port, "/openai/v1/chat/completions", token, body=b'{"messages":[],"model":"gpt"}')
        report = client.gateway.usage(by=[UsageBy.MODEL, UsageBy.CONNECTION])
        claude, gpt = report.rows
        assert (claude.model, claude.connection, claude.requests) == ("claude", "a", 1)
        assert (claude.input_tokens, claude.output_tokens, claude.cached_tokens) == (15, 20, 5)
        assert (claude.unreported, gpt.unreported) == (0, 1)
        (program, nameless) = sorted(
            client.gateway.usage(by=[UsageBy.PROGRAM]).rows, key=lambda r: r.program, reverse=True
        )
        assert (program.program, nameless.program) == ("claude-cli/2.1", "")
        (user,) = client.gateway.status().users
        assert (user.models, user.requests, user.open) == (("claude", "gpt"), 2, 0)
        (before,) = client.gateway.usage().rows
        # A list costs no tokens, so nothing is missing in what is said of them; nor does a stored response,
        # which repeats what it has cost, nor counting the tokens of a prompt.
        for path in ("models", "responses/resp_1"):
            ask(port, f"/openai/v1/{path}", token, method="GET")
        ask(port, "/anthropic/v1/messages/count_tokens", token)
        ask(port, "/google/v1beta/models/gemini:countTokens", token)
        (after,) = client.gateway.usage().rows
        assert after == replace(before, requests=before.requests + 4)


def test_a_token_ends_with_the_process_that_asked_for_it_and_so_does_what_it_has_open(nexod: Nexod) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"8\r\ndata: 1\n\r\n"
        )
        connection.recv(1)
        return None

    with AnsweringServer(script) as server, nexod.client() as client:
        add(client, "a", server.origin + "/v1")
        program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        run = client.gateway.mint(pid=program.pid)
        named = client.gateway.create_token("cursor")
        port = run.gateway.port
        callers = []
        for token in (run.secret, named.secret):
            caller = Caller(port)
            caller.request("POST", "/openai/v1/x", token, b"{}")
            caller.head()
            assert caller.chunk() == b"data: 1\n"
            callers.append(caller)
        program.communicate(b"\n")
        assert callers[0].chunk() is None
        assert ask(port, "/openai/v1/x", run.secret).status == 401
        assert client.gateway.revoke_token("cursor") == 1
        assert callers[1].chunk() is None
        assert ask(port, "/openai/v1/x", named.secret).status == 401
        for caller in callers:
            caller.close()
        with pytest.raises(InvalidField):
            client.gateway.mint(pid=program.pid)


def test_the_port_outlives_the_daemon_and_is_never_moved_silently(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with opened(nexod) as (_, _, port):
        pass
    assert nexod.stop() == 0
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        with surroundings.start_nexod().client() as client:
            state = client.gateway.status().gateway
            assert (state.on, state.listening, state.port) == (True, False, port)
            assert state.problem == f"port {port} is taken by another program of yours"
            with pytest.raises(GatewayClosed):
                client.gateway.mint()
            doctor = surroundings.nexoctl("doctor", expect=None).out
            assert f"does not listen: port {port} is taken by another program of yours" in doctor
            squatter.close()
            assert client.gateway.mint().gateway.port == port
            off = client.gateway.switch(False)
            assert (off.on, off.switched_off, off.listening, off.port) == (False, True, False, port)
            with pytest.raises(GatewayClosed):
                client.gateway.mint()
            assert client.gateway.switch(True).port == port


def test_it_opens_when_the_port_is_free_again_without_being_asked(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with opened(nexod) as (_, _, port):
        pass
    assert nexod.stop() == 0
    with (
        socket.create_server(("127.0.0.1", port)) as squatter,
        surroundings.start_nexod().client() as client,
    ):
        assert not client.gateway.status().gateway.listening
        squatter.close()
        wait_for(lambda: client.gateway.status().gateway.listening, "the gateway listens")
        assert ask(port, "/openai/v1/x", "unknown").status == 401
        assert client.gateway.status().gateway.problem == ""


def test_a_stop_takes_no_longer_for_streams_that_hang(nexod: Nexod) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        callers = [Caller(port) for _ in range(20)]
        for number, caller in enumerate(callers):
            caller.request("POST", "/openai/v1/x", token, b"{}")
            if number % 2:
                caller.head()
        began = time.monotonic()
        assert nexod.stop() == 0
        assert time.monotonic() - began < 10
        for caller in callers:
            caller.close()


def test_no_token_and_no_key_is_in_the_log_or_in_anything_that_is_written(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    key = "sk-canary-" + "k" * 30
    prompt = "canary-prompt-4711"
    with says("a") as a, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1", key=key)
        body = json.dumps({"model": "m", "messages": [prompt]}).encode()
        assert ask(port, f"/t/{token}/ollama/api/chat?key={token}", body=body).status == 200
        assert ask(port, "/openai/v1/x", token, body=body).status == 200
        ask(port, f"/t/{token}/nothing", body=body)
        ask(port, f"/t/{token}/openai/\x7f", body=body)
        assert client.gateway.usage().rows[0].requests == 2
    nexod.stop()
    for canary in (token, key, prompt):
        assert [p for p in surroundings.files() if canary.encode() in p.read_bytes()] == []


def test_a_run_goes_on_when_the_daemon_is_started_anew_and_ends_with_its_process_all_the_same(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with says("a") as a:
        programs = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in "12"]
        with nexod.client() as client:
            add(client, "a", a.origin + "/v1")
            goes_on, ends = (client.gateway.mint(pid=program.pid) for program in programs)
        nexod.kill()
        programs[1].communicate(b"\n")
        with surroundings.start_nexod().client() as client:
            port = client.gateway.status().gateway.port
            assert port == goes_on.gateway.port
            assert ask(port, "/openai/v1/x", goes_on.secret).status == 200
            assert ask(port, "/openai/v1/x", ends.secret).status == 401
            programs[0].communicate(b"\n")
            wait_for(lambda: not client.gateway.status().users, "the run is over")
            assert ask(port, "/openai/v1/x", goes_on.secret).status == 401


def test_after_the_answer_to_a_switch_no_request_goes_to_the_connection_before_it(nexod: Nexod) -> None:
    """A program asks after each answer; others ask all the time, on kept connections and on new ones."""
    with says("a") as a, says("b") as b, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1")
        add(client, "b", b.origin + "/v1")
        stopped = threading.Event()

        def others(kept: bool) -> None:
            caller = Caller(port)
            while not stopped.is_set():
                caller.request("POST", "/openai/v1/other", token, b"{}")
                assert caller.reply().status == 200
                if not kept:
                    caller.close()
                    caller = Caller(port)
            caller.close()

        threads = [threading.Thread(target=others, args=(kept,)) for kept in (True, False)]
        for thread in threads:
            thread.start()
        followed = []
        program = Caller(port)
        for number in range(40):
            name = "ba"[number % 2]
            client.set_default(name)
            program.request("POST", "/openai/v1/x", token, b"{}")
            followed.append(program.reply().headers["x-nexo-connection"] == name)
        stopped.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        program.close()
        assert followed == [True] * 40


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9", "[::1]", "0.0.0.0", "LocalHost."])
def test_the_gateways_own_address_is_no_service(nexod: Nexod, host: str) -> None:
    with says("a") as a, opened(nexod) as (client, token, port):
        own = f"http://{host}:{port}/t/{token}/openai/v1"
        add(client, "a", a.origin + "/v1")
        for attempt in (
            lambda: add(client, "circle", own),
            lambda: client.update_connection(
                "a", ConnectionDraft(base_url=own), keep_key_for_new_origin=True
            ),
            lambda: client.test_draft(ConnectionDraft(name="x", provider=Provider.CUSTOM, base_url=own)),
        ):
            with pytest.raises(InvalidField, match="own gateway"):
                attempt()
        # Its other fields can be changed whatever its address is.
        client.update_connection("a", ConnectionDraft(default_model="m"))


def test_a_request_does_not_go_round_in_a_circle(nexod: Nexod) -> None:
    """The address was somebody else's when it was saved, and is the gateway's now."""
    port = free_port()
    with opened(nexod) as (client, token, _):
        add(client, "round", f"http://127.0.0.1:{port}/openai/v1", key=token)
        client.gateway.switch(on=True, port=port)
        done = ask(port, "/openai/v1/chat/completions", token, body=b"{}")
        assert done.status == 400
        assert b"would loop" in done.body
        assert b"nexoctl edit round" in done.body


def test_the_model_nexo_is_the_default_model_of_the_connection_and_nothing_else_of_a_body_changes(
    nexod: Nexod,
) -> None:
    body = b'{ "messages":[{"role":"user","content":"model \xc3\xa9 \\u00e9 nexo"}], "model" : "%s" ,"x":1e2}'
    with says("a") as a, says("b") as b, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1")
        add(client, "b", b.origin + "/v1")
        client.update_connection("a", ConnectionDraft(default_model="vendor/large-model"))
        asked = [b"nexo", b"other", b"nexo-2", b"Nexo"]
        for name in asked:
            assert ask(port, "/openai/v1/chat/completions", token, body=body % name).status == 200
        sent = [b"vendor/large-model", *asked[1:]]
        assert [one.body for one in calls(a)] == [body % name for name in sent]
        assert ask(port, "/google/v1beta/models/nexo:generateContent?alt=sse", token).status == 200
        assert calls(a)[-1].target.endswith("/models/vendor%2Flarge-model:generateContent?alt=sse")
        client.set_default("b")
        refused = ask(port, "/openai/v1/chat/completions", token, body=body % b"nexo")
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (400, "no_default_model")
        assert calls(b) == []
        (user,) = client.gateway.status().users
        assert set(user.models) == {"other", "nexo-2", "Nexo"}


@pytest.mark.parametrize(
    ("path", "sent_path", "names_in_body"),
    [
        ("/openai/v1/chat/completions", "/v1/chat/completions", True),
        ("/openai/v1/responses", "/v1/responses", True),
        ("/anthropic/v1/messages", "/v1/messages", True),
        ("/ollama/api/chat", "/api/chat", True),
        ("/google/v1beta/models/%s:generateContent", "/v1beta/models/%s:generateContent", False),
    ],
)
def test_a_mapped_name_is_replaced_exactly_and_is_the_one_that_usage_counts(
    nexod: Nexod, path: str, sent_path: str, names_in_body: bool
) -> None:
    kept = b'{ "messages":[{"role":"user","content":"gpt-5 \xc3\xa9 \\u00e9"}], "model" : "%s" ,"x":1e2}'
    plain = kept.replace(b'"model"', b'"other"')
    rows = (MappedModel("gpt-5", "vendor/large:8b"), MappedModel("vendor/large:8b", "never-reached"))
    with says("a") as a, opened(nexod) as (client, token, port):
        add(client, "a", a.origin + "/v1")
        client.update_connection("a", ConnectionDraft(model_map=rows, default_model="gpt-5"))

        def sent_for(name: str) -> tuple[str, bytes]:
            body = kept % name.encode() if names_in_body else plain
            there = path % name if "%s" in path else path
            assert ask(port, there, token, body=body).status == 200
            return calls(a)[-1].target, calls(a)[-1].body

        def expected(name: str) -> tuple[str, bytes]:
            there = sent_path.replace("%s", name.replace("/", "%2F").replace(":", "%3A"))
            return there, kept % name.encode() if names_in_body else plain

        assert sent_for("gpt-5") == expected("vendor/large:8b")
        # The default model is what its own row says, and is not looked up again.
        assert sent_for("nexo") == expected("gpt-5")
        for name in ("gpt-5-mini", "GPT-5", "gpt-50"):
            assert sent_for(name) == expected(name)
        client.update_connection("a", ConnectionDraft(model_map=()))
        assert sent_for("gpt-5") == expected("gpt-5")
        (user,) = client.gateway.status().users
        assert set(user.models) == {"gpt-5", "gpt-5-mini", "GPT-5", "gpt-50"}

        def counted() -> dict[str, int]:
            return {row.model: row.requests for row in client.gateway.usage(by=[UsageBy.MODEL]).rows}

        wait_for(lambda: sum(counted().values()) == 6, "all are counted")
        assert counted() == {"vendor/large:8b": 1, "gpt-5": 2, "gpt-5-mini": 1, "GPT-5": 1, "gpt-50": 1}
