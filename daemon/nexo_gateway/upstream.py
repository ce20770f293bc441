"""Sends requests to providers: one pool for each connection and way; redirects are not followed.

If the provider had closed a kept connection, the request is sent once more on another one, provided that the
provider's system received nothing of it and the body is still available. Other retries are left to the
program, because a request that arrived may have been executed.
"""

import asyncio
import contextlib
import errno
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable
from dataclasses import field
from typing import Any

import httpcore2

from nexo.connections.values import frozen
from nexo_gateway.pace import Pace
from nexo_gateway.pool import Connection, Pool
from nexo_gateway.streams import Direct, ProviderStream, TlsStream, begin_body
from nexo_gateway.way import Way

CONNECT_S = 10.0
PROXY_S = 30.0
"""Time in seconds to connect by a proxy, which itself waits for the provider."""
READ_S = 1800.0
"""Time to wait for an answer in seconds: models may think for minutes before the first byte."""
REPLAY_WITHIN_S = 5.0
"""A closed connection fails within so many seconds; after a later failure, the request may have run.

This alone decides where the system does not tell what arrived.
"""

MOST_POOLS = 64

Headers = list[tuple[bytes, bytes]]
Body = bytes | AsyncIterable[bytes]


class Fault(Exception):
    """There was no answer. `kind` is "connect", "tls", "proxy", "timeout" or "reset"; it holds no secrets."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Broken(Exception):
    """The answer broke off."""


class Outdated(Exception):
    """The target has changed since it was resolved. Nothing of the request was sent."""


@frozen
class OutgoingRequest:
    """A complete request. Its headers hold secrets.

    Attributes:
        pool: the id of the connection, whose pool is used.
        is_present: whether the target is still valid; checked right before the first byte is sent.
    """

    pool: str
    way: Way
    scheme: str
    host: str
    port: int
    method: str
    target: str
    headers: Headers = field(repr=False)
    body: Body = field(repr=False)
    is_present: Callable[[], bool]


@frozen
class Sent:
    """An answer whose body has not been read yet."""

    status: int
    headers: Headers
    body: AsyncIterable[bytes]


_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)

Backend = Callable[[], Direct]


class Upstream:
    """The pools. Used on one event loop; close it."""

    def __init__(self, backend: Backend = Direct) -> None:
        self._backend = backend()
        self._pace: Pace | None = None
        self._pools: OrderedDict[object, Pool] = OrderedDict()

    def pace(self, pace: Pace) -> None:
        """Use `pace` from now on for received data."""
        self._pace = pace
        self._backend.turn = pace.turn

    def paced(self, body: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
        """The body of an answer, in as many steps as it needs."""
        return body if self._pace is None else self._pace.paced(body)

    def send(self, outgoing: OutgoingRequest) -> "Sending":
        """Send a request: use it with `async with`; at its end open connections are closed.

        Raises:
            Outdated: the target has changed; nothing was sent.
            Fault: there was no answer.
            Broken: at the end of the block, if the body broke off inside.
        """
        return Sending(self, outgoing)

    def pool(self, outgoing: OutgoingRequest) -> Pool:
        """The pool for the request."""
        key = (outgoing.pool, outgoing.way, outgoing.scheme, outgoing.host, outgoing.port)
        pool = self._pools.get(key)
        if pool is None:
            origin = httpcore2.Origin(outgoing.scheme.encode(), outgoing.host.encode("ascii"), outgoing.port)
            pool = self._pools[key] = Pool(outgoing.way, origin, self._backend)
        self._pools.move_to_end(key)
        return pool

    def doubt(self) -> None:
        """The network changed, or the computer was suspended: connections may lead nowhere."""
        for pool in self._pools.values():
            pool.doubt()

    async def trim(self) -> None:
        """Close the pool that is idle for longest, if there are too many."""
        if len(self._pools) <= MOST_POOLS:
            return
        for key, pool in self._pools.items():
            if pool.rests:
                del self._pools[key]
                await pool.aclose()
                return

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            with contextlib.suppress(Exception):
                await pool.aclose()


class Sending:
    """A request in progress, with its connection. See `Upstream.send`."""

    __slots__ = ("_connection", "_outgoing", "_pool", "_response", "_stream", "_upstream")

    def __init__(self, upstream: Upstream, outgoing: OutgoingRequest) -> None:
        self._upstream = upstream
        self._outgoing = outgoing
        self._connection: Connection | None = None
        self._stream: ProviderStream | TlsStream | None = None

    async def __aenter__(self) -> Sent:
        self._pool = self._upstream.pool(self._outgoing)
        try:
            await self._pool.room()
            try:
                response = self._response = await self._first_answer()
            except BaseException:
                await self._leave()
                raise
        except httpcore2.TimeoutException as error:
            late = isinstance(error, httpcore2.ConnectTimeout)
            raise _lost(error) or Fault("connect" if late else "timeout", "did not answer in time") from None
        except httpcore2.ProxyError as error:
            raise Fault("proxy", f"the proxy refused ({_plain(error)})") from None
        except httpcore2.ConnectError as error:
            tls = any(isinstance(cause, ssl.SSLError) for cause in _causes(error))
            raise Fault("tls" if tls else "connect", _why(error)) from None
        except httpcore2.LocalProtocolError:
            raise Fault("reset", "cannot be sent this request, because its headers are invalid") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise _lost(error) or Fault("reset", "closed the connection before it answered") from None
        except OSError as error:
            raise Fault("connect", _why(error)) from None
        self._stream = begin_body(response)
        body: Any = response.stream
        return Sent(response.status, response.headers, self._upstream.paced(body))

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._leave()
        if isinstance(error, _BROKEN):
            # A broken body raises in the iteration, which is inside the block.
            raise Broken(type(error).__name__) from None

    async def _first_answer(self) -> httpcore2.Response:
        pool, outgoing = self._pool, self._outgoing
        used = await pool.resting() if isinstance(outgoing.body, bytes) else None
        if used is not None:
            self._connection, self._stream = used
        if not outgoing.is_present():
            raise Outdated
        if used is not None:
            began, received = time.monotonic(), used.stream.acknowledged()
            try:
                return await used.connection.handle_async_request(_request(outgoing))
            except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
                late = time.monotonic() - began > REPLAY_WITHIN_S
                if late or used.stream.heard or used.stream.acknowledged() != received:
                    raise
            await pool.done_with(*used)
            self._stream = None
        self._connection = pool.fresh()
        connecting = _Connecting(outgoing)
        try:
            # httpcore2 limits each step to a provider, but waits for the answers of a proxy as for any other.
            async with asyncio.timeout(None if outgoing.way.proxy is None else PROXY_S) as connecting.limit:
                return await self._connection.handle_async_request(_request(outgoing, connecting.trace))
        except TimeoutError:
            await connecting.give_up()
            raise Fault("proxy", "cannot be reached: the proxy does not connect in time") from None
        except BaseException:
            await connecting.give_up()
            raise

    async def _leave(self) -> None:
        pool, connection = self._pool, self._connection
        pool.leave()
        if connection is not None:
            await pool.done_with(connection, self._stream)
        await self._upstream.trim()


class _Connecting:
    """Watches how a connection is made, and cancels the request if its target changes meanwhile.

    Attributes:
        limit: of the time until the connection is made.
    """

    limit: asyncio.Timeout

    def __init__(self, outgoing: OutgoingRequest) -> None:
        self._outgoing = outgoing
        self._stream: httpcore2.AsyncNetworkStream | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """The trace callback of httpcore2."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            if not self._outgoing.is_present():
                raise Outdated
            if info["request"].method != b"CONNECT":
                self.limit.reschedule(None)
                # Later events are not needed, and tracing costs time.
                del info["request"].extensions["trace"]

    async def give_up(self) -> None:
        """Close a connection whose handshake was cancelled; httpcore2 2.16 does not."""
        if self._stream is not None:
            await self._stream.aclose()


