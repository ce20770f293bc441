"""The connection of a program, including one that does not send HTTP."""

import logging
from typing import Any

import h11

from nexo.connections.own_http import OwnProtocol
from nexo_gateway.bodies import CallerPresence
from nexo_gateway.streams import Joined

log = logging.getLogger(__name__)

_NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class GatewayProtocol(OwnProtocol):
    """Logs refused accounts. Sends an answer in one piece if it consists of one."""

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        self._joined = Joined(transport, self.loop)
        super().connection_made(self._joined)
        self._presence = CallerPresence(self.flow.resume_reading)
        self.app_state = {"presence": self._presence}

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(exc)
        self._presence.is_gone()

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        self._joined.flush()
        super().on_response_complete()

    def may_in(self, transport: Any) -> bool:
        """See `OwnProtocol`."""
        ours = super().may_in(transport)
        if not ours:
            log.warning("a connection of another account to the gateway was refused")
        return ours

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP, and close the connection. Sends nothing after a complete answer."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            # Not by uvicorn, which would send a body for HEAD, and cause an exception in the loop.
            self.transport.write(_NOT_HTTP)
        self.transport.close()
