"""The output of the gateway for unusual HTTP from a provider or a program.

One table for answers that are whole, one for answers that break, one for requests; each row is raw bytes on
a real socket, and says what has to arrive on the other side.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore2
import pytest

from nexo_gateway import server, upstream
from nexo_gateway.bodies import HELD_BYTES, Body
from nexo_gateway.streams import Direct
from nexo_gateway.upstream import Upstream
from open_gateway import KEY, TOKEN, open_gateway, reply, request
from surroundings import PATIENCE_S

EVENTS = b"data: 1\n\ndata: 2\n\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
PIECES = b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n"

Reply = tuple[int, list[tuple[str, str]], bytes, bool]


def run(work: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


class Provider:
    """Reads requests whole, keeps them, and answers each with the same bytes."""

    def __init__(self, raw: bytes, *, ends: bool = False) -> None:
        self.raw, self.ends, self.heads, self.bodies = raw, ends, list[bytes](), list[bytes]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                self.bodies.append(await self._body(head.lower(), reader))
                writer.write(self.raw)
                await writer.drain()
                if self.ends:
                    break
        writer.close()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
            return body
        length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
        return await reader.readexactly(int(length or 0))


async def through(provider: Provider, raw: Callable[[int], bytes] = request) -> Reply:
    """The answer to one request."""
    async with open_gateway(provider.serve) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw(port))
        answer = await reply(reader)
        writer.close()
        return answer


def counting() -> tuple[list[int], asyncio.Task[None]]:
    """The turns of the loop, counted by a task until it is cancelled."""
    turns = [0]

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            turns[0] += 1

    return turns, asyncio.create_task(count())


def plain(status: str, *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


WHOLE: dict[str, tuple[bytes, bool, int, bytes]] = {
    "a length": (plain("200 OK", "Content-Length: 2", body=b"{}"), False, 200, b"{}"),
    "chunks": (CHUNKED + b"\r\n" + PIECES + b"\r\n", False, 200, EVENTS),
    "chunks and a trailer": (CHUNKED + b"\r\n" + PIECES + b"X-Sum: 1\r\n\r\n", False, 200, EVENTS),
    "a chunk extension": (CHUNKED + b"\r\n2;a=b\r\n{}\r\n0\r\n\r\n", False, 200, b"{}"),
    "length and chunked": (CHUNKED + b"Content-Length: 3\r\n\r\n" + PIECES + b"\r\n", False, 200, EVENTS),
    "no length": (plain("200 OK", "Content-Type: text/plain", body=b"abc"), True, 200, b"abc"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nabc", True, 200, b"abc"),
    "early hints": (
        plain("103 Early Hints", "Link: </x>") + plain("200 OK", "Content-Length: 1", body=b"x"),
        False,
        200,
        b"x",
    ),
    "100 that nobody asked for": (
        plain("100 Continue") + plain("200 OK", "Content-Length: 1", body=b"x"),
        False,
        200,
        b"x",
    ),
    "no content": (plain("204 No Content"), False, 204, b""),
    "not modified": (plain("304 Not Modified", 'ETag: "x"'), False, 304, b""),
    "the length is named as of one hop": (
        plain("200 OK", "Connection: content-length", "Content-Length: 2", body=b"{}"),
        False,
        200,
        b"{}",
    ),
    "an error in chunks": (
        plain("500 Oops", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
        False,
        500,
        b"{}",
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_whole_answer_arrives_whole(case: str) -> None:
    raw, ends, status, body = WHOLE[case]

    async def work() -> None:
        answer = await through(Provider(raw, ends=ends))
        assert (answer[0], answer[2], answer[3]) == (status, body, True)
        names = [name for name, _ in answer[1]]
        assert not {"content-length", "transfer-encoding"} <= set(names)
        assert "server" not in names
        assert "date" not in names

    run(work())


BROKEN: dict[str, bytes] = {
    "short of its length": plain("200 OK", "Content-Length: 9", body=b"{}"),
    "no last chunk": CHUNKED + b"\r\n" + PIECES.removesuffix(b"0\r\n"),
    "a chunk is short": CHUNKED + b"\r\n9\r\ndata",
    "no end of the trailer": CHUNKED + b"\r\n" + PIECES,
    "a chunk that is none": CHUNKED + b"\r\n9\r\ndata: 1\n\n\r\nhello\r\n",
    "an error is short": plain("429 Slow", "Content-Length: 9", body=b"{}"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_answer_that_breaks_is_broken_for_the_program(case: str) -> None:
    async def work() -> None:
        _, _, body, whole = await through(Provider(BROKEN[case], ends=True))
        assert not whole
        assert EVENTS.startswith(body) or body in (b"{}", b"")

    run(work())


def test_a_break_is_one_in_http_1_0_too() -> None:
    """There the end of the connection is the end of an answer without a length."""

    async def work() -> None:
        async with open_gateway(Provider(BROKEN["no last chunk"], ends=True).serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port).replace(b"HTTP/1.1", b"HTTP/1.0"))
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
        async with open_gateway(Provider(WHOLE["chunks"][0]).serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert (await reader.read()).endswith(b"\r\n\r\n" + EVENTS)
            writer.close()

    run(work())


NOT_AN_ANSWER: dict[str, bytes] = {
    "nothing": b"",
    "half a status line": b"HTTP/1.",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "a switch of protocols": plain("101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"),
    "two lengths": plain("200 OK", "Content-Length: 1", "Content-Length: 2", body=b"ab"),
    "a coding that nobody knows": plain("200 OK", "Transfer-Encoding: gzip, chunked"),
    "a head without an end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    "a status that is none": plain("999999 OK"),
    "a line that is no header": plain("200 OK", "hello"),
}
INVALID_STATUSES = (600, 999)


@pytest.mark.parametrize("case", NOT_AN_ANSWER)
def test_what_is_no_answer_is_a_502_and_not_ours_to_guess(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        status, _, body, whole = await through(Provider(NOT_AN_ANSWER[case], ends=True))
        assert (status, whole) == (502, True)
        assert b"nexo: 'work': 127.0.0.1 closed the connection before it answered" in body

    run(work())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("status", INVALID_STATUSES)
def test_a_status_that_http_does_not_have_is_a_502_that_names_it(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        answer = await through(Provider(plain(f"{status} Odd", "Content-Length: 2", body=b"{}")))
        assert (answer[0], answer[3]) == (502, True)
        assert f"'work' answers with the invalid status {status}".encode() in answer[2]

    run(work())
    assert caplog.records == []


def test_interim_answers_without_an_end_are_no_answer() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(plain("103 Early Hints") * 1000)
                await writer.drain()

    async def work() -> None:
        async with open_gateway(endless) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port))
            assert (await reply(reader))[0] == 502
            writer.close()

    run(work())


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
def test_an_answer_in_tiny_chunks_leaves_turns_of_the_loop_to_others(status: bytes) -> None:
    """A piece of a read holds ten thousand of them: they held the daemon up for seconds."""
    chunks = 10_000
    raw = CHUNKED.replace(b"200 OK", status) + b"\r\n" + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"

    async def work() -> None:
        turns, others = counting()
        _, _, body, whole = await through(Provider(raw))
        others.cancel()
        assert (len(body), whole) == (chunks, True)
        assert turns[0] > chunks / 64

    run(work())


@pytest.mark.parametrize("size", [10, HELD_BYTES, 2 * HELD_BYTES])
@pytest.mark.parametrize("leaves", [False, True])
def test_nothing_of_a_request_that_has_ended_waits_for_the_garbage_collector(size: int, leaves: bool) -> None:
    provider = Provider(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", ends=True)
    served = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await provider.serve(reader, writer)
            await writer.wait_closed()
        served.remove(asyncio.current_task())

    async def scenario() -> None:
        async with open_gateway(serve) as (port, router):
            for number in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request(port, body=b"x" * size))
                await writer.drain()
                if not leaves:
                    assert (await reply(reader))[0] == 204
                writer.close()
                while served or len(router.outcomes) <= number:
                    await asyncio.sleep(0.01)
            assert not [one for one in gc.get_objects() if isinstance(one, Body)]

    gc.collect()
    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()


def test_headers_come_as_they_were_sent_each_as_often() -> None:
    raw = plain(
        "200 OK",
        "Date: Thu, 26 Nov 2026 10:00:00 GMT",
        "Server: cloudflare",
        "Set-Cookie: a=1",
        "Set-Cookie: b=2",
        "X-Nexo-Connection: somebody else's",
        "Keep-Alive: timeout=5",
        "Content-Length: 0",
    )

    async def work() -> None:
        assert (await through(Provider(raw)))[1] == [
            ("date", "Thu, 26 Nov 2026 10:00:00 GMT"),
            ("server", "cloudflare"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-length", "0"),
            ("x-nexo-connection", "work"),
        ]

    run(work())


def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    async def work() -> None:
        provider = Provider(plain("200 OK", "Content-Length: 5"))
        async with open_gateway(provider.serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(request(port, method="HEAD", body=b""))
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"content-length: 5\r\n" in head
            writer.close()

    run(work())


# What a program may do, and what has to arrive of it.
REQUESTS: dict[str, tuple[bytes, bytes]] = {
    "a length": (b"Content-Length: 2\r\n\r\n{}", b"{}"),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
    "chunks and a trailer": (b"Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\nX: 1\r\n\r\n", b"{}"),
    "the length is named as of one hop": (
        b"Connection: content-length\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
    ),
    "an upgrade to HTTP/2": (b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    "no body": (b"\r\n", b""),
    "the same length twice": (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_arrives_with_its_body_and_one_way_to_read_it(case: str) -> None:
    lines, body = REQUESTS[case]

    async def work() -> None:
        provider = Provider(plain("200 OK", "Content-Length: 0"))
        head = f"POST /openai/v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer {TOKEN}\r\n"
        answer = await through(provider, lambda port: (head % port).encode() + lines)
        assert answer[0] == 200
        assert provider.bodies == [body]
        (sent,) = provider.heads
        assert sent.lower().count(b"content-length") + sent.lower().count(b"transfer-encoding") <= 1
        assert b"upgrade" not in sent.lower()
        assert f"authorization: Bearer {KEY}\r\n".encode() in sent

    run(work())


@pytest.mark.parametrize("lines", ["", "Origin: http://a.example\r\n"])
def test_a_program_that_waits_to_send_its_body_is_not_waited_for_after_a_refusal(lines: str) -> None:
    """Else its next request on the connection would be taken for the body."""

    async def work() -> None:
        more = f"Expect: 100-continue\r\n{lines}"
        async with open_gateway(Provider(b"").serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port, more=more).partition(b"{}")[0].replace(TOKEN.encode(), b"bad"))
            status, headers, _, whole = await reply(reader)
            assert (status, whole) == (403 if lines else 401, True)
            assert ("connection", "close") in headers
            assert await reader.read() == b""
            writer.close()

    run(work())


def test_neither_a_header_nor_a_query_takes_the_token_to_the_provider() -> None:
    async def work() -> None:
        provider = Provider(plain("200 OK", "Content-Length: 0"))
        more = f"Ocp-Apim-Subscription-Key: {TOKEN}\r\nX-Kept: 1\r\nX-Two: a; {TOKEN}\r\nCookie: {TOKEN}\r\n"
        query = f"key={TOKEN}&a=b&access_token={TOKEN}&c=d;key={TOKEN}"
        await through(provider, lambda port: request(port, "/openai/v1/x?" + query, more=more))
        (sent,) = provider.heads
        assert TOKEN.encode() not in sent
        assert b"x-kept: 1\r\n" in sent
        assert sent.startswith(b"POST /v1/x?a=b HTTP/1.1\r\n")

    run(work())


def test_two_requests_at_once_on_one_connection_are_answered_one_after_the_other() -> None:
    async def work() -> None:
        provider = Provider(plain("200 OK", "Content-Length: 2", body=b"{}"))
        async with open_gateway(provider.serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port, "/openai/v1/1") + request(port, "/openai/v1/2"))
            assert [(await reply(reader))[0] for _ in range(2)] == [200, 200]
            assert [head.split()[1] for head in provider.heads] == [b"/v1/1", b"/v1/2"]
            writer.close()

    run(work())


@pytest.mark.parametrize("token", [TOKEN, "bad"])
def test_a_request_in_tiny_chunks_leaves_turns_of_the_loop_to_others(token: str) -> None:
    """A program needs no token to send them."""
    chunks = 10_000

    async def work() -> None:
        provider = Provider(plain("200 OK", "Content-Length: 0"))
        async with open_gateway(provider.serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = request(port, body=b"", more="Transfer-Encoding: chunked\r\n")
            turns, others = counting()
            for _ in range(2):
                writer.write(head.replace(TOKEN.encode(), token.encode()) + b"1\r\nx\r\n" * chunks)
                writer.write(b"0\r\n\r\n")
            statuses = [(await reply(reader))[0] for _ in range(2)]
            # What follows on the connection arrives whole.
            writer.write(request(port, body=b"y" * 300_000))
            assert [*statuses, (await reply(reader))[0]] == ([200] * 3 if token == TOKEN else [401, 401, 200])
            others.cancel()
            writer.close()
            if token == TOKEN:
                assert provider.bodies[:2] == [b"x" * chunks] * 2
            assert provider.bodies[-1] == b"y" * 300_000
            assert turns[0] > chunks / 16

    run(work())


def test_head_with_a_body_that_is_none_is_no_exception_of_the_server() -> None:
    complaints: list[Any] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with open_gateway(Provider(b"").serve) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port, method="HEAD", body=b"", more="Transfer-Encoding: chunked\r\n"))
            writer.write(b"hello\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.close()

    run(work())
    assert complaints == []


@pytest.mark.parametrize("token", [TOKEN, "bad"])
def test_a_body_that_turns_out_to_be_none_ends_the_connection_and_nothing_else(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    complaints: list[Any] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        provider = Provider(plain("200 OK", "Content-Length: 0"))
        async with open_gateway(provider.serve) as (port, router):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            raw = request(port, body=b"", more="Transfer-Encoding: chunked\r\n").replace(
                TOKEN.encode(), token.encode()
            )
            writer.write(raw)
            if token != TOKEN:
                assert (await reply(reader))[0] == 401
            writer.write(b"hello\r\n")
            rest = await reader.read()
            assert rest == b"" if token != TOKEN else rest.startswith(b"HTTP/1.1 400 ")
            assert rest.count(b"HTTP/1.1") <= 1
            writer.close()
            while router.open:
                await asyncio.sleep(0)
            assert provider.heads == []

    run(work())
    assert complaints == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


class Watched(Direct):
    """Keeps how long the gateway would wait for each thing that it waits for."""

    def __init__(self) -> None:
        self.connects: list[float | None] = []
        self.reads: list[float | None] = []

    async def connect_tcp(self, *arguments: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        self.connects.append(more.get("timeout"))
        stream = await super().connect_tcp(*arguments, **more)
        real = stream.read

        async def read(most: int, timeout: float | None = None) -> bytes:
            self.reads.append(timeout)
            return await real(most, timeout)

        stream.read = read  # type: ignore[method-assign]
        return stream


def test_nothing_limits_how_long_a_model_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of 60 to 180 s are the first complaint about gateways. The server's own timer is of idleness."""
    monkeypatch.setattr(server, "KEPT_S", 0.05)
    backend = Watched()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.4)
        writer.write(CHUNKED + b"\r\n9\r\ndata: 1\n\n\r\n")
        await asyncio.sleep(0.4)
        writer.write(b"0\r\n\r\n")
        writer.close()

    async def work() -> None:
        async with open_gateway(slow, lambda: Upstream(lambda: backend)) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port))
            _, _, body, whole = await reply(reader)
            # Nothing of ours is put between the events: heartbeats break parsers.
            assert (body, whole) == (b"data: 1\n\n", True)
            writer.close()

    run(work())
    assert backend.connects == [10.0]
    assert min(wait for wait in backend.reads if wait is not None) >= 600
    assert None not in backend.reads


