"""Short phrases for durations, times and keys in labels, and how long they stay true."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from nexo.connections.terms import KeySource, KeyVerdict
from nexo_client.types import KeyInfo

# The tray wakes up when a label becomes out of date, so the steps grow with the age.
_MINUTE_STEPS = (1, 2, 5, 10, 15, 20, 30, 45)
_REST_STEPS_S = (5, 10, 20, 30, 45, 60)


def latency(seconds: float) -> str:
    """A latency, such as `312 ms` or `4.2 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def lasted(seconds: float) -> str:
    """A duration, such as `40 s`, `12 min`, `3 h 5 min` or `2 d 4 h`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def key_words(key: KeyInfo) -> str:
    """The state of an API key in words."""
    if key.source is KeySource.NONE:
        return "none"
    where = f"kept in {key.reference}" if key.source is KeySource.REFERENCE else "stored"
    return (
        f"{where}, "
        + {
            KeyVerdict.NONE: "not used",
            KeyVerdict.VERIFIED: "verified",
            KeyVerdict.NOT_ENFORCED: "not enforced by the server",
            KeyVerdict.UNVERIFIED: "unverified",
        }[key.verdict]
    )


@dataclass(slots=True)
class RelativeTimes:
    """Makes phrases for times relative to `now`, and records until when all of them are true.

    Attributes:
        now: an aware datetime in UTC.
        true_until: the earliest time at which one of the phrases changes; None for never.
    """

    now: datetime
    true_until: datetime | None = None

    def _holds_until(self, moment: datetime) -> None:
        if self.true_until is None or moment < self.true_until:
            self.true_until = moment

    def ago(self, moment: datetime) -> str:
        """`just now`, `5 min ago`, `3 h ago`, `2 days ago`; a time in the future is `just now`."""
        age = max(timedelta(), self.now - moment)
        minutes = int(age.total_seconds() // 60)
        if minutes < 1:
            self._holds_until(moment + timedelta(minutes=1))
            return "just now"
        if minutes < 60:
            step = max(s for s in _MINUTE_STEPS if s <= minutes)
            following = next((s for s in _MINUTE_STEPS if s > minutes), 60)
            self._holds_until(moment + timedelta(minutes=following))
            return f"{step} min ago"
        hours = minutes // 60
        if hours < 24:
            self._holds_until(moment + timedelta(hours=hours + 1))
            return f"{hours} h ago"
        days = hours // 24
        self._holds_until(moment + timedelta(days=days + 1))
        return "1 day ago" if days == 1 else f"{days} days ago"

    def rest(self, moment: datetime) -> str:
        """The time until a moment, rounded up: `42 s`, `3 min`, `2 h`; empty if it is over."""
        left = (moment - self.now).total_seconds()
        if left <= 0:
            return ""
        if left <= _REST_STEPS_S[-1]:
            below = max((s for s in (0, *_REST_STEPS_S) if s < left), default=0)
            self._holds_until(moment - timedelta(seconds=below))
            return f"{-(-left // 1):.0f} s"
        if left < 3600:
            minutes = int(-(-left // 60))
            self._holds_until(moment - timedelta(minutes=minutes - 1))
            return f"{minutes} min"
        hours = int(-(-left // 3600))
        self._holds_until(moment - timedelta(hours=hours - 1))
        return f"{hours} h"
