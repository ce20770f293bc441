"""Connections to a provider: an idle one is reused, or a new one is made.

The connections are httpcore2's, each with one request at a time. Its pool is not used, because it examines
all connections twice for each request, and needs 6 kB for an open one (2026-11-27).
"""

import asyncio
from collections import deque
from typing import Any

import httpcore2

from nexo_gateway.streams import Direct, ProviderStream, TlsStream
from nexo_gateway.way import ProxyHop, Way

KEPT_S = 60.0
MOST_CONNECTIONS = 256
"""Maximum number of simultaneous requests; further ones wait."""
_MOST_RESTING = 8

Connection = httpcore2.AsyncConnectionInterface


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
        self._resting: deque[Connection] = deque()
        self._in_use: set[Connection] = set()

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

    async def resting(self) -> Connection | None:
        """The connection used last that the provider has not closed; None if there is none."""
        while self._resting:
            connection = self._resting.pop()
            self._in_use.add(connection)
            if not connection.has_expired():
                return connection
            await self._closed(connection)
        return None

    def fresh(self) -> Connection:
        """A new connection, which connects at its first request."""
        connection = self._maker.create_connection(self._origin)
        self._in_use.add(connection)
        return connection

    async def done_with(self, connection: Connection) -> None:
        """Keep the connection for the next request, if possible."""
        if not connection.is_available() or connection not in self._in_use or _has_excess(connection):
            await self._closed(connection)
            return
        self._in_use.discard(connection)
        self._resting.append(connection)
        # The longest idle connection is first, the one used last is last.
        while len(self._resting) > 1 and (
            len(self._resting) > _MOST_RESTING or self._resting[0].has_expired()
        ):
            await self._resting.popleft().aclose()

    async def _closed(self, connection: Connection) -> None:
        self._in_use.discard(connection)
        await connection.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        open_, self._resting, self._in_use = [*self._resting, *self._in_use], deque(), set()
        for connection in open_:
            await connection.aclose()


def _http(connection: Connection) -> Any:
    """The part of a connection that speaks HTTP/1.1, below those that connect and open tunnels."""
    part: Any = connection
    # httpcore2 2.16 has no public name for it.
    while (below := getattr(part, "_connection", None)) is not None:
        part = below
    return part


def stream_of(connection: Connection) -> ProviderStream | TlsStream:
    """The stream of a connection that was used before."""
    stream: ProviderStream | TlsStream = _http(connection)._network_stream
    return stream


def _has_excess(connection: Connection) -> bool:
    """Whether more than the answer came, which would be taken for the answer to the next request."""
    return bool(_http(connection)._h11_state.trailing_data[0])


def _proxy(hop: ProxyHop | None) -> httpcore2.Proxy | None:
    if hop is None:
        return None
    pair = hop.credentials
    return httpcore2.Proxy(
        url=httpcore2.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target="/"),
        auth=(pair[0].encode(), pair[1].encode()) if pair else None,
        ssl_context=hop.tls,
    )
