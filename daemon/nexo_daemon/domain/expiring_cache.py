"""A bounded cache whose values are removed from memory after a time.

Each value has its own end, counted from when it was stored. A timer removes it, so that secrets do not stay
in memory until the next access.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from nexo_daemon.domain.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """Values by key, oldest first; used on one event loop."""

    def __init__(self, clock: Clock, *, lifetime_s: float, limit: int) -> None:
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._limit = limit
        # All values have the same lifetime, so the order of insertion is the order of expiry.
        self._entries: dict[K, tuple[float, V]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, unless it has expired."""
        entry = self._entries.get(key)
        # The timer may be late when the loop is busy.
        if entry is None or entry[0] <= self._clock.monotonic():
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        """Store a value; if there are too many, the oldest is removed."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.monotonic() + self._lifetime_s, value)
        if self._timer is None:
            self._wait(self._lifetime_s)

    def forget(self, key: K) -> None:
        """Remove one value."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Remove all values."""
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
