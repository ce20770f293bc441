"""What is remembered for a moment: a bounded number of values, each of which leaves memory by itself.

Every value has an end of its own, counted from when it was put in. Whoever holds secrets here does not need
anybody to ask for one before the others are gone.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from nexo_daemon.domain.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Fleeting(Generic[K, V]):
    """Values by key, oldest first; belongs to one event loop."""

    def __init__(self, clock: Clock, *, lifetime_s: float, limit: int) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._limit = limit
        # One lifetime for all, so the order of insertion is the order of the ends.
        self._entries: dict[K, tuple[float, V]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, unless its time is over."""
        entry = self._entries.get(key)
        # The timer is late when the loop is busy.
        if entry is None or entry[0] <= self._clock.monotonic():
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        """Remember a value; of too many the oldest is forgotten."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.monotonic() + self._lifetime_s, value)
        if self._timer is None:
            self._wait(self._lifetime_s)

    def forget(self, key: K) -> None:
        """Forget one value."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._entries:
            key = next(iter(self._entries))
            end = self._entries[key][0]
            if end > now:
                self._wait(end - now)
                return
            del self._entries[key]
