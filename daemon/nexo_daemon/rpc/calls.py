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

ARRIVES_TURNS: Final = 6
"""Turns of the loop from when grpcio's threads have something to tell until it is clear that it is a call."""

ARRIVES_S: Final = 0.001
"""What was told longer ago was none, however few turns there were since."""

ANSWERED_S: Final = 0.001
"""What takes longer waits for something itself: a disk, a provider."""


class Calls:
    """Which calls are under way, as far as that is known without asking for it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = float("-inf")
        self._arrives_until = float("-inf")
        self._turns = 0

    def woken(self) -> None:
        """There is something to tell: a call that comes, or that goes on; or that has ended."""
        self._turns = ARRIVES_TURNS
        self._arrives_until = self._monotonic() + ARRIVES_S

    def began(self) -> None:
        """A call that is answered once has come."""
        self._until = self._monotonic() + ANSWERED_S

    def answered(self) -> None:
        """It has its answer. Until its program has read that, and asks again, is the time for others."""
        self._until = float("-inf")
        self._turns = 0

    def are_under_way(self) -> bool:
        """Whether somebody waits now, and hardly longer than moments. To be asked once a turn of the loop."""
        now = self._monotonic()
        if self._turns and now < self._arrives_until:
            self._turns -= 1
            return True
        return now < self._until


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
