"""The body of a request: held while it is small, so that it can be sent again, else passed on as it comes."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from nexo_gateway.admission import MAX_BODY_BYTES, Admitted

HELD_BYTES = 1024 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class CallerLeft(Exception):
    """The program has closed its connection."""


class TooLarge(Exception):
    """A body of unknown length went beyond the bound."""


class CallerPresence:
    """Whether the program is still there: told without a task that waits for it."""

    __slots__ = ("_on_left", "_resume", "left")

    def __init__(self, resume: Callable[[], None]) -> None:
        self.left = False
        self._resume = resume
        self._on_left: Callable[[], None] | None = None

    def watch(self, on_left: Callable[[], None]) -> None:
        """Have `on_left` called when it closes its connection, or now if it has; once the body is read."""
        self._on_left = on_left
        # The server stops reading behind a large body, and then does not see who leaves.
        self._resume()
        if self.left:
            on_left()

    def forget(self) -> None:
        """The request has ended."""
        self._on_left = None

    def is_gone(self) -> None:
        """The connection is closed."""
        self.left = True
        if self._on_left is not None:
            self._on_left()


class Body:
    """One body, read once.

    Attributes:
        held: all of it; None when it is passed on as it comes.
        chunked: it comes in chunks, and goes on in chunks.
    """

    def __init__(self, admitted: Admitted, receive: Receive) -> None:
        self.held: bytes | None = None
        self.chunked = admitted.chunked
        self._receive = receive
        self._begun: list[bytes] = []
        self._taken = 0
        self._on_whole: Callable[[], None] = lambda: None

    async def begin(self, on_whole: Callable[[], None]) -> None:
        """Read it, or as much as is held.

        Args:
            on_whole: called when all of it is read. Until then, whoever reads notices a program that leaves.

        Raises:
            CallerLeft, TooLarge
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

    def content(self) -> bytes | AsyncIterator[bytes]:
        """What is sent. A body that is not held can be asked for again until it was begun."""
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
        if self._taken > MAX_BODY_BYTES:
            raise TooLarge
        return piece, bool(message.get("more_body", False))
