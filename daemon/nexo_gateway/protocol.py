"""The connection of a program, including one that does not send HTTP."""

import logging
import re
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

MOST_HEADERS = 100
"""As many as Apache and hyper accept. h11 has no limit, and takes 13 µs for each."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n"
)
_HEAD_END = re.compile(rb"\n\r?\n")

MOST_EVENTS = 8
"""Parts of a request processed in one turn of the loop; received data may hold thousands of tiny chunks."""

SAY_EVERY_S = 60.0
"""Seconds between lines of the log that another account can cause: it could push out all others."""


class _Parser(h11.Connection):
    """Pretends to need data when the events of this turn are used up. Limits the number of headers.

    Attributes:
        too_large: the head of the request was refused because of its size.
    """

    left = MOST_EVENTS
    too_large = False

    def next_event(self) -> Any:
        """See `h11.Connection`."""
        if not self.left:
            return h11.NEED_DATA
        self.left -= 1
        in_head = self.their_state is h11.IDLE
        try:
            if in_head:
                self._count_headers()
            return super().next_event()
        except h11.RemoteProtocolError as error:
            self.too_large = in_head and error.error_status_hint == 431
            raise

    def _count_headers(self) -> None:
        received, _ = self.trailing_data
        end = _HEAD_END.search(received)
        if received.count(b"\n", 0, end.start() if end else len(received)) > MOST_HEADERS:
            raise h11.RemoteProtocolError("too many headers", error_status_hint=431)


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
        self.app_state = {"presence": CallerPresence(self.flow.resume_reading), "is_proven": self.is_proven}

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
        """Refuse bytes that are not HTTP or too many headers, and close the connection.

        Sends nothing after a complete answer.
        """
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            # Not by uvicorn, which would send a body for HEAD, and cause an exception in the loop.
            self.transport.write(self._too_large() if self.conn.too_large else _NOT_HTTP)
        self.transport.close()

    def _too_large(self) -> bytes:
        most: Any = self.config.h11_max_incomplete_event_size
        text = (
            f"nexo: the head of the request is too large: the gateway takes up to {MOST_HEADERS} headers, "
            f"and up to {most // 1024} kB\n"
        ).encode()
        return _TOO_LARGE % len(text) + (b"" if self.conn.trailing_data[0].startswith(b"HEAD ") else text)
