"""How does a request travel to the provider? One pool of connections a way and connection, no redirects.

A kept connection that the provider has closed meanwhile is replaced once, if nothing of the answer came and
the body is still at hand. Everything else is the program's to try again: what was sent may have run.
"""

import contextlib
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import field
from typing import Any

import httpcore2

from nexo.connections.values import frozen
from nexo_gateway.pace import Pace
from nexo_gateway.streams import Direct
from nexo_gateway.way import ProxyHop, Way

CONNECT_S = 10.0
READ_S = 1800.0
"""Models think for minutes before the first byte; a shorter limit is the first complaint about gateways."""
REPLAY_WITHIN_S = 5.0
"""A connection that was closed while it was kept breaks at once; what breaks later may have run."""

KEPT_S = 60.0
MOST_POOLS = 64
MOST_CONNECTIONS = 256
_KEPT_IDLE = 8

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
    body: AsyncIterator[bytes]


_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)

Backend = Callable[[], Direct]


class Upstream:
    """The pools. Belongs to one event loop; close it."""

    def __init__(self, backend: Backend = Direct) -> None:
        self._backend = backend()
        self._pools: OrderedDict[object, httpcore2.AsyncConnectionPool] = OrderedDict()

    def pace(self, pace: Pace) -> None:
        """Take a turn for all that comes, from now on."""
        self._backend.turn = pace.turn

    def _pool(self, letter: Letter, *, kept: bool) -> httpcore2.AsyncConnectionPool:
        key = (letter.pool, letter.way, kept)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = httpcore2.AsyncConnectionPool(
                ssl_context=letter.way.tls,
                proxy=_proxy(letter.way.proxy),
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=_KEPT_IDLE if kept else 0,
                keepalive_expiry=KEPT_S,
                network_backend=self._backend,
            )
        self._pools.move_to_end(key)
        return pool

    async def _trim(self) -> None:
        """Close the pool that rests for longest, where there are too many."""
        if len(self._pools) <= MOST_POOLS:
            return
        for key, pool in self._pools.items():
            if all(one.is_idle() for one in pool.connections):
                del self._pools[key]
                await pool.aclose()
                return

    @contextlib.asynccontextmanager
    async def send(self, letter: Letter) -> AsyncIterator[Sent]:
        """Sends a request; leaving closes what is still open.

        Raises:
            Outdated: it has to go elsewhere by now; nothing was sent.
            Fault: no answer came.
            Broken: on leaving, where the body broke off within.
        """
        replayable = isinstance(letter.body, bytes)
        pool = self._pool(letter, kept=replayable)
        try:
            response = await _first_answer(pool, letter, again=replayable)
        except httpcore2.TimeoutException as error:
            late = isinstance(error, httpcore2.ConnectTimeout | httpcore2.PoolTimeout)
            raise Fault("connect" if late else "timeout", "did not answer in time") from None
        except httpcore2.ProxyError as error:
            raise Fault("proxy", f"the proxy refused ({_plain(error)})") from None
        except httpcore2.ConnectError as error:
            tls = any(isinstance(cause, ssl.SSLError) for cause in _causes(error))
            raise Fault("tls" if tls else "connect", _why(error)) from None
        except httpcore2.LocalProtocolError:
            raise Fault("reset", "was to get a request that cannot be written") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            raise Fault("reset", "closed the connection before it answered") from None
        except OSError as error:
            raise Fault("connect", _why(error)) from None
        try:
            yield Sent(response.status, list(response.headers), response.aiter_stream())
        except _BROKEN as error:
            # Whoever iterates does so before leaving, so that it comes by here.
            raise Broken(type(error).__name__) from None
        finally:
            await response.aclose()
            await self._trim()

    async def aclose(self) -> None:
        """Closes every connection."""
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            with contextlib.suppress(Exception):
                await pool.aclose()


async def _first_answer(
    pool: httpcore2.AsyncConnectionPool, letter: Letter, *, again: bool
) -> httpcore2.Response:
    fresh = False

    async def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal fresh
        if event == "connection.connect_tcp.started":
            fresh = True
        if event.endswith("send_request_headers.started"):
            if not letter.is_present():
                raise Outdated
            if info["request"].method != b"CONNECT":
                # Of what follows nothing is needed, and to be told costs.
                del info["request"].extensions["trace"]

    began = time.monotonic()
    try:
        return await pool.handle_async_request(_request(letter, trace))
    except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
        if fresh or not again or time.monotonic() - began > REPLAY_WITHIN_S:
            raise
    return await pool.handle_async_request(_request(letter, trace))


def _request(letter: Letter, trace: Any) -> httpcore2.Request:
    url = httpcore2.URL(
        scheme=letter.scheme, host=letter.host, port=letter.port, target=letter.target.encode("ascii")
    )
    wait = {"connect": CONNECT_S, "read": READ_S, "write": READ_S, "pool": CONNECT_S}
    return httpcore2.Request(
        letter.method,
        url,
        headers=letter.headers,
        content=letter.body,
        extensions={"timeout": wait, "trace": trace},
    )


def _proxy(hop: ProxyHop | None) -> httpcore2.Proxy | None:
    if hop is None:
        return None
    pair = hop.credentials
    return httpcore2.Proxy(
        url=httpcore2.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target="/"),
        auth=(pair[0].encode(), pair[1].encode()) if pair else None,
        ssl_context=hop.tls,
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
