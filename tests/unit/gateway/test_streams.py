"""One connection to a provider on real sockets: data, breaks, and waiting in both directions."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpcore2
import pytest

from certificates import make_authority
from nexo_gateway.streams import MOST_AHEAD, Direct, Joined
from ports import free_port
from surroundings import PATIENCE_S

MUCH = 16 * 1024 * 1024
"""Bytes: more than both ends of a connection on loopback hold."""


class Peer(asyncio.Protocol):
    """The other end. Reads nothing before it is told to."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.gone = asyncio.Event()
        self.can_write = asyncio.Event()
        self.can_write.set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.came += data

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.gone.set()

    def break_off(self) -> None:
        """As a process does that is killed with bytes unread: by a reset."""
        found = self.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def has(self, amount: int) -> bytes:
        """What came, once it is so much."""
        self.transport.resume_reading()
        while len(self.came) < amount:
            await asyncio.sleep(0)
        return bytes(self.came)


@dataclass(frozen=True)
class Encrypted:
    """What both ends need for TLS."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@asynccontextmanager
async def connected(tls: Encrypted | None, backend: Direct) -> AsyncIterator[tuple[Any, Peer]]:
    """A stream, and its other end."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()

    class Told(Peer):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            peers.put_nowait(self)

    server = tls.server if tls else None
    listening = await asyncio.get_running_loop().create_server(Told, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    stream = await backend.connect_tcp("127.0.0.1", port, 10)
    if tls is not None:
        stream = await stream.start_tls(tls.client, "localhost", 10)
    peer = await peers.get()
    try:
        yield stream, peer
    finally:
        await stream.aclose()
        peer.transport.abort()
        listening.close()
        await listening.wait_closed()


Story = Callable[[Any, Peer], Awaitable[None]]


def told(story: Story, tls: Encrypted | None = None, backend: Direct | None = None) -> None:
    async def run() -> None:
        async with connected(tls, backend or Direct()) as (stream, peer):
            await story(stream, peer)

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


async def until_readable(stream: Any) -> None:
    while not stream.get_extra_info("is_readable"):
        await asyncio.sleep(0)


async def in_parts_and_then_the_end(stream: Any, peer: Peer) -> None:
    peer.transport.write(b"abcdef")
    assert await stream.read(4) == b"abcd"
    assert await stream.read(4) == b"ef"
    peer.transport.write(b"g")
    peer.transport.close()
    assert await stream.read(4) == b"g"
    assert [await stream.read(4), await stream.read(4)] == [b"", b""]


async def what_came_before_it_broke_is_read_first(stream: Any, peer: Peer) -> None:
    peer.transport.write(b"half")
    await until_readable(stream)
    assert await stream.read(1) == b"h"
    peer.break_off()
    assert await stream.read(9) == b"alf"
    for _ in range(2):
        with pytest.raises(httpcore2.ReadError):
            await stream.read(9)
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"more")


async def broken_while_somebody_reads(stream: Any, peer: Peer) -> None:
    reading = asyncio.create_task(stream.read(9))
    await asyncio.sleep(0)
    peer.break_off()
    with pytest.raises(httpcore2.ReadError):
        await reading


async def nothing_in_time_and_then_something(stream: Any, peer: Peer) -> None:
    with pytest.raises(httpcore2.ReadTimeout):
        await stream.read(9, timeout=0.01)
    peer.transport.write(b"late")
    assert await stream.read(9, timeout=10) == b"late"


async def who_gave_up_takes_no_bytes_with_them(stream: Any, peer: Peer) -> None:
    reading = asyncio.create_task(stream.read(9))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    peer.transport.write(b"kept")
    assert await stream.read(9) == b"kept"


async def a_stream_that_nobody_reads_holds_the_sender_up(stream: Any, peer: Peer) -> None:
    sent = bytes(range(256)) * (MUCH // 256)
    peer.transport.write(sent)
    while len(stream._came) <= MOST_AHEAD:
        await asyncio.sleep(0)
    # The system's buffers fill, and no more is taken out of them.
    held = -1
    while len(stream._came) != held:
        held = len(stream._came)
        for _ in range(50):
            await asyncio.sleep(0)
    # What one call of the system brings may come on top (asyncio asks for 256 kB).
    assert held <= MOST_AHEAD + 256 * 1024
    assert not peer.can_write.is_set()
    stream.in_body = True
    came = bytearray()
    while len(came) < len(sent):
        came += await stream.read(65536)
    assert came == sent
    await peer.can_write.wait()


async def who_writes_waits_for_a_peer_that_reads_nothing(stream: Any, peer: Peer) -> None:
    await stream.write(b"x" * MUCH)
    # The first one filled what there is.
    await asyncio.sleep(0)
    with pytest.raises(httpcore2.WriteTimeout):
        await stream.write(b"late", timeout=0.01)
    writing = asyncio.create_task(stream.write(b"end", timeout=10))
    await asyncio.sleep(0)
    assert not writing.done()
    assert await peer.has(MUCH + 3) == b"x" * MUCH + b"end"
    await writing


async def the_peer_leaves_while_somebody_waits_to_write(stream: Any, peer: Peer) -> None:
    await stream.write(b"x" * MUCH)
    await asyncio.sleep(0)
    writing = asyncio.create_task(stream.write(b"end", timeout=10))
    await asyncio.sleep(0)
    peer.break_off()
    with pytest.raises(httpcore2.WriteError):
        await writing


async def closed_by_us_without_waiting_for_a_peer_that_reads_nothing(stream: Any, peer: Peer) -> None:
    await stream.write(b"x" * MUCH)
    await asyncio.sleep(0)
    reading = asyncio.create_task(stream.read(9))
    await asyncio.sleep(0)
    await stream.aclose()
    with pytest.raises(httpcore2.ReadError):
        await reading
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"more")
    peer.transport.resume_reading()
    await peer.gone.wait()
    assert len(peer.came) < MUCH


