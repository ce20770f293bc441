"""The gateway beside providers and programs that misbehave: dead connections, large and slow bodies."""

import contextlib
import gzip
import json
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Caller, add, ask, opened
from nexo.connections.terms import HealthState
from nexo_client.types import ConnectionDraft
from ports import free_port
from surroundings import PATIENCE_S, Nexod, wait_for

LIST = answer(200, b'{"object":"list","data":[]}')


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_a_kept_connection_that_was_closed_is_replaced_once_and_a_fresh_one_is_not(nexod: Nexod) -> None:
    asked: Counter[socket.socket] = Counter()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return LIST
        asked[connection] += 1
        if "dies" in request.target:
            return None
        connection.sendall(answer(200, b"{}"))
        # The next request has arrived, and nobody has read it.
        connection.recv(1, socket.MSG_PEEK)
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        for _ in range(3):
            assert ask(port, "/openai/v1/x", token).status == 200
        assert sorted(asked.values()) == [1, 1, 1]
        asked.clear()
        refused = ask(port, "/openai/v1/dies", token, body=bytes(2 * 1024 * 1024))
        assert refused.status == 502
        assert json.loads(refused.body)["error"]["code"] == "closed"
        assert sorted(asked.values()) == [1]


def test_a_large_upload_passes_without_being_held(nexod: Nexod) -> None:
    size = 100 * 1024 * 1024
    came = []

    def script(request: Request, _: socket.socket) -> bytes:
        came.append((request.method, len(request.body)))
        return LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        assert ask(port, "/openai/v1/small", token).status == 200
        before = memory_kb(nexod.pid)
        caller = Caller(port)
        head = (
            f"POST /openai/v1/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        )
        caller.send(f"{head}Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert caller.head()[0] == 100
        for _ in range(100):
            caller.send(bytes(1024 * 1024))
        assert caller.reply().status == 200
        caller.close()
        assert ("POST", size) in came
        assert memory_kb(nexod.pid) - before < 40_000


def test_a_program_that_does_not_read_holds_the_provider_up_and_fills_no_memory(nexod: Nexod) -> None:
    sent = [0]
    held_up = threading.Event()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return LIST
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.settimeout(2)
        piece = b"10000\r\n" + b"data: x\n" * 8192 + b"\r\n"
        try:
            while True:
                connection.sendall(piece)
                sent[0] += len(piece)
        except TimeoutError:
            held_up.set()
            return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        before = memory_kb(nexod.pid)
        caller = Caller(port)
        caller.request("POST", "/openai/v1/x", token, b"{}")
        caller.head()
        assert held_up.wait(PATIENCE_S)
        assert sent[0] < 60_000_000
        assert memory_kb(nexod.pid) - before < 40_000
        caller.close()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_answer_passes_as_it_is_packed_and_is_counted_all_the_same(nexod: Nexod, encoding: str) -> None:
    document = b'{"usage":{"prompt_tokens":5,"completion_tokens":6}}'
    body = gzip.compress(document) if encoding == "gzip" else document

    def script(request: Request, _: socket.socket) -> bytes:
        if request.method == "GET":
            return LIST
        headers = (("Content-Type", "application/json"), ("Content-Encoding", encoding), ("Set-Cookie", "a"))
        return answer(201, body, (*headers, ("Set-Cookie", "b"), ("Request-Id", "7"), ("Retry-After", "1")))

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        offered = (("Accept-Encoding", "gzip, deflate, br, zstd"),)
        reply = ask(port, "/openai/v1/x", token, headers=offered)
        assert (reply.status, reply.body) == (201, body)
        assert reply.headers["content-encoding"] == encoding
        assert reply.headers["content-length"] == str(len(body))
        assert (reply.headers["request-id"], reply.headers["retry-after"]) == ("7", "1")
        assert "transfer-encoding" not in reply.headers
        assert "server" not in reply.headers
        post = next(request for request in server.requests if request.method == "POST")
        assert post.headers["accept-encoding"] == "gzip"
        (row,) = client.gateway.usage().rows
        assert (row.input_tokens, row.output_tokens) == (5, 6)


def test_what_a_program_meets_makes_the_daemon_look_and_a_check_decides_on_the_light(nexod: Nexod) -> None:
    revoked = [False]

    def script(request: Request, _: socket.socket) -> bytes:
        return answer(401, b'{"error":{"message":"no"}}') if revoked[0] else LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        wait_for(lambda: client.get_connection("a").health.checked_at, "it is checked")
        checked = client.get_connection("a").health.checked_at
        revoked[0] = True
        assert ask(port, "/openai/v1/x", token).status == 401
        wait_for(lambda: client.get_connection("a").health.checked_at != checked, "it is checked again")
        assert client.get_connection("a").health.state in (HealthState.HEALTHY, HealthState.UNHEALTHY)


def test_a_provider_that_cannot_be_reached_is_a_502_that_names_it(nexod: Nexod) -> None:
    with opened(nexod) as (client, token, port):
        add(client, "a", f"http://127.0.0.1:{free_port()}/v1")
        reply = ask(port, "/openai/v1/x", token)
        assert reply.status == 502
        assert json.loads(reply.body)["error"] == {
            "message": "nexo: 'a': 127.0.0.1 refused the connection",
            "type": "api_error",
            "param": None,
            "code": "cannot_connect",
        }
        assert client.gateway.usage().rows[0].failed == 1


def test_only_what_proves_who_asks_is_overwritten_in_an_error(nexod: Nexod) -> None:
    body = b'{"error":{"message":"ollama wants application/json from team-blue, not sk-real-key-1"}}'

    def script(request: Request, _: socket.socket) -> bytes:
        return answer(200 if request.method == "GET" else 400, body)

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        headers = json.dumps(
            {"Accept": "application/json", "X-Team": "team-blue", "X-Auth-Token": "sk-real-key-1"}
        )
        draft = ConnectionDraft(
            name="a",
            provider="custom",
            base_url=server.origin + "/v1",
            api_key="ollama",
            headers_json=headers,
        )
        client.create_connection(draft)
        reply = ask(port, "/openai/v1/x", token)
        assert reply.headers["content-type"] == "application/json"
        assert reply.body == body.replace(b"sk-real-key-1", b"*" * 13)


def test_every_method_and_framing_of_a_request_passes(nexod: Nexod) -> None:
    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "HEAD":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            return None
        return answer(204) if request.method == "DELETE" else LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        caller = Caller(port)
        caller.request("HEAD", "/openai/v1/x", token)
        assert caller.head() == (200, {"content-length": "5", "x-nexo-connection": "a"})
        for method in ("GET", "DELETE", "PUT", "PATCH"):
            caller.request(method, "/openai/v1/x", token, b"{}" if method[0] == "P" else None)
            assert caller.reply().status == (204 if method == "DELETE" else 200)
        head = (
            f"POST /openai/v1/chunks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        )
        caller.send(f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
        assert caller.reply().status == 200
        caller.close()
        (post,) = (request for request in server.requests if request.method == "POST")
        assert (post.headers.get("transfer-encoding"), post.headers.get("content-length")) == (
            "chunked",
            None,
        )
        (put,) = (request for request in server.requests if request.method == "PUT")
        assert put.body == b"{}"


def test_the_unix_socket_answers_the_same(nexod: Nexod) -> None:
    def script(request: Request, _: socket.socket) -> bytes:
        return LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, _):
        add(client, "a", server.origin + "/v1")
        path = Path(client.gateway.status().gateway.socket_path)
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(path))
            request = (
                f"GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
            )
            line.sendall(request.encode())
            assert line.recv(65536).startswith(b"HTTP/1.1 200")
        client.gateway.switch(False)
        assert not path.exists()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        try:
            line.connect(str(path))
        except OSError:
            return False
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return line.recv(65536).startswith(b"HTTP/1.1 ")


LOST: dict[str, Callable[[Path], object]] = {
    "its file": Path.unlink,
    "its directory": lambda path: shutil.rmtree(path.parent),
    "the directory of the daemon, as at the end of a session": lambda path: shutil.rmtree(path.parent.parent),
    "another has its name": lambda path: (path.unlink(), path.touch()),
}


@pytest.mark.parametrize("lost", LOST)
def test_a_unix_socket_that_was_lost_is_there_again(nexod: Nexod, lost: str) -> None:
    with opened(nexod) as (client, _, _):
        path = Path(client.gateway.status().gateway.socket_path)
        assert _answers(path)
        LOST[lost](path)
        wait_for(lambda: _answers(path), "programs reach the gateway again")
        assert path.stat().st_mode & 0o777 == 0o600
    assert nexod.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_from_a_program_harm_it(nexod: Nexod, seed: int) -> None:
    """Mutations of a good request, cut anywhere, on hundreds of connections; then a good one is served."""
    rng = random.Random(seed)
    with AnsweringServer(lambda *_: LIST) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        good = (
            f"POST /openai/v1/x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        ).encode()
        for _ in range(150):
            bad = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(bad))
                bad[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as line:
                line.sendall(bytes(bad[: rng.randrange(len(bad)) + 1]))
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass
        assert ask(port, "/openai/v1/x", token).status == 200
        assert "Traceback" not in nexod.output
        assert " ERROR " not in nexod.output


def test_no_request_waits_for_the_acknowledgement_of_the_one_before_it(nexod: Nexod) -> None:
    """With Nagle's algorithm each answer on a kept connection takes 40 ms, however fast the machine is."""
    with AnsweringServer(lambda *_: LIST) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        caller = Caller(port)

        def took_s() -> float:
            began = time.perf_counter()
            caller.request("POST", "/openai/v1/x", token, b"{}")
            assert caller.reply().status == 200
            return time.perf_counter() - began

        for _ in range(5):
            took_s()
        # A busy machine may be late with many of them.
        wait_for(lambda: took_s() < 0.03, "an answer in less than 40 ms")
        caller.close()


def test_history_says_what_programs_met_and_a_wait_that_they_were_told_is_shown_at_once(nexod: Nexod) -> None:
    limited = [False]

    def script(request: Request, _: socket.socket) -> bytes:
        if request.method == "POST" and limited[0]:
            return answer(429, b'{"error":{"message":"slower"}}', (("Retry-After-Ms", "300000"),))
        return LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        wait_for(lambda: client.get_connection("a").health.state is HealthState.HEALTHY, "it is checked")
        checks = [request for request in server.requests if request.method == "GET"]
        limited[0] = True
        assert ask(port, "/openai/v1/x", token).status == 429
        wait_for(lambda: client.get_connection("a").health.state is HealthState.LIMITED, "it is told")
        assert client.get_connection("a").health.retry_at is not None
        limited[0] = False
        assert ask(port, "/openai/v1/x", token).status == 200
        wait_for(lambda: client.get_connection("a").health.state is HealthState.HEALTHY, "it works again")
        history = json.loads(nexod.surroundings.nexoctl("--json", "history", "a").out)
        seen = [(turn["to"], turn["source"]) for turn in history["transitions"]]
        assert seen[-3:] == [("healthy", "probe"), ("limited", "traffic"), ("healthy", "traffic")]
        assert sum(sample["from_traffic"] for sample in history["samples"]) == 2
        assert "requests of programs" in nexod.surroundings.nexoctl("history", "a").out
        assert len([request for request in server.requests if request.method == "GET"]) == len(checks)


def test_what_was_sent_before_an_edit_proves_nothing_of_the_connection_as_it_is_now(nexod: Nexod) -> None:
    going, edited = threading.Event(), threading.Event()

    def script(request: Request, _: socket.socket) -> bytes:
        if request.method == "POST":
            going.set()
            edited.wait(PATIENCE_S)
            return LIST
        return answer(401, b'{"error":{"message":"no"}}') if request.key == "sk-wrong" else LIST

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1", key="sk-good")
        wait_for(lambda: client.get_connection("a").health.state is HealthState.HEALTHY, "it is checked")
        replies: list[int] = []
        asking = threading.Thread(target=lambda: replies.append(ask(port, "/openai/v1/x", token).status))
        asking.start()
        assert going.wait(PATIENCE_S)
        client.update_connection("a", ConnectionDraft(api_key="sk-wrong"))
        edited.set()
        asking.join(PATIENCE_S)
        assert replies == [200]
        wait_for(lambda: client.gateway.usage().rows, "it is counted")
        samples = client.history("a").samples
        assert sum(sample.from_traffic for sample in samples) == 0
