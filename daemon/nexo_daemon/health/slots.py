"""What is known of each watched connection, when is it checked next, and what is told? Written only here.

Others read a slot, and say here what happened: a check is planned, starts or ends, an answer is judged, a
light is frozen. A judgement of `policy` takes effect here: the light changes, jitter is added, the next check
is planned, and a notice goes to the outbox.
"""

import heapq
import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from nexo.connections.terms import HealthState
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Health, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.clocks import Instant, shifted
from nexo_daemon.health.policy import Judgement, Light, Watched

JITTER: Final = 0.1

HOST_GAP_S: Final = 0.1
"""The rest of a host after a request: never more than ten a second."""


REPEATED_S: Final = 30.0
_NEARLY: Final = timedelta(seconds=1)
"""What programs are told again and again is news this often, or when the wait grows by more than that."""

_LOCAL_SUFFIXES: Final = (".localhost", ".local", ".lan", ".internal", ".home.arpa")


@frozen
class Launch:
    """A check to start now."""

    ticket: int
    id: str
    origin: str
    started: float
    deadline_s: float


@frozen
class NotChecked:
    """A check that could not be made for reasons of this computer: nothing was sent."""

    reason: str
    advice: str = ""


@frozen
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


@frozen
class OfflineNotice:
    """This computer went off line, or came back (since is None); again when its clock was set meanwhile."""

    since: datetime | None


Notice = HealthNotice | OfflineNotice


@dataclass(slots=True)
class Slot:
    """One connection. Read by all, written by `Slots`.

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
        judged_at: monotonic second at which the newest request was sent whose answer is in the light.
        proof: the newest good answer to a program, and when that was asked for; not in the light yet.
    """

    watched: Watched
    light: Light
    remote: bool
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
    judged_at: float = float("-inf")
    proof: tuple[Verdict, Instant] | None = None

    @property
    def paused(self) -> bool:
        """Whether there are no regular checks of it."""
        return self.watched.paused

    @property
    def known(self) -> HealthState | None:
        """The state that was last seen, also while it is not vouched for."""
        return policy.last_seen(self.light.health)

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


def is_remote(origin: str) -> bool:
    """Whether a host (given as scheme://host:port) is beyond the local network, as far as its name tells."""
    host = (urlsplit(origin).hostname or "").rstrip(".")
    # Most are names, which are told faster so than by what an address is not made of.
    if ":" not in host and not host.replace(".", "").isdecimal():
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host
    return not address.is_loopback and address.is_global


def _request(slot: Slot, sent: float) -> Launch:
    """One that was not launched here."""
    return Launch(0, slot.watched.id, slot.watched.origin, sent, 0.0)


