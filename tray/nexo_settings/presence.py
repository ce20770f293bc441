"""Counts the open tabs, and decides when the server has to end."""

from collections.abc import Callable

IDLE_S = 120.0
"""How long the server runs after the last tab was closed, so that it survives a reload or browser restart."""
MOST_S = 12 * 3600.0
"""The maximum run time of the server, so that a forgotten tab does not stay open for ever."""


class Presence:
    """The open tabs, and the time of the last activity.

    Args:
        now: a monotonic clock, in seconds.
        idle_s: how long the server runs without tabs.
    """

    def __init__(self, now: Callable[[], float], *, idle_s: float = IDLE_S) -> None:
        self._now = now
        self.idle_s = idle_s
        self._last = now()
        self._most = self._last + MOST_S
        self._tabs = 0

    def touch(self) -> None:
        """Note a request, or an address that was given out."""
        self._last = self._now()

    def came(self) -> None:
        """Note that a tab was opened."""
        self._tabs += 1
        self.touch()

    def left(self) -> None:
        """Note that a tab was closed."""
        self._tabs -= 1
        self.touch()

    @property
    def remaining_s(self) -> float:
        """Seconds until the server has to end without further activity; zero or less: now."""
        until_most = self._most - self._now()
        return until_most if self._tabs else min(until_most, self._last + self.idle_s - self._now())
