"""Detects that the computer was suspended or its wall clock set, and converts times to the new clock.

Pure. Compares the clocks at two moments: the wall clock advances while the computer sleeps, the monotonic one
does not; otherwise only a person or a time server changes their difference.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nexo.connections.values import frozen
from nexo_daemon.domain.model import Health


@frozen
class Instant:
    """A moment on both clocks: `wall` is shown and stored, `mono` (seconds) is used for computing."""

    wall: datetime
    mono: float


SUSPENDED_S: Final = 5.0
CLOCK_STEP_S: Final = 60.0
"""After a larger jump, in seconds, everything is checked again."""

CORRECTION_S: Final = 1.0
"""Smaller changes, in seconds, are ignored: time servers adjust the clock gradually."""


@frozen
class Jump:
    """The changes of the clocks between two readings.

    Attributes:
        asleep_s: how long the computer was suspended; None if it was not, or if that is unknown.
        set_s: seconds by which the wall clock was set, negative if it was set back. Includes the time asleep
            if that is unknown.
    """

    asleep_s: float | None
    set_s: float

    @property
    def corrected(self) -> bool:
        """Whether stored times have to be converted."""
        return abs(self.set_s) >= CORRECTION_S

    @property
    def needs_recheck(self) -> bool:
        """Whether everything should be checked again."""
        return self.asleep_s is not None or abs(self.set_s) > CLOCK_STEP_S


class Clocks:
    """Remembers the difference of the clocks at the last reading."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._asleep_s: float | None = None

    def look(self, now: Instant, asleep_s: float | None) -> Jump:
        """Compare with the last reading.

        Args:
            now: both clocks.
            asleep_s: seconds that the computer was suspended since it was started; None if unknown.
        """
        offset_s = now.wall.timestamp() - now.mono
        moved_s = 0.0 if self._offset_s is None else offset_s - self._offset_s
        slept_s = 0.0 if asleep_s is None or self._asleep_s is None else asleep_s - self._asleep_s
        self._offset_s, self._asleep_s = offset_s, asleep_s
        return Jump(slept_s if slept_s > SUSPENDED_S else None, moved_s - slept_s)


def shifted(health: Health, seconds: float) -> Health:
    """The same health, with its times converted to a clock that was set by so many seconds."""

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + timedelta(seconds=seconds)

    return replace(
        health,
        since=moved(health.since),
        checked_at=moved(health.checked_at),
        retry_at=moved(health.retry_at),
        next_check_at=moved(health.next_check_at),
    )
