"""Is anybody still looking? Counts the open tabs, and says when the server has to end. Pure but for `now`."""

from collections.abc import Callable

IDLE_S = 120.0
"""From the last tab to the end: a reload, or a browser that restarts, finds the server still there."""
MOST_S = 12 * 3600.0
"""Nobody's settings are open for longer; a forgotten tab is no open door for ever."""


class Presence:
    """`now` is monotonic, in seconds."""

    def __init__(self, now: Callable[[], float], *, idle_s: float = IDLE_S, most_s: float = MOST_S) -> None:
        self._now = now
        self.idle_s = idle_s
        self._last = now()
        self._most = self._last + most_s
        self._tabs = 0

    def touch(self) -> None:
        """Somebody asked for something, or is about to come."""
        self._last = self._now()

    def came(self) -> None:
        """A tab is open."""
        self._tabs += 1
        self.touch()

    def left(self) -> None:
        """A tab was closed."""
        self._tabs -= 1
        self.touch()

    @property
    def remaining_s(self) -> float:
        """Until the end, if nobody comes; zero or less: now."""
        until_most = self._most - self._now()
        return until_most if self._tabs else min(until_most, self._last + self.idle_s - self._now())
