"""Neither connections nor headers without a valid token keep a program that has one from its answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from nexo_gateway import server
from nexo_gateway.protocol import MOST_HEADERS
from open_gateway import OneRoute, open_gateway, reply, request
from surroundings import PATIENCE_S

MOST = 8
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Call = Callable[[], Awaitable[Connection]]


class Provider:
    """Answers at once; a request to /slow when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop ends while connections of the pool are open.
        with (
            contextlib.closing(writer),
            contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError),
        ):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                if b"/slow" in head:
                    self.asked.set()
                    await self.go_on.wait()
                writer.write(OK)


def run(work: Awaitable[None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await work

    asyncio.run(limited())


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", MOST)


@asynccontextmanager
async def gateway(provider: Provider | None = None) -> AsyncIterator[tuple[int, OneRoute, Call]]:
    """The port and the router of a gateway, and what connects to it; the connections are closed."""
    opened: list[Connection] = []

    async def call() -> Connection:
        opened.append(await asyncio.open_connection("127.0.0.1", port))
        return opened[-1]

    async with open_gateway((provider or Provider()).serve) as (port, router):
        try:
            yield port, router, call
        finally:
            for _, writer in opened:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


async def status(connection: Connection, raw: bytes) -> int:
    reader, writer = connection
    writer.write(raw)
    return (await reply(reader))[0]


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /openai/v1/x HTTP/1.1\r\n", b"GET /openai/v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"],
    ids=["silent", "half a request", "refused"],
)
def test_idle_connections_without_a_token_make_room(said: bytes) -> None:
    async def work() -> None:
        async with gateway() as (port, _, call):
            idle = []
            for _ in range(3 * MOST):
                idle.append(await call())
                idle[-1][1].write(said % port if b"%" in said else said)
                if b"%" in said:
                    assert (await reply(idle[-1][0]))[0] == 401
            assert await status(await call(), request(port)) == 200
            # The oldest were closed, the newest are open.
            await idle[0][0].read()
            assert not idle[-1][0].at_eof()

    run(work())


def test_a_connection_that_showed_a_token_is_closed_after_those_that_did_not() -> None:
    async def work() -> None:
        async with gateway() as (port, _, call):
            program = await call()
            assert await status(program, request(port)) == 200
            for _ in range(3 * MOST):
                await call()
            assert await status(program, request(port)) == 200

    run(work())


def test_of_programs_the_one_that_was_quiet_for_the_longest_makes_room_and_none_in_a_request() -> None:
    async def work() -> None:
        provider = Provider()
        async with gateway(provider) as (port, _, call):
            busy = await call()
            busy[1].write(request(port, "/openai/v1/slow"))
            await provider.asked.wait()
            programs = [await call() for _ in range(MOST - 2)]
            for program in [*programs, programs[0]]:
                assert await status(program, request(port)) == 200
            assert await status(await call(), request(port)) == 200
            assert await programs[1][0].read() == b""
            provider.go_on.set()
            assert (await reply(busy[0]))[0] == 200
            assert await status(programs[0], request(port)) == 200

    run(work())


def test_if_all_are_busy_one_more_is_told_so() -> None:
    async def work() -> None:
        provider = Provider()
        async with gateway(provider) as (port, router, call):
            programs = [await call() for _ in range(MOST - 1)]
            for _, writer in programs:
                writer.write(request(port, "/openai/v1/slow"))
            while router.open < len(programs):
                await asyncio.sleep(0)
            assert await status(await call(), request(port)) == 503
            provider.go_on.set()
            for reader, _ in programs:
                assert (await reply(reader))[0] == 200

    run(work())


def headers(count: int) -> str:
    return "".join(f"x-{number}: 1\r\n" for number in range(count))


# `request` sends three headers itself.
@pytest.mark.parametrize(
    ("more", "expected"), [(MOST_HEADERS - 3, 200), (MOST_HEADERS - 2, 431), (15_000, 431)]
)
def test_a_request_has_so_many_headers_and_no_more(more: int, expected: int) -> None:
    async def work() -> None:
        async with gateway() as (port, _, call):
            reader, writer = await call()
            raw = request(port, more=headers(more) if more < 15_000 else "a:b\r\n" * more)
            writer.write(raw)
            code, _, body, whole = await reply(reader)
            assert (code, whole) == (expected, True)
            assert (b"100 headers" in body) == (expected == 431)
            if expected == 431:
                assert await reader.read() == b""

    run(work())


def test_lines_of_a_body_are_no_headers() -> None:
    async def work() -> None:
        async with gateway() as (port, _, call):
            reader, writer = await call()
            raw = request(port, body=b"\n" * 5000) + request(port)
            for cut in range(0, len(raw), 997):
                writer.write(raw[cut : cut + 997])
                await writer.drain()
            assert [(await reply(reader))[0] for _ in range(2)] == [200, 200]

    run(work())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_head_beyond_the_limit_of_bytes_is_told_so(method: str) -> None:
    async def work() -> None:
        async with gateway() as (port, _, call):
            reader, writer = await call()
            writer.write(request(port, method=method, body=b"", more=f"x: {'a' * 70_000}")[:-4])
            said = await reader.read()
            assert said.startswith(b"HTTP/1.1 431 ")
            assert said.endswith(b"64 kB\n") == (method == "GET")

    run(work())
