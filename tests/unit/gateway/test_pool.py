"""The connection that the pool chooses for a request, with a provider on a real socket."""

import asyncio
import contextlib
import select
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from answering_server import AnsweringServer, Request
from certificates import Authority, make_authority
from nexo_gateway import pool, upstream
from nexo_gateway.pool import _MOST_RESTING
from nexo_gateway.upstream import Fault, Outdated, OutgoingRequest, Upstream
from nexo_gateway.way import ProxyHop, Way
from proxy_servers import HttpProxy
from surroundings import PATIENCE_S, wait_for

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Provider:
    """Answers each request once it may; counts what is open."""

    def __init__(self) -> None:
        self.port = 0
        self.answers_once = False
        self.connections = 0
        self.requests = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.gone = asyncio.Semaphore(0)
        self.may = asyncio.Event()
        self.may.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self.may.wait()
                writer.write(ANSWER)
                if self.answers_once:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.remove(writer)
            writer.close()
            self.gone.release()


@asynccontextmanager
async def a_provider() -> AsyncIterator[tuple[Provider, Upstream]]:
    provider, sender = Provider(), Upstream()
    listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = listening.sockets[0].getsockname()[1]
    try:
        yield provider, sender
    finally:
        await sender.aclose()
        listening.close()
        await listening.wait_closed()


def outgoing(port: int, pool: str = "a", way: Way | None = None, scheme: str = "http") -> OutgoingRequest:
    headers = [(b"host", b"h")]
    return OutgoingRequest(
        pool, way or Way(), scheme, "127.0.0.1", port, "GET", "/x", headers, b"", lambda: True
    )


async def ask(sender: Upstream, port: int, pool: str = "a") -> bytes:
    async with sender.send(outgoing(port, pool)) as sent:
        return b"".join([piece async for piece in sent.body])


def told(story: Callable[[Provider, Upstream], Awaitable[None]]) -> None:
    async def run() -> None:
        async with a_provider() as (provider, sender):
            await story(provider, sender)

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


async def one_after_the_other_takes_the_same(provider: Provider, sender: Upstream) -> None:
    for _ in range(3):
        assert await ask(sender, provider.port) == b"ok"
    assert provider.connections == 1


async def two_connections_of_ours_share_none(provider: Provider, sender: Upstream) -> None:
    await ask(sender, provider.port, "a")
    await ask(sender, provider.port, "b")
    assert provider.connections == 2


async def of_many_at_once_a_few_are_kept(provider: Provider, sender: Upstream) -> None:
    many = 2 * _MOST_RESTING
    provider.may.clear()
    going = [asyncio.create_task(ask(sender, provider.port)) for _ in range(many)]
    while provider.connections < many:
        await asyncio.sleep(0)
    provider.may.set()
    assert await asyncio.gather(*going) == [b"ok"] * many
    for _ in range(many - _MOST_RESTING):
        await provider.gone.acquire()
    assert len(provider.writers) == _MOST_RESTING


async def what_rested_too_long_is_closed(provider: Provider, sender: Upstream) -> None:
    await ask(sender, provider.port)
    await asyncio.sleep(0.05)
    await ask(sender, provider.port)
    await provider.gone.acquire()
    assert provider.connections == 2


async def after_a_change_of_the_network_all_are_new(provider: Provider, sender: Upstream) -> None:
    await ask(sender, provider.port)
    sender.doubt()
    provider.may.clear()
    going = asyncio.create_task(ask(sender, provider.port))
    await provider.gone.acquire()
    while provider.connections < 2:
        await asyncio.sleep(0)
    sender.doubt()
    provider.may.set()
    assert await going == b"ok"
    await provider.gone.acquire()
    for _ in range(2):
        await ask(sender, provider.port)
        assert provider.connections == 3


async def what_the_provider_closed_is_replaced(provider: Provider, sender: Upstream) -> None:
    await ask(sender, provider.port)
    provider.writers[0].close()
    await ask(sender, provider.port)
    assert provider.connections == 2


async def one_that_is_closed_with_its_answer_carries_no_other(provider: Provider, sender: Upstream) -> None:
    provider.answers_once = True
    for number in range(1, 4):
        assert await ask(sender, provider.port) == b"ok"
        assert provider.connections == number


async def whoever_finds_no_room_waits_until_there_is_some(provider: Provider, sender: Upstream) -> None:
    provider.may.clear()
    going = [asyncio.create_task(ask(sender, provider.port))]
    while not provider.connections:
        await asyncio.sleep(0)
    with pytest.MonkeyPatch.context() as patched:
        # It has to connect no more.
        patched.setattr(upstream, "CONNECT_S", 0.05)
        going += [asyncio.create_task(ask(sender, provider.port)) for _ in range(2)]
        await asyncio.sleep(2 * upstream.CONNECT_S)
    going[1].cancel()
    assert provider.connections == 1
    provider.may.set()
    assert await asyncio.gather(going[0], going[2]) == [b"ok", b"ok"]
    assert await ask(sender, provider.port) == b"ok"


