"""Does a program wait for the answer to a call at this moment? Then what can wait for a moment does.

grpcio takes ten turns of the event loop for a call, and only in the fifth are we told of it. Whoever fills
the others has the call wait for all of them: beside eight busy programs of the gateway a resolve took 3 ms in
place of 0.4 (2026-11-27). What tells earlier is a socket by which grpcio's threads wake the loop.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")

ARRIVES_S: Final = 0.0003
"""From when grpcio's threads have something to tell until it is clear that it is a call."""

ANSWERED_S: Final = 0.001
"""What takes longer waits for something itself: a disk, a provider."""

SETTLES_S: Final = 0.0002
"""After an answer grpcio has more to tell that nobody waits for."""


class Calls:
    """Which calls are under way, as far as that is known without asking for it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = float("-inf")
        self._answered_at = float("-inf")

    def woken(self) -> None:
        """There is something to tell: a call that comes, or that goes on."""
        now = self._monotonic()
        if now - self._answered_at > SETTLES_S:
            self._until = max(self._until, now + ARRIVES_S)

    def began(self) -> None:
        """A call that is answered once has come."""
        self._until = self._monotonic() + ANSWERED_S

    def answered(self) -> None:
        """It has its answer."""
        self._until = self._answered_at = self._monotonic()

    def are_under_way(self) -> bool:
        """Whether somebody waits now, and hardly longer than moments."""
        return self._monotonic() < self._until


class TellingLoop(asyncio.SelectorEventLoop):
    """An event loop that tells of it when a reader is called: grpcio has one, by which its threads wake us.

    Sockets that asyncio reads itself, the gateway's among them, are none.
    """

    def __init__(self, woken: Callable[[], None]) -> None:
        super().__init__()
        self._woken = woken

    def add_reader(self, fd: Any, callback: Callable[[*_Arguments], Any], *args: *_Arguments) -> None:
        """See `asyncio.AbstractEventLoop`."""

        def telling() -> None:
            self._woken()
            callback(*args)

        super().add_reader(fd, telling)
