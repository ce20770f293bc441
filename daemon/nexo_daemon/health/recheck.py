"""When is everything checked again, after the network changed or the computer woke up?

Once the changes have calmed down, and not again soon after. Pure of effects: `schedule` does the checking.
"""

from typing import Final

DEBOUNCE_S: Final = 2.0
DEBOUNCE_LIMIT_S: Final = 10.0
RECHECK_GAP_S: Final = 30.0


class Recheck:
    """The moment of the next general re-check.

    Attributes:
        at: monotonic second; None when none is planned.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._asked: float | None = None
        self._last = float("-inf")

    def ask(self, mono: float, *, offline: bool) -> None:
        """Something changed; while it keeps changing, the re-check is put off, but not for ever."""
        if self._asked is None:
            self._asked = mono
        earliest = max(mono + DEBOUNCE_S, self._last + RECHECK_GAP_S)
        latest = max(self._asked + DEBOUNCE_LIMIT_S, self._last + RECHECK_GAP_S)
        if offline:
            # One request tells whether it is back.
            earliest, latest = mono + DEBOUNCE_S, self._asked + DEBOUNCE_LIMIT_S
        self.at = min(earliest, latest)

    def forget_last(self) -> None:
        """What was checked before says nothing any more."""
        self._last = float("-inf")

    def begin(self) -> None:
        """The moment has come."""
        self.at = self._asked = None

    def made(self, mono: float) -> None:
        """Every connection is checked again."""
        self._last = mono