async def a_kept_connection_that_the_peer_closed_is_seen(stream: Any, peer: Peer) -> None:
    assert not stream.get_extra_info("is_readable")
    peer.transport.close()
    await until_readable(stream)


async def what_came_beside_what_was_read_is_seen(stream: Any, peer: Peer) -> None:
    peer.transport.write(b"one")
    peer.transport.write(b"two")
    assert await stream.read(3) == b"one"
    await until_readable(stream)


async def what_is_known_of_both_ends(stream: Any, peer: Peer) -> None:
    ends = [stream.get_extra_info(name) for name in ("client_addr", "server_addr")]
    assert ends == [peer.transport.get_extra_info(name) for name in ("peername", "sockname")]
    assert stream.get_extra_info("ssl_object") is None


@pytest.mark.parametrize(
    "story",
    [
        in_parts_and_then_the_end,
        what_came_before_it_broke_is_read_first,
        broken_while_somebody_reads,
        nothing_in_time_and_then_something,
        who_gave_up_takes_no_bytes_with_them,
        a_stream_that_nobody_reads_holds_the_sender_up,
        who_writes_waits_for_a_peer_that_reads_nothing,
        the_peer_leaves_while_somebody_waits_to_write,
        closed_by_us_without_waiting_for_a_peer_that_reads_nothing,
        a_kept_connection_that_the_peer_closed_is_seen,
        what_came_beside_what_was_read_is_seen,
        what_is_known_of_both_ends,
    ],
    ids=lambda story: story.__name__,
)
def test_a_connection(story: Story) -> None:
    told(story)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Encrypted:
    authority = make_authority(tmp_path_factory.mktemp("certificates"))
    return Encrypted(authority.server("good"), ssl.create_default_context(cafile=authority.bundle))


async def amounts_both_ways(stream: Any, peer: Peer) -> None:
    await stream.write(b"x" * MUCH)
    assert await peer.has(MUCH) == b"x" * MUCH
    peer.transport.write(b"y" * MUCH)
    stream.in_body = True
    came = 0
    while came < MUCH:
        came += len(await stream.read(65536))
    assert came == MUCH


@pytest.mark.parametrize(
    "story",
    [
        in_parts_and_then_the_end,
        broken_while_somebody_reads,
        nothing_in_time_and_then_something,
        who_gave_up_takes_no_bytes_with_them,
        a_kept_connection_that_the_peer_closed_is_seen,
        what_came_beside_what_was_read_is_seen,
        amounts_both_ways,
    ],
    ids=lambda story: story.__name__,
)
def test_a_connection_under_tls(story: Story, encrypted: Encrypted) -> None:
    told(story, encrypted)


def test_a_connection_that_is_not_made_is_refused_or_late() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with pytest.raises(httpcore2.ConnectTimeout):
                await Direct().connect_tcp("127.0.0.1", port, 0)
        with pytest.raises(httpcore2.ConnectError):
            await Direct().connect_tcp("127.0.0.1", free_port(), 10)

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def test_what_came_is_looked_at_in_its_turn_and_waits_for_it_without_being_lost() -> None:
    asked, may = [0], asyncio.Event()

    class InTurn(Direct):
        async def turn(self) -> None:
            asked[0] += 1
            await may.wait()

    async def story(stream: Any, peer: Peer) -> None:
        peer.transport.write(b"kept")
        await until_readable(stream)
        reading = asyncio.create_task(stream.read(9))
        while not asked[0]:
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        reading = asyncio.create_task(stream.read(9))
        while asked[0] < 2:
            await asyncio.sleep(0)
        assert not reading.done()
        may.set()
        assert await reading == b"kept"

    told(story, backend=InTurn())


class Recorder(asyncio.Transport):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.events.append(bytes(data))

    def close(self) -> None:
        self.events.append("closed")


def test_what_is_written_within_a_turn_of_the_loop_leaves_in_one_piece_and_before_the_end() -> None:
    async def run() -> list[bytes | str]:
        recorder = Recorder()
        joined = Joined(recorder, asyncio.get_running_loop())
        joined.write(b"head ")
        joined.write(b"")
        joined.write(b"body")
        assert recorder.events == []
        await asyncio.sleep(0)
        joined.write(b"now")
        joined.flush()
        joined.write(b"last ")
        joined.write(b"words")
        joined.close()
        await asyncio.sleep(0)
        return recorder.events

    assert asyncio.run(run()) == [b"head body", b"now", b"last words", "closed"]