async def closing_ends_also_what_is_in_use(provider: Provider, sender: Upstream) -> None:
    provider.may.clear()
    going = asyncio.create_task(ask(sender, provider.port))
    while not provider.connections:
        await asyncio.sleep(0)
    await sender.aclose()
    with pytest.raises(Fault):
        await going
    # What it answers now reaches nobody.
    provider.may.set()
    await provider.gone.acquire()


async def too_many_pools_close_the_one_that_rests_longest(provider: Provider, sender: Upstream) -> None:
    for name in "abac":
        await ask(sender, provider.port, name)
    await provider.gone.acquire()
    await ask(sender, provider.port, "a")
    assert provider.connections == 3
    for name in "bd":
        await ask(sender, provider.port, name)
        await provider.gone.acquire()
    assert provider.connections == 5


async def however_a_request_ends_its_place_is_free(provider: Provider, sender: Upstream) -> None:
    await ask(sender, provider.port)
    outdated = replace(outgoing(provider.port), is_present=lambda: False)
    with pytest.raises(Outdated):
        async with sender.send(outdated):
            pass
    assert provider.requests == 1
    provider.may.clear()
    going = asyncio.create_task(ask(sender, provider.port))
    while provider.requests < 2:
        await asyncio.sleep(0)
    provider.writers[0].close()
    with pytest.raises(Fault):
        await going
    provider.may.set()
    assert await ask(sender, provider.port) == b"ok"
    assert sender.pool(outdated).rests


async def a_closed_pool_keeps_no_connection(provider: Provider, sender: Upstream) -> None:
    async with sender.send(outgoing(provider.port, "in use")):
        provider.may.clear()
        # The second waits for room, and finds it when the first has ended and the pool was closed.
        going = [asyncio.create_task(ask(sender, provider.port)) for _ in range(2)]
        while provider.requests < 2:
            await asyncio.sleep(0)
        provider.may.set()
        assert await asyncio.gather(*going) == [b"ok", b"ok"]
        for _ in going:
            await provider.gone.acquire()


