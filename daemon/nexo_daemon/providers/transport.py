"""Sends one request and reports each layer of its connection. Does not judge the answer.

An `HttpSession` is a client for one origin. It parses answers with httpx, and uses httpcore2 with the
gateway's streams: only a backend of our own can report name resolution and connecting separately for the
connection that carries the request. Redirects are not followed here, because the key would be sent along.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol, cast

import httpcore2
import httpx

from nexo.connections.proxies import DEFAULT_PORTS, is_loopback
from nexo.connections.terms import Layer
from nexo.connections.values import frozen
from nexo_daemon.providers.dns import resolve
from nexo_daemon.providers.exchange import Cut, ExchangeFault, HttpAnswer, Outgoing
from nexo_daemon.providers.eyeballs import first_of, is_address
from nexo_daemon.providers.layers import PLAIN
from nexo_daemon.providers.proxies import Proxy
from nexo_gateway.streams import Direct, ProviderStream, begin_body

RESOLVE_TIMEOUT_S = 6.0
"""The system's resolver sends a lost query again after 5 seconds."""
CONNECT_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_HEADERS = 200
_COMPRESSED = ("gzip", "x-gzip", "deflate")
_BROKEN = (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError)

Notice = Callable[[Layer, float | None, str], None]
"""Called when a layer was passed: the layer, seconds (None: it does not apply), and the evidence."""


@frozen
class Route:
    """The way to an origin. `host` is ASCII, without brackets."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = None
    proxy_tls: ssl.SSLContext | None = None


class HttpSession:
    """A client for one origin, for the requests of one check or test. Close it."""

    def __init__(self, route: Route, notice: Notice | None) -> None:
        self._route = route
        self._progress = _Progress(route, notice)
        proxy = None
        if route.proxy:
            pair = route.proxy.credentials
            proxy = httpcore2.Proxy(
                url=httpcore2.URL(
                    scheme=route.proxy.scheme, host=route.proxy.host, port=route.proxy.port, target="/"
                ),
                auth=(pair[0].encode(), pair[1].encode()) if pair else None,
                ssl_context=route.proxy_tls if route.proxy.scheme == "https" else None,
            )
        socks = route.proxy is not None and route.proxy.scheme.startswith("socks")
        self._backend = _Backend(self._progress, _Greeted if socks else None)
        self._pool: httpcore2.AsyncConnectionPool | _OneConnection = (
            _OneConnection(route.tls, self._backend)
            if proxy is None
            else httpcore2.AsyncConnectionPool(
                ssl_context=route.tls,
                proxy=proxy,
                max_connections=1,
                max_keepalive_connections=1,
                network_backend=self._backend,
            )
        )

    async def send(
        self, outgoing: Outgoing, *, timeout_s: float, max_bytes: int = MAX_BODY_BYTES
    ) -> HttpAnswer:
        """Send one request and return its answer, even if that is a redirect.

        If the server has closed a kept connection, the request is sent again once on a new one; call
        `reconnect` before a request that must not be sent twice.

        Raises:
            ExchangeFault: no usable answer within the time limit.
        """
        started = time.monotonic()
        try:
            return await self._send(outgoing, started, timeout_s, max_bytes)
        except ExchangeFault as fault:
            stale = isinstance(fault.cause, _BROKEN) and not self._progress.fresh
            left = timeout_s - (time.monotonic() - started)
            if not stale or left <= 0:
                raise
            return await self._send(outgoing, started, left, max_bytes)

    async def reconnect(self) -> None:
        """Use a new connection for the next request."""
        await self._pool.aclose()

    async def _send(self, outgoing: Outgoing, started: float, timeout_s: float, max_bytes: int) -> HttpAnswer:
        self._progress.begin()
        wait = max(timeout_s, 0.001)
        route = self._route
        port = None if route.port == DEFAULT_PORTS[route.scheme] else route.port
        request = httpcore2.Request(
            outgoing.method,
            httpcore2.URL(scheme=route.scheme, host=route.host, port=port, target=outgoing.target),
            headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in outgoing.headers],
            content=outgoing.body,
            # All other steps share one time limit around the whole request.
            extensions={"timeout": {"connect": min(CONNECT_TIMEOUT_S, wait)}} | self._progress.tracing,
        )
        reading = _Reading(max_bytes)
        try:
            async with asyncio.timeout(wait):
                response = await self._pool.handle_async_request(request)
                begin_body(response)
                # The raw stream, without httpcore2's generator and checks in front of it.
                stream = cast("_Body", response.stream)
                try:
                    await reading.read(response.status, response.headers, stream)
                finally:
                    await stream.aclose()
        except _BROKEN as error:
            if reading.status is None:
                raise self._progress.fault(error, started) from error
            # The status was received, so the answer is useful even without its whole body.
            reading.cut = Cut.CLOSED
        except Exception as error:
            if isinstance(error, ExchangeFault):
                raise
            raise self._progress.fault(error, started, reading.describe()) from error
        assert reading.status is not None  # noqa: S101 - set before the body is read
        return HttpAnswer(
            reading.status, reading.headers, bytes(reading.body), reading.cut, time.monotonic() - started
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()
        # The pool loses a connection whose TLS handshake or proxy dialogue is cancelled (httpcore 1.0.9).
        for stream in self._backend.opened:
            await stream.aclose()


class _OneConnection:
    """One connection used by successive requests: like a pool of one, but a tenth cheaper."""

    def __init__(self, tls: ssl.SSLContext | None, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._tls = tls
        self._backend = backend
        self._connection: httpcore2.AsyncHTTPConnection | None = None

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        known = self._connection
        if known is None or not known.is_available() or known.has_expired():
            await self.aclose()
            known = self._connection = httpcore2.AsyncHTTPConnection(
                request.url.origin, ssl_context=self._tls, network_backend=self._backend
            )
        return await known.handle_async_request(request)

    async def aclose(self) -> None:
        known, self._connection = self._connection, None
        if known is not None:
            await known.aclose()


class _Body(Protocol):
    """The stream of a httpcore2 response."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class _Reading:
    """A body being received, limited before and after decompression."""

    def __init__(self, max_bytes: int) -> None:
        self.status: int | None = None
        self.headers = httpx.Headers()
        self.body = bytearray()
        self.cut = Cut.NO
        self._received = 0
        self._max = max_bytes

    def describe(self) -> str:
        return "" if self.status is None else f"status {self.status} and {self._received} bytes had arrived"

    async def read(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: _Body) -> None:
        self.status, self.headers = status, httpx.Headers(headers)
        if len(headers) > MAX_HEADERS:
            self.cut = Cut.TOO_MANY_HEADERS
            return
        encoding = self.headers.get("content-encoding", "").strip().lower()
        # 32 + MAX_WBITS: zlib detects gzip and zlib formats.
        inflate = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in _COMPRESSED else None
        async for chunk in body:
            self._received += len(chunk)
            room = self._max - len(self.body)
            if inflate is None:
                self.body += chunk[:room]
                full = len(chunk) > room
            else:
                try:
                    self.body += inflate.decompress(chunk, room + 1)
                except zlib.error:
                    self.cut = Cut.ENCODING
                    return
                full = len(self.body) > self._max
            if full or self._received > self._max:
                del self.body[self._max :]
                self.cut = Cut.TOO_LARGE
                return
        if inflate is None:
            # Some servers name a charset there. As the SDKs do, such a body is read as it is. What is really
            # compressed is not UTF-8.
            if encoding not in ("", "identity") and not _is_utf8(self.body):
                self.cut = Cut.ENCODING
        elif self._received and not inflate.eof:
            self.cut = Cut.INCOMPLETE


