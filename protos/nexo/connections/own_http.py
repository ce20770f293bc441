"""Serves HTTP/1.1 on loopback with uvicorn, to processes of this account only.

Used by the gateway and the settings screen. It needs uvicorn, which is not part of the base install.
"""

import logging
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from nexo.connections import peers

# uvicorn would log request targets and exception texts, either of which may hold a token.
_SILENT = logging.getLogger("nexo.silent")
_SILENT.setLevel(logging.CRITICAL + 1)

_STRANGER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class OwnProtocol(H11Protocol):  # type: ignore[misc,unused-ignore]  # where uvicorn is not installed
    """Refuses connections of other accounts before any byte is parsed."""

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
        most_connections: number of connections and tasks above which uvicorn answers 503.
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
    state = ServerState()
    return lambda: kind(config=config, server_state=state, app_state={}), state
