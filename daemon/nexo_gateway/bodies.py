"""Request bodies: kept while small, so that they can be sent again; otherwise passed on as they come."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from nexo_gateway.admission import Admitted

HELD_BYTES = 1024 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class CallerLeft(Exception):
    """The program has closed its connection."""


class CallerPresence:
    """Reports that the program has disconnected, without a task that waits for it."""

    __slots__ = ("_on_left", "_resume", "left")

    def __init__(self, resume: Callable[[], None]) -> None:
        self.left = False
        self._resume = resume
        self._on_left: Callable[[], None] | None = None

    def watch(self, on_left: Callable[[], None]) -> None:
        """Call `on_left` when the program disconnects, or now if it has; effective once the body is read."""
        self._on_left = on_left
        # The server stops reading after a large body, and would not notice a disconnect.
        self._resume()
        if self.left:
            on_left()

    def forget(self) -> None:
        """Stop watching: the request has ended."""
        self._on_left = None

    def is_gone(self) -> None:
        """The connection was closed; called by the server."""
        self.left = True
        if self._on_left is not None:
            self._on_left()


def _nothing() -> None:
    pass


class Body:
    """One body, read once.

    Attributes:
        held: the whole body; None if it is passed on as it comes.
        chunked: it is received and sent in chunks.
    """

    def __init__(self, admitted: Admitted, receive: Receive) -> None:
        self.held: bytes | None = None
        self.chunked = admitted.chunked
        self._receive = receive
        self._begun: list[bytes] = []
        self._taken = 0
        self._on_whole: Callable[[], None] = _nothing

    async def begin(self, on_whole: Callable[[], None]) -> None:
        """Read the body, or as much of it as is kept.

        Args:
            on_whole: called when the body is complete. Until then, the reader notices a disconnect.

        Raises:
            CallerLeft
        """
        self._on_whole = on_whole
        while self._taken <= HELD_BYTES:
            piece, more = await self._next()
            self._begun.append(piece)
            if not more:
                self.held = b"".join(self._begun)
                self._begun = []
                on_whole()
                return

    def forget(self) -> None:
        """Call nothing any more: the request has ended.

        The callback leads back to this object: a body would otherwise stay in memory until the garbage
        collector runs, which it does after hundreds of requests.
        """
        self._on_whole = _nothing

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The body to send. One that is not kept can be requested again until it is first read."""
        return self.held if self.held is not None else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        begun, self._begun = self._begun, []
        for piece in begun:
            yield piece
        more = True
        while more:
            piece, more = await self._next()
            if piece:
                yield piece
        self._on_whole()

    async def _next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        piece = message.get("body", b"")
        self._taken += len(piece)
        return piece, bool(message.get("more_body", False))
