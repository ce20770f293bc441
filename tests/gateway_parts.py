"""A program that sends exact bytes to the gateway, and a daemon with an open gateway."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nexo_client import Client
from nexo_client.types import ConnectionDraft
from surroundings import Nexod


@dataclass(frozen=True)
class Reply:
    """A reply, with header names in lower case; `whole` if the body had the announced length."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


class Caller:
    """One connection to the gateway."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self.socket.makefile("rb")

    def __del__(self) -> None:
        # A test that ends while its caller waits does not close the connection itself.
        self._file.close()
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def request(
        self,
        method: str,
        target: str,
        token: str = "",
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def line(self) -> bytes:
        return self._file.readline()

    def chunk(self) -> bytes | None:
        """The next chunk; None when the connection broke; empty at a proper end."""
        size = self._file.readline()
        if not size:
            return None
        data = self._file.read(int(size, 16))
        self._file.readline()
        return data

    def reply(self) -> Reply:
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                piece = self.chunk()
                if not piece:
                    return Reply(status, headers, body, piece is not None)
                body += piece
        length = int(headers.get("content-length", "0"))
        body = self._file.read(length)
        return Reply(status, headers, body, len(body) == length)

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def ask(
    port: int,
    target: str,
    token: str = "",
    *,
    method: str = "POST",
    body: bytes | None = b"{}",
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Send one request on a new connection."""
    caller = Caller(port)
    try:
        caller.request(method, target, token, body, headers)
        return caller.reply()
    finally:
        caller.close()


def add(client: Client, name: str, base_url: str, *, key: str = "sk-real", provider: str = "custom") -> None:
    """Add a connection without testing it."""
    client.create_connection(ConnectionDraft(name=name, provider=provider, base_url=base_url, api_key=key))


@contextmanager
def opened(nexod: Nexod) -> Iterator[tuple[Client, str, int]]:
    """A client, the token of this process, and the port of the open gateway."""
    with nexod.client() as client:
        run = client.gateway.mint()
        yield client, run.secret, run.gateway.port
