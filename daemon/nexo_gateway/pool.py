"""Which connection to a provider does a request take: one that rests, or a new one?

The connections are httpcore2's, of which each carries one request at a time. Its pool is not used: it looks
at all that it has twice a request, and holds 6 kB for an open one (2026-11-27).
"""

import asyncio
from collections import deque

import httpcore2

from nexo_gateway.streams import Direct
from nexo_gateway.way import ProxyHop, Way

KEPT_S = 60.0
MOST_CONNECTIONS = 256
_MOST_RESTING = 8

Connection = httpcore2.AsyncConnectionInterface


class Pool:
    """The connections on one way to one host. Belongs to one event loop; close it."""

    def __init__(self, way: Way, origin: httpcore2.Origin, backend: Direct) -> None:
        # It makes connections, and has none.
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
        """Whether nobody uses it."""
        return not self._in_use

    async def room(self, patience_s: float) -> None:
        """Wait until one more connection may be used; `leave` gives the place back.

        Raises:
            httpcore2.PoolTimeout
        """
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._room.acquire()
        except TimeoutError:
            raise httpcore2.PoolTimeout from None

    def leave(self) -> None:
        """See `room`."""
        self._room.release()

    async def resting(self) -> Connection | None:
        """The one that was used last, if there is one that the provider has not closed."""
        while self._resting:
            connection = self._resting.pop()
            self._in_use.add(connection)
            if not connection.has_expired():
                return connection
            await self._closed(connection)
        return None

    def fresh(self) -> Connection:
        """One that connects when it is used."""
        connection = self._maker.create_connection(self._origin)
        self._in_use.add(connection)
        return connection

    async def done_with(self, connection: Connection) -> None:
        """Keep it for the next request, if it can carry one."""
        if not connection.is_available() or connection not in self._in_use:
            await self._closed(connection)
            return
        self._in_use.discard(connection)
        self._resting.append(connection)
        # What rests for longest stands first, and the one that was just used last.
        while len(self._resting) > 1 and (
            len(self._resting) > _MOST_RESTING or self._resting[0].has_expired()
        ):
            await self._resting.popleft().aclose()

    async def _closed(self, connection: Connection) -> None:
        self._in_use.discard(connection)
        await connection.aclose()

    async def aclose(self) -> None:
        """Close them all."""
        open_, self._resting, self._in_use = [*self._resting, *self._in_use], deque(), set()
        for connection in open_:
            await connection.aclose()


def _proxy(hop: ProxyHop | None) -> httpcore2.Proxy | None:
    if hop is None:
        return None
    pair = hop.credentials
    return httpcore2.Proxy(
        url=httpcore2.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target="/"),
        auth=(pair[0].encode(), pair[1].encode()) if pair else None,
        ssl_context=hop.tls,
    )