@pytest.mark.parametrize(
    "story",
    [
        one_after_the_other_takes_the_same,
        two_connections_of_ours_share_none,
        of_many_at_once_a_few_are_kept,
        what_rested_too_long_is_closed,
        what_the_provider_closed_is_replaced,
        after_a_change_of_the_network_all_are_new,
        one_that_is_closed_with_its_answer_carries_no_other,
        whoever_finds_no_room_waits_until_there_is_some,
        closing_ends_also_what_is_in_use,
        too_many_pools_close_the_one_that_rests_longest,
        however_a_request_ends_its_place_is_free,
        a_closed_pool_keeps_no_connection,
    ],
    ids=lambda story: story.__name__,
)
def test_connections(
    story: Callable[[Provider, Upstream], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if story is what_rested_too_long_is_closed:
        monkeypatch.setattr(pool, "KEPT_S", 0.01)
    if story in (
        whoever_finds_no_room_waits_until_there_is_some,
        however_a_request_ends_its_place_is_free,
        a_closed_pool_keeps_no_connection,
    ):
        monkeypatch.setattr(pool, "MOST_CONNECTIONS", 1)
    if story is too_many_pools_close_the_one_that_rests_longest:
        monkeypatch.setattr(upstream, "MOST_POOLS", 2)
    if story is a_closed_pool_keeps_no_connection:
        monkeypatch.setattr(upstream, "MOST_POOLS", 1)
    told(story)


HEARD = {
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "what is no HTTP": b"hello\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
if sys.platform == "linux":
    # Other systems do not tell that the provider read the request.
    HEARD["nothing"] = b""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("case", HEARD)
def test_a_request_that_was_read_is_not_sent_again(case: str, encrypted: bool, authority: Authority) -> None:
    """It may have been executed, so a second one would be paid a second time."""
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        for raw in (ANSWER, HEARD[case]):
            await reader.readuntil(b"\r\n\r\n")
            heard += 1
            writer.write(raw)
        writer.close()

    async def run() -> None:
        sender = Upstream()
        tls = authority.server("good") if encrypted else None
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = listening.sockets[0].getsockname()[1]
        way = Way(tls=ssl.create_default_context(cafile=authority.bundle)) if encrypted else Way()
        sent = replace(outgoing(port, way=way), host="localhost", scheme="https" if encrypted else "http")
        for number in range(2):
            with pytest.raises(Fault) if number else contextlib.nullcontext():
                async with sender.send(sent) as answer:
                    assert [piece async for piece in answer.body] == [b"ok"]
        assert heard == 2
        await sender.aclose()
        listening.close()
        await listening.wait_closed()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_request_that_nobody_read_is_sent_again(encrypted: bool, authority: Authority) -> None:
    def script(request: Request, connection: socket.socket) -> None:
        connection.sendall(ANSWER)
        # The next request has arrived.
        select.select([connection], [], [])

    async def run(server: AnsweringServer) -> None:
        sender = Upstream()
        way = Way(tls=ssl.create_default_context(cafile=authority.bundle)) if encrypted else Way()
        scheme = "https" if encrypted else "http"
        sent = replace(outgoing(server.port, way=way), host="localhost", scheme=scheme)
        for _ in range(3):
            async with sender.send(sent) as answer:
                assert [piece async for piece in answer.body] == [b"ok"]
        assert sender.pool(sent).rests
        await sender.aclose()

    def sent_again() -> bool:
        with AnsweringServer(script, tls=authority.server("good") if encrypted else None) as server:
            try:
                asyncio.run(asyncio.wait_for(run(server), PATIENCE_S))
            except Fault:
                return False
            return len(server.requests) == 3

    # Linux acknowledges after 40 ms what a program has not read, and on a busy machine that is soon over.
    wait_for(sent_again, "the requests that nobody read are sent again")


EXCESS = {
    "a second answer": ("GET", ANSWER + ANSWER.replace(b"ok", b"no"), b"ok"),
    "more than the length": ("GET", ANSWER + b"!", b"ok"),
    "a body for HEAD": ("HEAD", ANSWER, b""),
    "a body for 304": ("GET", ANSWER.replace(b"200", b"304"), b""),
}


@pytest.mark.parametrize("case", EXCESS)
def test_what_comes_beside_an_answer_is_not_the_answer_to_the_next_request(case: str) -> None:
    """The next request may be that of another program."""
    method, raw, body = EXCESS[case]
    heard: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                heard.append(writer)
                writer.write(raw if writer is heard[0] else ANSWER)
        writer.close()

    async def run() -> None:
        sender = Upstream()
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with sender.send(replace(outgoing(port), method=method)) as sent:
            assert b"".join([piece async for piece in sent.body]) == body
        assert await ask(sender, port) == b"ok"
        assert (len(heard), len(set(heard))) == (2, 2)
        await sender.aclose()
        listening.close()
        await listening.wait_closed()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


WAYS = {
    "tls": (Way(tls=ssl.create_default_context()), "https"),
    "socks": (Way(proxy=ProxyHop("socks5", "127.0.0.1", 0)), "http"),
    "tunnel": (Way(proxy=ProxyHop("http", "127.0.0.1", 0), tls=ssl.create_default_context()), "https"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_time_to_connect_by_a_proxy_is_no_limit_for_the_answer(
    scheme: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[asyncio.Timeout] = []
    real = asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        made = real(delay)
        if delay == upstream.PROXY_S:
            limits.append(made)
        return made

    monkeypatch.setattr(asyncio, "timeout", noted)

    async def run(port: int, proxy: int) -> None:
        tls = ssl.create_default_context(cafile=authority.bundle)
        way = Way(proxy=ProxyHop("http", "127.0.0.1", proxy), tls=tls if scheme == "https" else None)
        sender = Upstream()
        sent = replace(outgoing(port, way=way, scheme=scheme), host="localhost")
        async with sender.send(sent) as answer:
            assert [piece async for piece in answer.body] == [b"ok"]
        await sender.aclose()

    def script(request: Request, connection: socket.socket) -> bytes:
        return ANSWER

    tls = authority.server("good") if scheme == "https" else None
    with AnsweringServer(script, tls=tls) as server, HttpProxy() as proxy:
        asyncio.run(run(server.port, proxy.port))
    assert [limit.when() for limit in limits] == [None]


@pytest.mark.parametrize("given_up_by", ["program", "limit"])
@pytest.mark.parametrize("kind", WAYS)
def test_a_request_given_up_while_its_connection_is_made_leaves_none_behind(
    kind: str, given_up_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            spoken.set()
            await reader.read()
            gone.set()
        writer.close()

    if given_up_by == "limit":
        monkeypatch.setattr(upstream, "CONNECT_S", 0.2)
        monkeypatch.setattr(upstream, "PROXY_S", 0.2)

    async def run() -> None:
        listening = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        way, scheme = WAYS[kind]
        if way.proxy is not None:
            way = Way(proxy=ProxyHop(way.proxy.scheme, "127.0.0.1", port), tls=way.tls)
        sender = Upstream()

        async def send() -> None:
            async with sender.send(outgoing(port, way=way, scheme=scheme)):
                raise AssertionError

        if given_up_by == "program":
            going = asyncio.create_task(send())
            await spoken.wait()
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
        # On a busy machine the time may be over before a byte was sent.
        while not spoken.is_set():
            with pytest.raises(Fault) as fault:
                await send()
            assert fault.value.kind == ("connect" if way.proxy is None else "proxy")
        await gone.wait()
        await sender.aclose()
        listening.close()
        await listening.wait_closed()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