class Slots:
    """The slots of all watched connections, by id, and what was not yet told of them."""

    def __init__(self, source: random.Random) -> None:
        self._slots: dict[str, Slot] = {}
        self._outbox: list[Notice] = []
        self._random = source
        self._tickets = 0
        self._timers: list[tuple[float, int, str]] = []
        self._ranked: list[Slot] | None = None

    def __iter__(self) -> Iterator[Slot]:
        """All of them."""
        return iter(self._slots.values())

    def get(self, connection_id: str) -> Slot | None:
        """The slot of a connection; None when it is not watched."""
        return self._slots.get(connection_id)

    def by_importance(self) -> Iterator[Slot]:
        """Remote slots, important ones first."""
        if self._ranked is None:
            remote = [slot for slot in self if slot.remote]
            self._ranked = sorted(remote, key=lambda slot: not slot.watched.important)
        return iter(self._ranked)

    # What is watched.

    def add(self, watched: Watched, light: Light, *, slow: bool) -> Slot:
        """One more connection is watched."""
        slot = Slot(watched, light, is_remote(watched.origin), shown=light.health, slow=slow)
        self._slots[watched.id] = slot
        self._ranked = None
        return slot

    def remove(self, connection_id: str) -> Slot:
        """A connection is not watched any more."""
        self._ranked = None
        return self._slots.pop(connection_id)

    def adjust(self, slot: Slot, watched: Watched) -> None:
        """A connection has another host, importance or interval, or is paused or not."""
        slot.watched, slot.remote = watched, is_remote(watched.origin)
        self._ranked = None

    def rest(self, slot: Slot, now: Instant) -> None:
        """It was paused: plan nothing."""
        slot.frozen = None
        self.disarm(slot)
        self.withhold(slot, policy.PAUSED, "", now)

    # When it is checked.

    def jittered(self, delay_s: float) -> float:
        """An interval, a little longer or shorter, so that checks do not stay in step."""
        return delay_s * (1.0 - JITTER + 2.0 * JITTER * self._random.random())

    def arm(self, slot: Slot, due: float, *, asked: bool, regular: bool = False) -> None:
        """Plan the next check of a connection, in place of any that was planned."""
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = due
        slot.asked = asked
        slot.regular = regular
        slot.queued = False
        heapq.heappush(self._timers, (due, self._tickets, slot.watched.id))

    def arm_soon_after(self, slot: Slot, moment: float) -> None:
        """Plan a check for the end of a wait that a provider asked for, or up to a second after."""
        self.arm(slot, moment + self._random.random(), asked=False)

    def disarm(self, slot: Slot) -> None:
        """Plan none."""
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = None
        slot.queued = False

    def suspected(self, slot: Slot, mono: float) -> None:
        """A program reported a failure."""
        slot.suspected_at = mono

    def next_due(self) -> float | None:
        """Monotonic second at which the next check falls due."""
        timers = self._timers
        while timers:
            due, ticket, id_ = timers[0]
            slot = self._slots.get(id_)
            if slot is not None and slot.ticket == ticket:
                return due
            heapq.heappop(timers)
        return None

    def fallen_due(self, mono: float) -> Iterator[tuple[float, Slot]]:
        """Those whose check is due by now, and since when; each is given once.

        A regular check is spared where the connection has answered a program since the last one.
        """
        timers = self._timers
        while timers and timers[0][0] <= mono:
            due, ticket, id_ = heapq.heappop(timers)
            slot = self._slots.get(id_)
            if slot is None or slot.ticket != ticket:
                continue
            if slot.regular and slot.proof is not None:
                verdict, asked = slot.proof
                self.answer(slot, verdict, _request(slot, asked.mono), asked)
            else:
                slot.queued = True
                yield due, slot

    def start(self, slot: Slot, mono: float, deadline_s: float) -> Launch:
        """Its turn has come."""
        launch = Launch(slot.ticket, slot.watched.id, slot.watched.origin, mono, deadline_s)
        slot.queued = False
        slot.asked = False
        slot.due = None
        slot.running = launch
        slot.doubtful = False
        return launch

    def end(self, slot: Slot) -> None:
        """Its check ended."""
        slot.running = None
        slot.again = slot.doubtful = False

    def doubt_running(self) -> None:
        """The network changed: what runs now may fail for that."""
        for slot in self:
            if slot.running is not None:
                slot.doubtful = True

    # What its light is.

    def answer(
        self, slot: Slot, verdict: Verdict, launch: Launch, now: Instant, *, certain: bool = False
    ) -> None:
        """Judge what a check brought. The only place that does."""
        slot.judged_at = launch.started
        if slot.proof is not None and slot.proof[1].mono <= launch.started:
            slot.proof = None
        step = policy.judge(slot.watched, slot.light, verdict, now, certain=certain)
        self._apply(slot, step, launch, now, policy.sample(launch.id, verdict, now))

    def tested(self, slot: Slot, verdict: Verdict, now: Instant) -> None:
        """A person made a whole test: its verdict needs no second one. What is on its way is asked anew."""
        slot.again = slot.running is not None
        self.answer(slot, verdict, _request(slot, now.mono), now, certain=True)

    def proven(self, slot: Slot, verdict: Verdict, asked_at: float, now: Instant) -> bool:
        """A program got a good answer. Told at once where that is news, else when the next check is due.

        Returns:
            Whether it was told.
        """
        if asked_at <= slot.judged_at:
            # The light knows of something newer.
            return False
        asked = Instant(now.wall - timedelta(seconds=now.mono - asked_at), asked_at)
        slot.proof = verdict, asked
        light = slot.light
        if slot.running is not None or (light.health.state is HealthState.HEALTHY and light.settled):
            return False
        self.answer(slot, verdict, _request(slot, asked_at), now)
        return True

    def limited(self, slot: Slot, verdict: Verdict, now: Instant) -> bool:
        """A program was told to wait, or that nothing is left.

        Returns:
            Whether that was not known.
        """
        known, until = slot.light.health, verdict.retry_at
        if slot.light.stopped or slot.running is not None:
            return False
        told_before = known.state is HealthState.LIMITED and now.mono - slot.judged_at < REPEATED_S
        later = until is not None and (known.retry_at is None or until - known.retry_at > _NEARLY)
        if told_before and not later:
            return False
        self.answer(slot, verdict, _request(slot, now.mono), now)
        return True

    def not_checked(self, slot: Slot, result: NotChecked, launch: Launch, now: Instant) -> None:
        """Nothing was sent; the next check is tried when it is due."""
        step = policy.withheld(slot.watched, slot.light, result.reason, result.advice, now)
        self._apply(slot, replace(step, delay_s=slot.watched.interval_s, regular=True), launch, now, None)

    def timed(self, slot: Slot, *, slow: bool) -> None:
        """An answer came, or its host hung."""
        slot.slow = slow

    def forget(self, slot: Slot, now: Instant, *, offline: bool) -> None:
        """Configuration or secret changed: what was known is void, and a check follows at once."""
        before = slot.light
        step = policy.withheld(slot.watched, before, policy.NEVER, "", now)
        slot.slow = False
        slot.proof = None
        slot.light = Light(replace(Health(), since=now.wall))
        slot.frozen = slot.light if slot.remote and offline else None
        if slot.paused:
            slot.light = policy.withheld(slot.watched, slot.light, policy.PAUSED, "", now).light
        elif slot.running is not None:
            slot.again = True
        else:
            self.arm(slot, now.mono, asked=True)
        was_known = before.health.state is not HealthState.UNKNOWN
        self.tell(slot, now, transition=step.transition if was_known else None)

    def withhold(self, slot: Slot, reason: str, advice: str, now: Instant) -> None:
        """Stop vouching for a light, because it cannot be checked."""
        step = policy.withheld(slot.watched, slot.light, reason, advice, now)
        slot.light = step.light
        self.tell(slot, now, transition=step.transition, conclusive=True)

    def freeze(self, slot: Slot) -> None:
        """Keep the light as it is until this computer is on line again."""
        self.disarm(slot)
        slot.frozen = slot.light

    def unfreeze(self, slot: Slot) -> Light | None:
        """This computer is on line again. The light of before; None if it was not frozen."""
        frozen, slot.frozen = slot.frozen, None
        return frozen

    def restore(self, slot: Slot, light: Light, now: Instant) -> None:
        """Nothing will be asked for a while: what was known before is still what is known."""
        before = slot.light.health
        slot.light = replace(light, health=replace(light.health, since=now.wall))
        if not light.stopped and light.not_before is not None:
            self.arm_soon_after(slot, light.not_before)
        self.tell(slot, now, transition=policy.transition(slot.watched, before, light.health, now))

    def slept(self, asleep_s: float, now: Instant) -> None:
        """The computer was suspended: time that passed for providers and not for our clock."""
        for slot in self:
            light = slot.remembered
            if light.not_before is None:
                continue
            not_before = light.not_before - asleep_s
            light = replace(light, not_before=not_before)
            if slot.frozen is not None:
                slot.frozen = light
                continue
            slot.light = light
            if slot.due is not None and slot.running is None:
                self.arm_soon_after(slot, max(now.mono, not_before))

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set: say every moment on the new one. When what is due stays as it is."""
        for slot in self:
            slot.light = replace(slot.light, health=shifted(slot.light.health, seconds))
            if slot.frozen is not None:
                slot.frozen = replace(slot.frozen, health=shifted(slot.frozen.health, seconds))
            slot.shown = shifted(slot.shown, seconds)
            slot.proof = None
            self._outbox.append(HealthNotice(slot.watched.id, slot.shown))

    def _apply(
        self, slot: Slot, step: Judgement, launch: Launch, now: Instant, sample: Sample | None
    ) -> None:
        slot.light = step.light
        if slot.paused and step.light.health.reason == policy.CHECKING:
            # Somebody asked for one check, and no second one follows.
            slot.light = replace(step.light, health=replace(step.light.health, reason=policy.PAUSED))
        if slot.paused or step.delay_s is None:
            self.disarm(slot)
        elif step.regular:
            due = launch.started + self.jittered(step.delay_s)
            self.arm(slot, max(due, now.mono + HOST_GAP_S), asked=False, regular=True)
        elif step.light.not_before is not None:
            self.arm_soon_after(slot, now.mono + step.delay_s)
        else:
            self.arm(slot, now.mono + step.delay_s, asked=False)
        conclusive = step.regular or step.delay_s is None or step.delay_s > 5.0
        self.tell(slot, now, transition=step.transition, sample=sample, conclusive=conclusive)

    # What is told.

    def drain(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices, self._outbox = self._outbox, []
        return notices

    def tell_offline(self, since: datetime | None) -> None:
        """This computer went off line, or came back (None)."""
        self._outbox.append(OfflineNotice(since))

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
        due = None if slot.due is None else now.wall + timedelta(seconds=slot.due - now.mono)
        slot.shown = replace(slot.light.health, next_check_at=due)
        self._outbox.append(HealthNotice(slot.watched.id, slot.shown, transition, sample, conclusive))
