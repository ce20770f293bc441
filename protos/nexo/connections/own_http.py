"""Serves HTTP/1.1 on loopback with uvicorn, to processes of this account only.

Used by the gateway and the settings screen. It needs uvicorn, which is not part of the base install.
"""

import logging
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from nexo.connections import peers

# uvicorn would log request targets and exception texts, either of which may hold a token.
_SILENT = logging.getLogger("nexo.silent")
_SILENT.setLevel(logging.CRITICAL + 1)

_STRANGER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connections(ServerState):  # type: ignore[misc,unused-ignore]  # where uvicorn is not installed
    """uvicorn's state of a server.

    Attributes:
        unproven: connections that have not been called proven yet, the oldest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unproven: dict[OwnProtocol, None] = {}


class OwnProtocol(H11Protocol):  # type: ignore[misc,unused-ignore]  # where uvicorn is not installed
    """Refuses connections of other accounts before any byte is parsed.

    When there are too many connections, idle ones make room for a new one: first the oldest that are not
    proven, then those that have waited the longest for another request.
    """

    # uvicorn's types leave out that there may be no request yet, and that all connections are of one class.
    server_state: Connections
    connections: set[Any]
    cycle: Any

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.logger = _SILENT
        self.access_log = False
        self._stranger = False

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if not self.may_in(transport):
            self._stranger = True
            transport.write(_STRANGER)
            transport.close()
            return
        while self.limit_concurrency and len(self.connections) >= self.limit_concurrency:
            idle = self._idle()
            if idle is None:
                # All are busy: uvicorn answers 503.
                break
            # Not counted while its end is under way.
            self.connections.discard(idle)
            self.server_state.unproven.pop(idle, None)
            idle.transport.abort()
        self.server_state.unproven[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.server_state.unproven.pop(self, None)
        super().connection_lost(exc)

    def is_proven(self) -> None:
        """The other end may use the server: this connection makes room after all that are not proven."""
        self.server_state.unproven.pop(self, None)

    def _idle(self) -> "OwnProtocol | None":
        for one in self.server_state.unproven:
            if one.cycle is None or one.cycle.response_complete:
                return one
        kept = ((one.timeout_keep_alive_task, one) for one in self.connections)
        ends = [(timer.when(), one) for timer, one in kept if timer is not None]
        return min(ends, key=itemgetter(0), default=(0.0, None))[1]

    def may_in(self, transport: Any) -> bool:
        """Whether a process of this account is at the other end."""
        # asyncio returns a wrapper of the socket, which has the methods that `peers` uses.
        found = transport.get_extra_info("socket")
        return found is not None and peers.is_ours(found)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self._stranger:
            super().data_received(data)


def protocols(
    kind: type[OwnProtocol], app: Any, *, kept_s: int, most_connections: int, most_header_bytes: int
) -> tuple[Callable[[], OwnProtocol], ServerState]:
    """A factory for protocols of an ASGI app, and the state that they share.

    Args:
        kind: class of the protocols.
        app: the ASGI application.
        kept_s: seconds after which an idle connection is closed.
        most_connections: fewer connections than that are kept open; with as many busy ones, uvicorn
            answers 503.
        most_header_bytes: limit for the request line and the headers.
    """
    config = Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=most_connections,
        timeout_keep_alive=kept_s,
        h11_max_incomplete_event_size=most_header_bytes,
    )
    config.load()
    state = Connections()
    return lambda: kind(config=config, server_state=state, app_state={}), state
