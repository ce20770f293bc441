"""Connections to a provider: an idle one is reused, or a new one is made.

The connections are httpcore2's, each with one request at a time. Its pool is not used, because it examines
all connections twice for each request, and needs 6 kB for an open one (2026-11-27).
"""

import asyncio
from collections import deque
from typing import Any, NamedTuple

import httpcore2

from nexo_gateway.streams import Direct, ProviderStream, TlsStream
from nexo_gateway.way import ProxyHop, Way

KEPT_S = 60.0
MOST_CONNECTIONS = 256
"""Maximum number of simultaneous requests; further ones wait."""
_MOST_RESTING = 8

Connection = httpcore2.AsyncConnectionInterface


class Used(NamedTuple):
    """A connection that has served a request, and its stream."""

    connection: Connection
    stream: ProviderStream | TlsStream


class Pool:
    """The connections to one host on one way. Used on one event loop; close it."""

    def __init__(self, way: Way, origin: httpcore2.Origin, backend: Direct) -> None:
        # Only makes connections; it keeps none.
        self._maker = httpcore2.AsyncConnectionPool(
            ssl_context=way.tls,
            proxy=_proxy(way.proxy),
            keepalive_expiry=KEPT_S,
            network_backend=backend,
        )
        self._origin = origin
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        self._resting: deque[Used] = deque()
        self._in_use: set[Connection] = set()
        self._doubted: set[Connection] = set()
        self._is_closed = False

    @property
    def rests(self) -> bool:
        """Whether no request uses the pool."""
        return not self._in_use

    async def room(self) -> None:
        """Wait until another connection may be used; `leave` releases it.

        There is no time limit: a program that sends hundreds of requests at once knows best how long to wait.
        """
        await self._room.acquire()

    def leave(self) -> None:
        """Release a connection; see `room`."""
        self._room.release()

    async def resting(self) -> Used | None:
        """The connection used last that the provider has not closed; None if there is none."""
        while self._resting:
            used = self._resting.pop()
            self._in_use.add(used.connection)
            if not used.connection.has_expired() and used.connection not in self._doubted:
                return used
            await self._closed(used.connection)
        return None

    def fresh(self) -> Connection:
        """A new connection, which connects at its first request."""
        connection = self._maker.create_connection(self._origin)
        self._in_use.add(connection)
        return connection

    def doubt(self) -> None:
        """The present connections may lead nowhere: use none of them for another request."""
        self._doubted = self._in_use.union(used.connection for used in self._resting)

    async def done_with(self, connection: Connection, stream: ProviderStream | TlsStream | None) -> None:
        """Keep the connection for the next request, if possible; without a stream it is closed."""
        usable = connection.is_available() and not self._is_closed and connection not in self._doubted
        if stream is None or not usable or _has_excess(connection):
            await self._closed(connection)
            return
        self._in_use.discard(connection)
        self._resting.append(Used(connection, stream))
        # The longest idle connection is first, the one used last is last.
        while len(self._resting) > 1 and (
            len(self._resting) > _MOST_RESTING or self._resting[0].connection.has_expired()
        ):
            await self._closed(self._resting.popleft().connection)

    async def _closed(self, connection: Connection) -> None:
        self._in_use.discard(connection)
        self._doubted.discard(connection)
        await connection.aclose()

    async def aclose(self) -> None:
        """Close all connections, and later those of requests that still use the pool."""
        self._is_closed = True
        open_ = [*(used.connection for used in self._resting), *self._in_use]
        self._resting.clear()
        for connection in open_:
            await connection.aclose()


def _has_excess(connection: Connection) -> bool:
    """Whether more than the answer came, which would be taken for the answer to the next request.

    httpcore2 2.16 has no public name for the parser of a connection, which is below the parts that connect
    and open tunnels. A version that hides it elsewhere is not trusted: its connections are not kept.
    """
    part: Any = connection
    while (below := getattr(part, "_connection", None)) is not None:
        part = below
    parser = getattr(part, "_h11_state", None)
    return parser is None or bool(parser.trailing_data[0])


def _proxy(hop: ProxyHop | None) -> httpcore2.Proxy | None:
    if hop is None:
        return None
    pair = hop.credentials
    return httpcore2.Proxy(
        url=httpcore2.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target="/"),
        auth=(pair[0].encode(), pair[1].encode()) if pair else None,
        ssl_context=hop.tls,
    )