def _is_utf8(body: bytearray) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Progress:
    """The state of the current request, and the results for each layer of its connection."""

    def __init__(self, route: Route, notice: Notice | None) -> None:
        self._route = route
        self._notice = notice
        self._plain = route.scheme == "http" and route.proxy is None
        self._since = 0.0
        self._layer = Layer.HTTP
        self._peer = ""
        self._reported: set[Layer] = set()
        self._addresses: Sequence[str] = ()
        self.fresh = False

    @property
    def tracing(self) -> dict[str, Any]:
        """The trace extension for httpcore2. Unused for http:// without a proxy, because there is only
        HTTP after connecting."""
        return {} if self._plain else {"trace": self.trace}

    def begin(self) -> None:
        self.fresh = False
        # For a kept connection; a new one starts with `resolving`.
        self._layer = Layer.HTTP
        self._since = time.monotonic()

    def fault(self, cause: BaseException, started: float, detail: str = "") -> ExchangeFault:
        proxy = self._route.proxy
        at_proxy = proxy is not None and self._layer in (Layer.DNS, Layer.TCP)
        return ExchangeFault(
            self._layer,
            cause,
            host=proxy.host if proxy and at_proxy else self._route.host,
            via_proxy=at_proxy,
            connected=bool(self._peer),
            loopback=bool(self._addresses) and all(map(is_loopback, self._addresses)),
            elapsed_s=time.monotonic() - started,
            detail=detail or self._peer,
        )

    def resolving(self) -> None:
        self.fresh = True
        self._layer, self._since, self._peer = Layer.DNS, time.monotonic(), ""

    def resolved(self, known: Sequence[str], *, literal: bool) -> None:
        self._addresses = known
        if self._route.proxy:
            self._pass(Layer.DNS, None, f"{self._route.host} is resolved by the proxy")
        elif literal:
            self._pass(Layer.DNS, None, "the URL holds an address")
        else:
            more = f" and {len(known) - 3} more" if len(known) > 3 else ""
            self._pass(Layer.DNS, self._lap(), ", ".join(known[:3]) + more)
        self._layer, self._since = Layer.TCP, time.monotonic()

    def connected(self, address: str, port: int) -> None:
        self._peer = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        if self._plain:
            self._sending()

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        where, _, step = event.partition(".")
        if step == "start_tls.started":
            # With an HTTPS proxy, the first of two handshakes is with the proxy.
            if self._route.proxy is None or where != "connection":
                self._tcp_passed()
                self._layer, self._since = Layer.TLS, time.monotonic()
        elif step == "start_tls.complete":
            if self._layer is Layer.TLS:
                # Reading a certificate costs time, and periodic checks do not show it.
                evidence = _describe_tls(info["return_value"]) if self._notice else ""
                self._pass(Layer.TLS, self._lap(), evidence)
        elif step == "send_request_headers.started" and info["request"].method != b"CONNECT":
            self._sending()
            # Later events are not needed, and tracing costs time.
            del info["request"].extensions["trace"]

    def _sending(self) -> None:
        if self._route.scheme == "http" and Layer.TCP not in self._reported and self._peer:
            self._tcp_passed()
            self._pass(Layer.TLS, None, PLAIN)
        self._layer, self._since = Layer.HTTP, time.monotonic()

    def _tcp_passed(self) -> None:
        via = f"proxy {self._route.proxy.scheme} " if self._route.proxy else ""
        self._pass(Layer.TCP, self._lap(), via + self._peer)

    def _pass(self, layer: Layer, elapsed: float | None, evidence: str) -> None:
        if layer not in self._reported:
            self._reported.add(layer)
            if self._notice:
                self._notice(layer, elapsed, evidence)

    def _lap(self) -> float:
        return time.monotonic() - self._since


