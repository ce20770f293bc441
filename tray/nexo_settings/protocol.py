"""The HTTP protocol for connections of a browser: the check of the user, and the limits."""

from collections.abc import Callable
from typing import Any

from uvicorn.server import ServerState

from nexo.connections import own_http
from nexo.connections.own_http import OwnProtocol

MOST_CONNECTIONS = 64
MOST_HEAD_BYTES = 16 * 1024
KEPT_S = 30


class UncheckedProtocol(OwnProtocol):
    """Accepts any user, for systems whose kernel does not tell the user of a TCP connection (WSL 1)."""

    def may_in(self, transport: Any) -> bool:
        """Always True."""
        return True


def protocols(app: Any, *, ask_whose: bool) -> tuple[Callable[[], OwnProtocol], ServerState]:
    """See `own_http.protocols`."""
    return own_http.protocols(
        OwnProtocol if ask_whose else UncheckedProtocol,
        app,
        kept_s=KEPT_S,
        most_connections=MOST_CONNECTIONS,
        most_header_bytes=MOST_HEAD_BYTES,
    )
