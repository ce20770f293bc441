"""What is remembered of one watched connection? Its light, and where its next check stands."""

from dataclasses import dataclass

from nexo_client.terms import HealthState
from nexo_daemon.domain.model import Health
from nexo_daemon.health.checks import Launch, Watched
from nexo_daemon.health.policy import Light, Pace


@dataclass(slots=True)
class Slot:
    """One connection.

    Attributes:
        remote: beyond the local network, so that its answers tell about our own.
        shown: what was told last.
        ticket: of the check that is planned, queued or running; older ones are void.
        due: monotonic second of the next check; None when none is planned.
        regular: the next check is due for its interval, and not for anything that happened.
        asked: somebody or something waits for the next check.
        queued: due, and waiting for its turn.
        slow: its host was seen to hang.
        again: what the running check was sent with is out of date; another follows.
        doubtful: the network changed under the running check.
        frozen: its light of before, while this computer is off line.
    """

    watched: Watched
    pace: Pace
    light: Light
    remote: bool
    paused: bool
    shown: Health
    ticket: int = 0
    due: float | None = None
    regular: bool = False
    asked: bool = False
    queued: bool = False
    running: Launch | None = None
    slow: bool = False
    again: bool = False
    doubtful: bool = False
    suspected_at: float = float("-inf")
    frozen: Light | None = None

    @property
    def known(self) -> HealthState | None:
        """The state that was last seen, also while it is not vouched for."""
        health = self.light.health
        return health.last_known if health.state is HealthState.UNKNOWN else health.state

    @property
    def remembered(self) -> Light:
        """The light, or that of before, while this computer is off line."""
        return self.light if self.frozen is None else self.frozen

    def waits(self, mono: float) -> bool:
        """Whether the provider asked not to be called yet."""
        not_before = self.remembered.not_before
        return not_before is not None and not_before > mono

    def may_be_asked(self, mono: float) -> bool:
        """Whether a check of it can help others now."""
        return not (self.paused or self.remembered.stopped or self.waits(mono))
