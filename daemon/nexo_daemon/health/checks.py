"""What goes into the schedule, and what comes out of it: the values between `schedule` and its owner."""

from dataclasses import dataclass
from datetime import datetime

from nexo_daemon.domain.model import Health, Sample, Transition


@dataclass(frozen=True, slots=True)
class Watched:
    """A connection that is to be checked.

    Attributes:
        origin: scheme://host:port of its base URL.
        important: the default or bound to a workspace.
        interval_s: its own interval; None for the one of the settings.
        paused: no regular checks.
    """

    id: str
    origin: str
    important: bool = False
    interval_s: float | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """A check to start now."""

    ticket: int
    id: str
    origin: str
    started: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A check that could not be made for reasons of this computer: nothing was sent."""

    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class HealthNotice:
    """The light of a connection was looked at again.

    Attributes:
        conclusive: somebody who waits for a result need not wait longer: no quick re-check follows.
    """

    id: str
    health: Health
    transition: Transition | None = None
    sample: Sample | None = None
    conclusive: bool = False


@dataclass(frozen=True, slots=True)
class OfflineNotice:
    """This computer went off line, or came back (since is None); again when its clock was set meanwhile."""

    since: datetime | None


Notice = HealthNotice | OfflineNotice
