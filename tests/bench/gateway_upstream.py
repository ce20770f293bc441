"""Simulates a provider behind the gateway: `python gateway_upstream.py` prints its port.

It does as little as possible, so that the measured time is spent between it and the caller. `small` answers
with a short document, `stream` sends a chunk with the time every PACE_S, `hold` begins a stream and waits.
"""

import asyncio
import sys
import time
from typing import Any

PACE_S = 0.005
BODY = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hello"}}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk() -> bytes:
    """A chunk with the time at which it was sent, on a clock that all processes share."""
    line = b"data: %d\n\n" % time.monotonic_ns()
    return b"%x\r\n%b\r\n" % (len(line), line)


class Provider(asyncio.Protocol):
    """One connection; requests come one after the other, with a length."""

    def __init__(self) -> None:
        self._came = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if len(body) < int(lengths[0] if lengths else 0):
            return
        self._came = b""
        target = head.split(b" ", 2)[1]
        if b"stream" in target:
            self._task = asyncio.create_task(self._stream())
        elif b"hold" in target:
            self._transport.write(STREAM + chunk())
        else:
            self._transport.write(SMALL)

    async def _stream(self) -> None:
        self._transport.write(STREAM)
        while not self._transport.is_closing():
            self._transport.write(chunk())
            await asyncio.sleep(PACE_S)

    def connection_lost(self, _: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()


async def main() -> None:
    """Until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
