"""Time as a parameter, so that tests and simulations can control it."""

import asyncio
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol

WAITS_UNTIL: ContextVar[float | None] = ContextVar("WAITS_UNTIL", default=None)
"""The moment (`time.monotonic`) at which the caller of the present call gives up; None if it does not."""


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Wall-clock time in UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; may or may not advance while the computer sleeps."""

    def elapsed(self) -> float:
        """Like `monotonic`, and advances while the computer sleeps, if the system has such a clock."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""


class SystemClock:
    """The clock of this computer."""

    def now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def elapsed(self) -> float:
        """See `Clock`."""
        elapsed = elapsed_s()
        return self.monotonic() if elapsed is None else elapsed

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds)


def elapsed_s() -> float | None:
    """Seconds of a clock that also advances while the computer sleeps; None if the system has none."""
    platform: str = sys.platform
    if platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if platform == "darwin":
        # On macOS CLOCK_MONOTONIC advances during sleep, and Python's monotonic() does not.
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return None