def test_no_answer_in_time_is_a_504(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "READ_S", 0.1)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work() -> None:
        async with open_gateway(silent) as (port, router):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port, "/google/v1beta/models/m:generateContent"))
            status, _, body, _ = await reply(reader)
            assert status == 504
            assert b'"status": "DEADLINE_EXCEEDED"' in body
            assert b"did not answer in time" in body
            while router.open:
                await asyncio.sleep(0)
            (outcome,) = router.outcomes
            assert outcome is not None
            assert (outcome.fault, outcome.status) == ("timeout", None)
            writer.close()

    run(work())


class Unreachable(Direct):
    """A host that takes no connection and refuses none."""

    def __init__(self) -> None:
        self.asked, self.given_up = asyncio.Event(), asyncio.Event()

    async def connect_tcp(self, *arguments: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()
        raise AssertionError


def test_a_program_that_leaves_while_we_connect_ends_that_too() -> None:
    async def work() -> None:
        backend = Unreachable()
        provider = Provider(b"")
        async with open_gateway(provider.serve, lambda: Upstream(lambda: backend)) as (port, router):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(port))
            await backend.asked.wait()
            writer.close()
            await backend.given_up.wait()
            while router.open:
                await asyncio.sleep(0)
            (outcome,) = router.outcomes
            assert outcome is not None
            assert (outcome.ended, outcome.status) == ("left", None)

    run(work())
