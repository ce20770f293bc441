"""Tells whether a program waits for an answer at this moment, so that other work can be postponed.

grpcio takes ten turns of the event loop for a call, and the servicer runs in the fifth. Other work in those
turns delays the call: beside eight busy programs of the gateway a resolve took 3 ms instead of 0.4
(2026-11-27). An earlier sign of a call is the socket by which grpcio's threads wake the loop.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")

ARRIVES_TURNS: Final = 6
"""Turns of the loop after a wake-up within which the call appears, if the wake-up was for one."""

ARRIVES_S: Final = 0.001
"""A wake-up longer ago, in seconds, was not for a call, even if there were few turns since."""

ANSWERED_S: Final = 0.001
"""A call that takes longer, in seconds, is waiting for something: a disk, a provider."""


class Calls:
    """The calls in progress, as far as they are known without asking grpcio."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = float("-inf")
        self._arrives_until = float("-inf")
        self._turns = 0

    def woken(self) -> None:
        """A grpcio thread woke the loop: a call begins, continues or has ended."""
        self._turns = ARRIVES_TURNS
        self._arrives_until = self._monotonic() + ARRIVES_S

    def began(self) -> None:
        """A unary call has begun."""
        self._until = self._monotonic() + ANSWERED_S

    def answered(self) -> None:
        """A unary call has its answer. Until its program sends the next one, other work may run."""
        self._until = float("-inf")
        self._turns = 0

    def are_under_way(self) -> bool:
        """Whether a program waits for a quick answer. To be called once a turn of the loop."""
        now = self._monotonic()
        if self._turns and now < self._arrives_until:
            self._turns -= 1
            return True
        return now < self._until


class TellingLoop(asyncio.SelectorEventLoop):
    """An event loop that reports when a reader is called: grpcio's threads wake the loop through one.

    Sockets that asyncio reads itself, such as those of the gateway, are not reported.
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
