"""The connection of a program, including one that does not send HTTP."""

import logging
import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import FlowControl

from nexo.connections.own_http import OwnProtocol
from nexo_gateway.bodies import CallerPresence
from nexo_gateway.streams import Joined

log = logging.getLogger(__name__)

_NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

MOST_EVENTS = 8
"""Parts of a request processed in one turn of the loop; received data may hold thousands of tiny chunks."""

SAY_EVERY_S = 60.0
"""Seconds between lines of the log that another account can cause: it could push out all others."""


class _Parser(h11.Connection):
    """Pretends to need data when the events of this turn are used up."""

    left = MOST_EVENTS

    def next_event(self) -> Any:
        """See `h11.Connection`."""
        if not self.left:
            return h11.NEED_DATA
        self.left -= 1
        return super().next_event()


class _Line(Joined):
    """Breaks off an answer for HTTP/1.0 by a reset: there the end of a connection may be that of an answer.

    nginx, for example, speaks HTTP/1.0 to the servers behind it unless it is told otherwise.
    """

    parser: h11.Connection

    def close(self) -> None:
        """See `Joined`."""
        if self.parser.our_state is h11.SEND_BODY and self.parser.their_http_version == b"1.0":
            found = self.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        super().close()


class _Flow(FlowControl):
    """Reads nothing more from the program while received data waits to be processed."""

    held = False

    def resume_reading(self) -> None:
        """See `FlowControl`."""
        if not self.held:
            super().resume_reading()


class GatewayProtocol(OwnProtocol):
    """Logs refused accounts. Sends an answer in one piece if it consists of one.

    It adds no attributes to those of uvicorn: with more than 30, CPython keeps a dict for each connection.
    """

    # uvicorn's classes have these attributes; here they are of our classes.
    conn: Any
    flow: Any
    transport: Any

    _said_at = -SAY_EVERY_S

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        most: Any = self.config.h11_max_incomplete_event_size
        self.conn = _Parser(h11.SERVER, most)

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        joined: Any = _Line(transport, self.loop)
        joined.parser = self.conn
        super().connection_made(joined)
        self.flow = _Flow(joined)
        self.app_state = {"presence": CallerPresence(self.flow.resume_reading)}

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(exc)
        self.app_state["presence"].is_gone()

    def handle_events(self) -> None:
        """See `H11Protocol`."""
        if self.flow.held:
            return
        self.conn.left = MOST_EVENTS
        super().handle_events()
        if not self.conn.left:
            self.flow.pause_reading()
            self.flow.held = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self.flow.held = False
        if not self.transport.is_closing():
            self.handle_events()
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        self.transport.flush()
        super().on_response_complete()

    def may_in(self, transport: Any) -> bool:
        """See `OwnProtocol`."""
        ours = super().may_in(transport)
        now = self.loop.time()
        if not ours and now - GatewayProtocol._said_at >= SAY_EVERY_S:
            GatewayProtocol._said_at = now
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
