"""What is known of all watched connections: who is told of a change, and which check follows from it.

Here a step of `policy` takes effect: the light changes, jitter is added, the next check is planned, and a
notice goes to the outbox.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from nexo_daemon.domain.model import Health, Sample, Transition
from nexo_daemon.health import policy
from nexo_daemon.health.checks import HealthNotice, Launch, Notice
from nexo_daemon.health.hosts import HOST_GAP_S
from nexo_daemon.health.jumps import shifted
from nexo_daemon.health.policy import Instant, Step
from nexo_daemon.health.slot import Slot
from nexo_daemon.health.turns import Turns

JITTER: Final = 0.1


class Watchlist:
    """All slots, and what is told of them.

    Attributes:
        slots: by the id of the connection.
        outbox: what happened and was not yet told, in order.
    """

    def __init__(self, slots: dict[str, Slot], turns: Turns, source: random.Random) -> None:
        self.slots = slots
        self.outbox: list[Notice] = []
        self._turns = turns
        self._random = source
        self._ranked: list[Slot] | None = None

    def drain(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices, self.outbox = self.outbox, []
        return notices

    def reordered(self) -> None:
        """Connections came, went, or changed in importance."""
        self._ranked = None

    def by_importance(self) -> Iterator[Slot]:
        """Remote slots, important ones first."""
        if self._ranked is None:
            remote = [slot for slot in self.slots.values() if slot.remote]
            self._ranked = sorted(remote, key=lambda slot: not slot.pace.important)
        return iter(self._ranked)

    def jittered(self, delay_s: float) -> float:
        """An interval, a little longer or shorter, so that checks do not stay in step."""
        return delay_s * (1.0 - JITTER + 2.0 * JITTER * self._random.random())

    def arm_soon_after(self, slot: Slot, moment: float) -> None:
        """Plan a check for the end of a wait that a provider asked for, or up to a second after."""
        self._turns.arm(slot, moment + self._random.random(), asked=False)

    def apply(self, slot: Slot, step: Step, launch: Launch, now: Instant, sample: Sample | None) -> None:
        """A check led to a step."""
        slot.light = step.light
        if slot.paused and step.light.health.reason == policy.CHECKING:
            # Somebody asked for one check, and no second one follows.
            slot.light = replace(step.light, health=replace(step.light.health, reason=policy.PAUSED))
        if slot.paused or step.delay_s is None:
            self._turns.disarm(slot)
        elif step.regular:
            due = launch.started + self.jittered(step.delay_s)
            self._turns.arm(slot, max(due, now.mono + HOST_GAP_S), asked=False, regular=True)
        elif step.light.not_before is not None:
            self.arm_soon_after(slot, now.mono + step.delay_s)
        else:
            self._turns.arm(slot, now.mono + step.delay_s, asked=False)
        conclusive = step.regular or step.delay_s is None or step.delay_s > 5.0
        self.tell(slot, now, transition=step.transition, sample=sample, conclusive=conclusive)

    def withhold(self, slot: Slot, reason: str, advice: str, now: Instant) -> None:
        """Stop vouching for a light, because it cannot be checked."""
        step = policy.withheld(slot.watched.id, slot.light, reason, advice, now)
        slot.light = step.light
        self.tell(slot, now, transition=step.transition, conclusive=True)

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set: say every moment on the new one. When what is due stays as it is."""
        for slot in self.slots.values():
            slot.light = replace(slot.light, health=shifted(slot.light.health, seconds))
            if slot.frozen is not None:
                slot.frozen = replace(slot.frozen, health=shifted(slot.frozen.health, seconds))
            slot.shown = shifted(slot.shown, seconds)
            self.outbox.append(HealthNotice(slot.watched.id, slot.shown))

    def tell(
        self,
        slot: Slot,
        now: Instant,
        *,
        transition: Transition | None = None,
        sample: Sample | None = None,
        conclusive: bool = False,
    ) -> None:
        """Show the light as it is now, and when the next check is due."""
        due, known = slot.due, slot.light.health
        # Spelt out: dataclasses.replace costs five times as much, and this is on the path of every check.
        slot.shown = Health(
            known.state,
            known.reason,
            known.since,
            known.checked_at,
            known.latency_s,
            known.retry_at,
            known.consecutive_failures,
            None if due is None else now.wall + timedelta(seconds=due - now.mono),
            known.advice,
            known.last_known,
        )
        self.outbox.append(HealthNotice(slot.watched.id, slot.shown, transition, sample, conclusive))
