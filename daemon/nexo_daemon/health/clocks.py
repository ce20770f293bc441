"""Was this computer suspended, or its wall clock set? And how do moments read on the clock as it is now?

Pure. Told from what two looks at the clocks differ by: the wall clock runs on while the computer sleeps, the
monotonic one does not, and nothing but a person (or a time server) moves them apart otherwise.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nexo.connections.values import frozen
from nexo_daemon.domain.model import Health


@frozen
class Instant:
    """One moment on both clocks: `wall` is shown and stored, `mono` (seconds) is computed with."""

    wall: datetime
    mono: float


SUSPENDED_S: Final = 5.0
CLOCK_STEP_S: Final = 60.0
"""A jump by more than this means that everything is checked again."""

CORRECTION_S: Final = 1.0
"""A clock set by less is not worth a notice: programs that keep the time do so little by little."""


@frozen
class Jump:
    """What the clocks did between two looks.

    Attributes:
        asleep_s: how long the computer was suspended; None when it was not, or the system does not tell.
        set_s: by how much the wall clock was set, forwards or (negative) back. Includes the time asleep
            where the system does not tell.
    """

    asleep_s: float | None
    set_s: float

    @property
    def corrected(self) -> bool:
        """Whether moments that were noted before read differently now."""
        return abs(self.set_s) >= CORRECTION_S

    @property
    def upsetting(self) -> bool:
        """Whether what was known should be checked again."""
        return self.asleep_s is not None or abs(self.set_s) > CLOCK_STEP_S


class Clocks:
    """Remembers how far apart the clocks were at the last look."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._asleep_s: float | None = None

    def look(self, now: Instant, asleep_s: float | None) -> Jump:
        """Compare with the last look.

        Args:
            now: both clocks.
            asleep_s: seconds that this computer has been suspended since it was started; None when it
                cannot be told.
        """
        offset_s = now.wall.timestamp() - now.mono
        moved_s = 0.0 if self._offset_s is None else offset_s - self._offset_s
        slept_s = 0.0 if asleep_s is None or self._asleep_s is None else asleep_s - self._asleep_s
        self._offset_s, self._asleep_s = offset_s, asleep_s
        return Jump(slept_s if slept_s > SUSPENDED_S else None, moved_s - slept_s)


def shifted(health: Health, seconds: float) -> Health:
    """The same light, with its moments as they read on a clock that was set by so many seconds."""

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + timedelta(seconds=seconds)

    return replace(
        health,
        since=moved(health.since),
        checked_at=moved(health.checked_at),
        retry_at=moved(health.retry_at),
        next_check_at=moved(health.next_check_at),
    )
