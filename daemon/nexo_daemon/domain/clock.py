"""Time as a thing that is passed in, so that tests and simulations own it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Wall-clock time in UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; whether they pass while the computer sleeps is the system's choice."""

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

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds)
