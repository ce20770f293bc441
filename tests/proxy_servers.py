"""Small real proxies on loopback: HTTP (CONNECT and forwarding) and SOCKS 5, with an optional password."""

import base64
import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from answering_server import AnsweringServer, Request, answer


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Copies both ways until either side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                try:
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)
                except OSError:
                    return


class HttpProxy(AnsweringServer):
    """Tunnels CONNECT and forwards plain requests; 407 without the right password."""

    def __init__(self, password: str = "") -> None:
        self._wanted = "Basic " + base64.b64encode(password.encode()).decode() if password else ""
        super().__init__(self._proxy)

    def _proxy(self, request: Request, connection: socket.socket) -> bytes | None:
        if self._wanted and request.headers.get("proxy-authorization") != self._wanted:
            return answer(
                407, b"<html>Proxy Authentication Required</html>", (("Content-Type", "text/html"),)
            )
        if request.method == "CONNECT":
            host, _, port = request.target.rpartition(":")
            try:
                upstream = socket.create_connection((host.strip("[]"), int(port)), 30)
            except OSError:
                return answer(502, b"cannot connect")
            with upstream:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _pump(connection, upstream)
            return None
        parts = urlsplit(request.target)
        assert parts.hostname
        with socket.create_connection((parts.hostname, parts.port or 80), 30) as upstream:
            lines = [f"{request.method} {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1"]
            kept = {name: value for name, value in request.headers.items() if not name.startswith("proxy-")}
            lines += [f"{name}: {value}" for name, value in (kept | {"connection": "close"}).items()]
            upstream.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
            upstream.settimeout(5)
            reply = b""
            with contextlib.suppress(TimeoutError):
                while True:
                    reply += upstream.recv(65536)
                    head, found, body = reply.partition(b"\r\n\r\n")
                    if found and len(body) >= _length(head):
                        return reply
        return reply


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class SocksProxy:
    """SOCKS 5 (RFC 1928, RFC 1929); remembers the hosts that it was asked for."""

    def __init__(self, password: str = "") -> None:
        self.asked_for: list[str] = []
        self._password = password.encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._accept, daemon=True))
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            stream = connection.makefile("rb", buffering=0)
            _, methods = stream.read(1), stream.read(stream.read(1)[0])
            wanted = 2 if self._password else 0
            if wanted not in methods:
                connection.sendall(b"\x05\xff")
                return
            connection.sendall(bytes([5, wanted]))
            if wanted == 2:
                stream.read(1)
                user = stream.read(stream.read(1)[0])
                password = stream.read(stream.read(1)[0])
                good = user + b":" + password == self._password
                connection.sendall(b"\x01\x00" if good else b"\x01\x01")
                if not good:
                    return
            kind = stream.read(4)[3]
            if kind == 3:
                host = stream.read(stream.read(1)[0]).decode()
            else:
                host = socket.inet_ntop(
                    socket.AF_INET if kind == 1 else socket.AF_INET6, stream.read(4 if kind == 1 else 16)
                )
            port = int.from_bytes(stream.read(2), "big")
            self.asked_for.append(host)
            # The proxy resolves names; in a test all of them mean this computer.
            try:
                upstream = socket.create_connection(("127.0.0.1", port), 30)
            except OSError:
                connection.sendall(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
                return
            with upstream:
                connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
                _pump(connection, upstream)
