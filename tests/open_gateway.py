"""Runs the gateway without a daemon in the event loop of a test, with the real listener, parser and sockets.

For tests that send too many requests for a daemon, or that look into the gateway. The test supplies the
router; everything between the program and the provider is the code that the daemon runs.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nexo_daemon.kept_sockets import KeptSockets
from nexo_gateway.router import Asked, CallOutcome, DialectEndpoint, Target, not_known
from nexo_gateway.server import Listener
from nexo_gateway.upstream import Upstream, Way
from ports import free_port

TOKEN = "nexo_" + "t" * 43
KEY = "sk-of-the-account"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class OneRoute:
    """A router that sends every request with the token to one port on loopback."""

    port: int
    path: str = "/v1"
    open: int = 0
    outcomes: list[CallOutcome | None] = field(default_factory=list)

    def bearer(self, token: str) -> str:
        if token != TOKEN:
            raise not_known()
        return "somebody"

    async def resolve(self, bearer: str, asked: Asked) -> Target:
        authority = f"127.0.0.1:{self.port}"
        headers = (("authorization", f"Bearer {KEY}"),)
        endpoint = DialectEndpoint("http", "127.0.0.1", self.port, authority, self.path, "", headers)
        return Target("id-of-work", "work", endpoint, Way(), (KEY,), lambda: True)

    def began(self, bearer: str, asked: Asked) -> Callable[[CallOutcome | None], None]:
        self.open += 1
        return self._ended

    def _ended(self, outcome: CallOutcome | None) -> None:
        self.open -= 1
        self.outcomes.append(outcome)


@asynccontextmanager
async def open_gateway(
    serve: Serve, upstream: Callable[[], Upstream] = Upstream
) -> AsyncIterator[tuple[int, OneRoute]]:
    """The port of a gateway whose provider is `serve`."""
    provider = await asyncio.start_server(serve, "127.0.0.1", 0)
    router = OneRoute(provider.sockets[0].getsockname()[1])
    listener = Listener(router, upstream, KeptSockets({}))
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nexo-") as directory:
        await listener.start(port, Path(directory) / "gateway.sock")
        try:
            yield port, router
        finally:
            await listener.stop(for_good=True)
            provider.close()
            await provider.wait_closed()


def request(
    port: int, target: str = "/openai/v1/x", method: str = "POST", body: bytes = b"{}", more: str = ""
) -> bytes:
    """A valid request; `more` are further header lines with their line ends."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    return f"{head}{length}{more}\r\n".encode() + body


async def reply(reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]], bytes, bool]:
    """Status, headers (names in lower case) and body of an answer, and whether it was complete."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    fields = (line.partition(":") for line in head[1:])
    headers = [(name.lower(), value.strip()) for name, _, value in fields]
    told = dict(headers)
    body = b""
    try:
        if told.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(told.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return int(head[0].split()[1]), headers, body, False
    return int(head[0].split()[1]), headers, body, True
