"""The gateway with much to do: requests around switches, long streams, large bodies, a restart in between.

`make test-gateway` runs the whole amounts, every run of the tests a part of them.
"""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import openai
import pytest

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Caller, add, ask, opened
from nexo.connections.terms import UsageBy
from nexo_client import Client
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

FULL = os.environ.get("NEXO_TEST_GATEWAY") == "full"
REQUESTS = 10_000 if FULL else 1_000
STREAM_MB = 400 if FULL else 48
UPLOAD_MB = 520
"""OpenAI takes files of 512 MB."""
HELD_KB = 40_000
"""What may be in the daemon's memory of it at a time, with all that its allocator keeps."""

LIST = answer(200, b'{"object":"list","data":[]}')
MEBIBYTE = 1024 * 1024
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class Switches:
    """Which connection a request may be answered by: decided by what was acknowledged before it was sent."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._begun = ["a"]
        self._acknowledged = 0

    def switch(self) -> None:
        self._begun.append("b" if self._begun[-1] == "a" else "a")
        self._client.set_default(self._begun[-1])
        self._acknowledged = len(self._begun) - 1

    def now(self) -> int:
        return self._acknowledged

    def allowed(self, since: int) -> set[str]:
        """For a request that was sent then and is answered now."""
        return set(self._begun[since:])


def test_after_the_acknowledgement_of_a_switch_no_request_reaches_the_connection_before_it(
    nexod: Nexod,
) -> None:
    with (
        AnsweringServer(lambda *_: LIST) as a,
        AnsweringServer(lambda *_: LIST) as b,
        opened(nexod) as (client, token, port),
    ):
        add(client, "a", a.origin + "/v1")
        add(client, "b", b.origin + "/v1")
        switches, done = Switches(client), threading.Event()
        wrong: list[tuple[str, set[str]]] = []
        sure: list[int] = []

        def program(kept: bool) -> None:
            caller = Caller(port)
            while not done.is_set():
                since = switches.now()
                caller.request("POST", "/openai/v1/x", token, b"{}")
                name, allowed = caller.reply().headers["x-nexo-connection"], switches.allowed(since)
                if name not in allowed:
                    wrong.append((name, allowed))
                sure.append(len(allowed) == 1)
                if not kept:
                    caller.close()
                    caller = Caller(port)
            caller.close()

        programs = [threading.Thread(target=program, args=(kept,)) for kept in (True, False) * 2]
        for thread in programs:
            thread.start()

        def switching() -> None:
            while not done.wait(0.02):
                switches.switch()
                more = len(sure) + 8
                while len(sure) < more and not done.wait(0.01):
                    pass

        switcher = threading.Thread(target=switching)
        switcher.start()
        try:
            wait_for(
                lambda: len(sure) >= REQUESTS and switches.now() > 5 and sum(sure) > REQUESTS // 10,
                "enough requests, switches, and requests beside none",
                patience_s=300,
            )
        finally:
            done.set()
            for thread in (*programs, switcher):
                thread.join(PATIENCE_S)
        print(f"{len(sure)} requests, {switches.now()} switches, {sum(sure)} beside none, {len(wrong)} wrong")
        assert wrong == []


def test_a_long_stream_arrives_whole_and_is_not_held(nexod: Nexod) -> None:
    piece = os.urandom(MEBIBYTE // 2).hex().encode()
    sent = hashlib.sha256()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return LIST
        connection.sendall(STREAM)
        for number in range(STREAM_MB):
            part = b"%9d" % number + piece[9:]
            sent.update(part)
            connection.sendall(b"100000\r\n" + part + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, port):
        add(client, "a", server.origin + "/v1")
        before = memory_kb(nexod.pid)
        came, size = hashlib.sha256(), 0
        with closing(Caller(port)) as caller:
            caller.request("POST", "/openai/v1/x", token, b"{}")
            assert caller.head()[0] == 200
            while chunk := caller.chunk():
                came.update(chunk)
                size += len(chunk)
        assert chunk == b""
        assert (size, came.digest()) == (STREAM_MB * MEBIBYTE, sent.digest())
        assert memory_kb(nexod.pid) - before < HELD_KB


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_arrives_whole_and_is_not_held(nexod: Nexod, chunked: bool) -> None:
    size = UPLOAD_MB * MEBIBYTE
    came = hashlib.sha256()
    counted = [0]

    with uploads(came, counted) as origin, opened(nexod) as (client, token, port):
        add(client, "a", origin + "/v1")
        before = memory_kb(nexod.pid)
        piece, sent = os.urandom(MEBIBYTE), hashlib.sha256()
        head = (
            f"POST /openai/v1/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        )
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        with closing(Caller(port)) as caller:
            caller.send(f"{head}{framing}\r\n\r\n".encode())
            for _ in range(UPLOAD_MB):
                sent.update(piece)
                caller.send(b"100000\r\n" + piece + b"\r\n" if chunked else piece)
            caller.send(b"0\r\n\r\n" if chunked else b"")
            assert caller.reply().status == 200
        assert (counted[0], came.digest()) == (size, sent.digest())
        assert memory_kb(nexod.pid) - before < HELD_KB


@contextmanager
def uploads(came: Any, counted: list[int]) -> Iterator[str]:
    """A server that reads bodies as they come: a length or chunks."""

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while line := file.readline():
                method, headers = line.split()[0], {}
                while field := file.readline().strip():
                    name, _, value = field.partition(b":")
                    headers[name.lower()] = value.strip()
                if method == b"POST":
                    for part in parts(file, headers):
                        came.update(part)
                        counted[0] += len(part)
                connection.sendall(LIST)

    def parts(file: BinaryIO, headers: dict[bytes, bytes]) -> Iterator[bytes]:
        if b"content-length" in headers:
            left = int(headers[b"content-length"])
            while left:
                part = file.read(min(left, 65536))
                left -= len(part)
                yield part
            return
        while size := int(file.readline(), 16):
            yield file.read(size)
            file.read(2)
        file.read(2)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_programs_get_over_a_restart_in_the_middle_of_their_streams(
    nexod: Nexod, surroundings: Surroundings, killed: bool
) -> None:
    chunk = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
    last = threading.Event()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return LIST
        connection.sendall(STREAM + b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if last.is_set():
            connection.sendall(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        else:
            connection.recv(1)
        return None

    with AnsweringServer(script) as server:
        with opened(nexod) as (client, token, port):
            add(client, "a", server.origin + "/v1")
        address = f"http://127.0.0.1:{port}/openai/v1"
        package = openai.OpenAI(base_url=address, api_key=token)
        messages = [{"role": "user", "content": "hi"}]
        streams = [
            package.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[call-overload]
            for _ in range(20)
        ]
        for stream in streams:
            assert next(stream).id == "1"
        if killed:
            nexod.kill()
        else:
            assert nexod.stop() == 0
        broken = 0
        for stream in streams:
            # What looked like an end would be taken for the whole answer.
            with pytest.raises((openai.APIConnectionError, openai.APIError)):
                list(stream)
            broken += 1
        last.set()
        with surroundings.start_nexod().client() as client:
            wait_for(lambda: client.gateway.status().gateway.listening, "the gateway listens again")
            for _ in range(20):
                again = package.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[call-overload]
                assert [part.id for part in again] == ["1"]
            package.close()
            (row,) = wait_for(lambda: client.gateway.usage(by=[UsageBy.MODEL]).rows, "it is in the record")
            # A daemon that was killed tells nothing of what it had open.
            assert (broken, row.broken) == (20, 0 if killed else 20)
            assert row.requests == row.broken + 20
            assert ask(port, "/openai/v1/x", token).status == 200


def test_a_program_whose_gateway_is_away_for_a_moment_waits_by_itself(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    """The packages try a refused connection again for a second or two: a restart is shorter."""
    with AnsweringServer(lambda *_: LIST) as server:
        with opened(nexod) as (client, token, port):
            add(client, "a", server.origin + "/v1")
        assert nexod.stop() == 0
        answers: list[int] = []

        def program() -> None:
            with openai.OpenAI(
                base_url=f"http://127.0.0.1:{port}/openai/v1", api_key=token, max_retries=8
            ) as sdk:
                answers.append(len(sdk.models.list().data))

        waiting = threading.Thread(target=program)
        began = time.monotonic()
        waiting.start()
        surroundings.start_nexod()
        waiting.join(PATIENCE_S)
        assert answers == [0]
        assert time.monotonic() - began < 60
