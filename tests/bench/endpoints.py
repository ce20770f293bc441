"""Simulates many hosts 50 ms away: every address 127.x.y.z answers on one port with a model list.

`python endpoints.py` prints the port. Addresses in 127.9.0.0/16 accept connections and never answer. The
server is bare asyncio, so that it takes little CPU time.
"""

import asyncio
import sys

LATENCY_S = 0.05
BODY = b'{"object":"list","data":[{"id":"model-a","object":"model","created":1,"owned_by":"bench"}]}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
) + BODY


class Endpoint(asyncio.Protocol):
    """One connection: the first complete request is answered after the latency."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.asked = b""
        address = transport.get_extra_info("sockname")[0]
        self.hangs = address.startswith("127.9.")

    def data_received(self, data: bytes) -> None:
        self.asked += data
        if not self.hangs and self.asked.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(LATENCY_S, self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)
            self.transport.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Endpoint, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the benchmark that started it.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
