"""How does a request travel to the provider? One pool of connections a way and connection, no redirects.

A kept connection that the provider has closed meanwhile is replaced once, if nothing of the answer came and
the body is still at hand. Everything else is the program's to try again: what was sent may have run.
"""

import contextlib
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
from nexo_gateway.streams import Direct
from nexo_gateway.way import Way

CONNECT_S = 10.0
READ_S = 1800.0
"""Models think for minutes before the first byte; a shorter limit is the first complaint about gateways."""
REPLAY_WITHIN_S = 5.0
"""A connection that was closed while it was kept breaks at once; what breaks later may have run."""

MOST_POOLS = 64

Headers = list[tuple[bytes, bytes]]
Body = bytes | AsyncIterable[bytes]


class Fault(Exception):
    """No answer came. `kind` is "connect", "tls", "proxy", "timeout" or "reset"; the text holds no secret."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Broken(Exception):
    """The answer broke off in the middle."""


class Outdated(Exception):
    """Where the request was to go is no longer where it has to go. Nothing of it was sent."""


@frozen
class Letter:
    """A request, complete. Holds secrets in its headers.

    Attributes:
        pool: whose connections it may use: the connection's id.
        is_present: whether it still has to go there; asked right before the first byte is sent.
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
    """An answer whose body is still to come."""

    status: int
    headers: Headers
    body: AsyncIterable[bytes]


_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)

Backend = Callable[[], Direct]


class Upstream:
    """The pools. Belongs to one event loop; close it."""

    def __init__(self, backend: Backend = Direct) -> None:
        self._backend = backend()
        self._pools: OrderedDict[object, Pool] = OrderedDict()

    def pace(self, pace: Pace) -> None:
        """Take a turn for all that comes, from now on."""
        self._backend.turn = pace.turn

    def send(self, letter: Letter) -> "Sending":
        """Send a request: `async with` it; leaving closes what is still open.

        Raises:
            Outdated: it has to go elsewhere by now; nothing was sent.
            Fault: no answer came.
            Broken: on leaving, where the body broke off within.
        """
        return Sending(self, letter)

    def pool(self, letter: Letter) -> Pool:
        """The connections that it may use."""
        key = (letter.pool, letter.way, letter.scheme, letter.host, letter.port)
        pool = self._pools.get(key)
        if pool is None:
            origin = httpcore2.Origin(letter.scheme.encode(), letter.host.encode("ascii"), letter.port)
            pool = self._pools[key] = Pool(letter.way, origin, self._backend)
        self._pools.move_to_end(key)
        return pool

    async def trim(self) -> None:
        """Close the pool that rests for longest, where there are too many."""
        if len(self._pools) <= MOST_POOLS:
            return
        for key, pool in self._pools.items():
            if pool.rests:
                del self._pools[key]
                await pool.aclose()
                return

    async def aclose(self) -> None:
        """Closes every connection."""
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            with contextlib.suppress(Exception):
                await pool.aclose()


class Sending:
    """A request on its way, and the connection that carries it. See `Upstream.send`."""

    __slots__ = ("_connection", "_letter", "_pool", "_response", "_upstream")

    def __init__(self, upstream: Upstream, letter: Letter) -> None:
        self._upstream = upstream
        self._letter = letter
        self._connection: Connection | None = None

    async def __aenter__(self) -> Sent:
        self._pool = self._upstream.pool(self._letter)
        try:
            await self._pool.room(CONNECT_S)
            try:
                response = self._response = await self._first_answer()
            except BaseException:
                await self._leave()
                raise
        except httpcore2.TimeoutException as error:
            late = isinstance(error, httpcore2.ConnectTimeout | httpcore2.PoolTimeout)
            raise Fault("connect" if late else "timeout", "did not answer in time") from None
        except httpcore2.ProxyError as error:
            raise Fault("proxy", f"the proxy refused ({_plain(error)})") from None
        except httpcore2.ConnectError as error:
            tls = any(isinstance(cause, ssl.SSLError) for cause in _causes(error))
            raise Fault("tls" if tls else "connect", _why(error)) from None
        except httpcore2.LocalProtocolError:
            raise Fault("reset", "cannot be sent this request, because its headers are invalid") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            raise Fault("reset", "closed the connection before it answered") from None
        except OSError as error:
            raise Fault("connect", _why(error)) from None
        body: Any = response.stream
        return Sent(response.status, response.headers, body)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._leave()
        if isinstance(error, _BROKEN):
            # Whoever iterates does so before leaving, so that it comes by here.
            raise Broken(type(error).__name__) from None

    async def _first_answer(self) -> httpcore2.Response:
        pool, letter = self._pool, self._letter
        again = isinstance(letter.body, bytes)
        if again:
            self._connection = await pool.resting()
        rested = self._connection
        if not letter.is_present():
            raise Outdated
        if rested is not None:
            began = time.monotonic()
            try:
                return await rested.handle_async_request(_request(letter))
            except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
                if time.monotonic() - began > REPLAY_WITHIN_S:
                    raise
            await pool.done_with(rested)
        self._connection = pool.fresh()
        connecting = _Connecting(letter)
        try:
            return await self._connection.handle_async_request(_request(letter, connecting.trace))
        except BaseException:
            await connecting.give_up()
            raise

    async def _leave(self) -> None:
        pool, connection = self._pool, self._connection
        pool.leave()
        if connection is not None:
            self._connection = None
            await pool.done_with(connection)
        await self._upstream.trim()


class _Connecting:
    """Sees a connection being made for a letter, which may be outdated by the time that it is there."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._stream: httpcore2.AsyncNetworkStream | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """The extension of httpcore2."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            if not self._letter.is_present():
                raise Outdated
            if info["request"].method != b"CONNECT":
                # Of what follows nothing is needed, and to be told costs.
                del info["request"].extensions["trace"]

    async def give_up(self) -> None:
        """Nobody else closes one whose handshake or proxy dialogue was cancelled (httpcore2 2.16)."""
        if self._stream is not None:
            await self._stream.aclose()


def _request(letter: Letter, trace: Any = None) -> httpcore2.Request:
    url = httpcore2.URL(
        scheme=letter.scheme, host=letter.host, port=letter.port, target=letter.target.encode("ascii")
    )
    extensions: dict[str, Any] = {
        "timeout": {"connect": CONNECT_S, "read": READ_S, "write": READ_S, "pool": CONNECT_S}
    }
    if trace is not None:
        extensions["trace"] = trace
    return httpcore2.Request(
        letter.method, url, headers=letter.headers, content=letter.body, extensions=extensions
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and len(found) < 8:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found


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
    """The status line of a proxy, bounded: it is somebody else's text."""
    text = "".join(character for character in str(error) if character.isprintable())
    return text[:80]