def _request(outgoing: OutgoingRequest, trace: Any = None) -> httpcore2.Request:
    url = httpcore2.URL(
        scheme=outgoing.scheme, host=outgoing.host, port=outgoing.port, target=outgoing.target.encode("ascii")
    )
    extensions: dict[str, Any] = {"timeout": {"connect": CONNECT_S, "read": READ_S, "write": READ_S}}
    if trace is not None:
        extensions["trace"] = trace
    return httpcore2.Request(
        outgoing.method, url, headers=outgoing.headers, content=outgoing.body, extensions=extensions
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and len(found) < 8:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found


def _lost(
    error: httpcore2.TimeoutException | httpcore2.NetworkError | httpcore2.ProtocolError,
) -> Fault | None:
    """The fault if an open connection was lost; see `streams.LOST_S`."""
    if isinstance(error, httpcore2.ConnectTimeout):
        return None
    lost = any(isinstance(cause, OSError) and cause.errno == errno.ETIMEDOUT for cause in _causes(error))
    return Fault("timeout", "can no longer be reached") if lost else None


def _why(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a certificate that is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "does not speak TLS there"
        if isinstance(cause, ConnectionRefusedError):
            return "refused the connection"
    return "cannot be reached"


def _plain(error: BaseException) -> str:
    """The status line of a proxy, shortened: it is text from elsewhere."""
    text = "".join(character for character in str(error) if character.isprintable())
    return text[:80]