def _describe_tls(stream: httpcore2.AsyncNetworkStream) -> str:
    tls = stream.get_extra_info("ssl_object")
    if tls is None:
        return ""
    parts = [str(tls.version())]
    if cipher := tls.cipher():
        parts.append(cipher[0])
    if (certificate := tls.getpeercert()) and "notAfter" in certificate:
        expiry = time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(certificate["notAfter"])))
        parts.append(f"certificate valid until {expiry}")
    return ", ".join(parts)


def load_backend() -> None:
    """Import the modules that httpcore2 imports at the first request, which takes 20 ms on the event loop."""
    asyncio.run(httpcore2.AnyIOBackend().sleep(0.0))


class _Backend(Direct):
    """Opens connections, and reports name resolution and TCP separately."""

    def __init__(
        self, progress: _Progress, wrapper: Callable[[Any], httpcore2.AsyncNetworkStream] | None
    ) -> None:
        self.opened: list[httpcore2.AsyncNetworkStream] = []
        self._progress = progress
        self._wrapper = wrapper

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        async def attempt(address: str) -> httpcore2.AsyncNetworkStream:
            return await super(_Backend, self).connect_tcp(address, port)

        self._progress.resolving()
        literal = is_address(host)
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            addresses = [host] if literal else await resolve(host, port)
        self._progress.resolved(addresses, literal=literal)
        async with asyncio.timeout(timeout):
            address, stream = await first_of(addresses, attempt)
        self.opened.append(stream)
        self._progress.connected(address, port)
        return self._wrapper(stream) if self._wrapper else stream


class _Greeted(httpcore2.AsyncNetworkStream):
    """A stream to a SOCKS proxy, with a time limit for its greeting, which httpcore2 does not have.

    A SOCKS proxy answers at once; an HTTP server waits for the end of a line that never comes.
    """

    def __init__(self, stream: ProviderStream) -> None:
        self._stream = stream
        self._greeted = False

    @property
    def in_body(self) -> bool:
        """See `nexo_gateway.streams.Heard`."""
        return self._stream.in_body

    @in_body.setter
    def in_body(self, begun: bool) -> None:
        self._stream.in_body = begun

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._greeted:
            return await self._stream.read(max_bytes, timeout)
        try:
            data = await self._stream.read(max_bytes, CONNECT_TIMEOUT_S)
        except httpcore2.ReadTimeout as error:
            raise httpcore2.ConnectTimeout from error
        self._greeted = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return await self._stream.start_tls(ssl_context, server_hostname, timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
