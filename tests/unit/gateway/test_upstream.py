"""Nothing is sent if the request has to go elsewhere by the time that its connection is open."""

import asyncio
from typing import Any

import httpcore2
import pytest

from nexo_gateway.streams import Direct
from nexo_gateway.upstream import Fault, Outdated, OutgoingRequest, Upstream, Way
from ports import free_port
from surroundings import PATIENCE_S


class Slow(Direct):
    """Connects when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def connect_tcp(self, *arguments: Any, **more: Any) -> httpcore2.AsyncNetworkStream:
        self.asked.set()
        await self.may.wait()
        return await super().connect_tcp(*arguments, **more)


@pytest.mark.parametrize("body", [b"{}", None], ids=["held", "streamed"])
def test_a_request_whose_target_changed_while_it_was_connected_is_not_sent(body: bytes | None) -> None:
    came: list[bytes] = []
    present = True

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def pieces() -> Any:
        yield b"{}"

    async def run() -> None:
        nonlocal present
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        backend = Slow()
        upstream = Upstream(lambda: backend)

        def outgoing() -> OutgoingRequest:
            headers = [(b"host", b"h"), (b"transfer-encoding", b"chunked")]
            content = pieces() if body is None else body
            return OutgoingRequest(
                "a", Way(), "http", "127.0.0.1", port, "POST", "/x", headers, content, lambda: present
            )

        async def send() -> int:
            async with upstream.send(outgoing()) as sent:
                return sent.status

        going = asyncio.create_task(send())
        await backend.asked.wait()
        present = False
        backend.may.set()
        with pytest.raises(Outdated):
            await going
        present = True
        assert await send() == 200
        await upstream.aclose()
        listening.close()
        await listening.wait_closed()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    # The connection of the first was closed without a byte.
    assert [piece[:4] for piece in came] == [b"", b"POST"]


def test_a_host_that_refuses_is_a_fault_without_the_words_of_a_library() -> None:
    async def run() -> None:
        upstream = Upstream()
        outgoing = OutgoingRequest(
            "a", Way(), "http", "127.0.0.1", free_port(), "GET", "/", [(b"host", b"h")], b"", lambda: True
        )
        with pytest.raises(Fault) as raised:
            async with upstream.send(outgoing):
                pass
        assert (raised.value.kind, raised.value.text) == ("connect", "refused the connection")
        await upstream.aclose()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
