"""What is known of each watched connection, when is it checked next, and what is told? Written only here.

Others read an entry, and say here what happened: a check is planned, starts or ends, an answer is judged, a
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
from nexo_daemon.health.policy import Judgement, TrackedHealth, Watched

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
class WatchedConnection:
    """One connection. Read by all, written by `WatchList`.

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
    tracked: TrackedHealth
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
    frozen: TrackedHealth | None = None
    judged_at: float = float("-inf")
    proof: tuple[Verdict, Instant] | None = None

    @property
    def paused(self) -> bool:
        """Whether there are no regular checks of it."""
        return self.watched.paused

    @property
    def known(self) -> HealthState | None:
        """The state that was last seen, also while it is not vouched for."""
        return policy.last_seen(self.tracked.health)

    @property
    def remembered(self) -> TrackedHealth:
        """The light, or that of before, while this computer is off line."""
        return self.tracked if self.frozen is None else self.frozen

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


def _request(entry: WatchedConnection, sent: float) -> Launch:
    """One that was not launched here."""
    return Launch(0, entry.watched.id, entry.watched.origin, sent, 0.0)


class WatchList:
    """The watched connections, by id, and what was not yet told of them."""

    def __init__(self, source: random.Random) -> None:
        self._watch_list: dict[str, WatchedConnection] = {}
        self._outbox: list[Notice] = []
        self._random = source
        self._tickets = 0
        self._timers: list[tuple[float, int, str]] = []
        self._ranked: list[WatchedConnection] | None = None

    def __iter__(self) -> Iterator[WatchedConnection]:
        """All of them."""
        return iter(self._watch_list.values())

    def get(self, connection_id: str) -> WatchedConnection | None:
        """The entry of a connection; None when it is not watched."""
        return self._watch_list.get(connection_id)

    def by_importance(self) -> Iterator[WatchedConnection]:
        """Remote connections, important ones first."""
        if self._ranked is None:
            remote = [entry for entry in self if entry.remote]
            self._ranked = sorted(remote, key=lambda entry: not entry.watched.important)
        return iter(self._ranked)

    # What is watched.

    def add(self, watched: Watched, tracked: TrackedHealth, *, slow: bool) -> WatchedConnection:
        """One more connection is watched."""
        entry = WatchedConnection(
            watched, tracked, is_remote(watched.origin), shown=tracked.health, slow=slow
        )
        self._watch_list[watched.id] = entry
        self._ranked = None
        return entry

    def remove(self, connection_id: str) -> WatchedConnection:
        """A connection is not watched any more."""
        self._ranked = None
        return self._watch_list.pop(connection_id)

    def adjust(self, entry: WatchedConnection, watched: Watched) -> None:
        """A connection has another host, importance or interval, or is paused or not."""
        if watched.origin != entry.watched.origin:
            entry.remote = is_remote(watched.origin)
        entry.watched = watched
        self._ranked = None

    def rest(self, entry: WatchedConnection, now: Instant) -> None:
        """It was paused: plan nothing."""
        entry.frozen = None
        self.disarm(entry)
        self.withhold(entry, policy.PAUSED, "", now)

    # When it is checked.

    def jittered(self, delay_s: float) -> float:
        """An interval, a little longer or shorter, so that checks do not stay in step."""
        return delay_s * (1.0 - JITTER + 2.0 * JITTER * self._random.random())

    def arm(self, entry: WatchedConnection, due: float, *, asked: bool, regular: bool = False) -> None:
        """Plan the next check of a connection, in place of any that was planned."""
        self._tickets += 1
        entry.ticket = self._tickets
        entry.due = due
        entry.asked = asked
        entry.regular = regular
        entry.queued = False
        heapq.heappush(self._timers, (due, self._tickets, entry.watched.id))

    def arm_soon_after(self, entry: WatchedConnection, moment: float) -> None:
        """Plan a check for the end of a wait that a provider asked for, or up to a second after."""
        self.arm(entry, moment + self._random.random(), asked=False)

    def disarm(self, entry: WatchedConnection) -> None:
        """Plan none."""
        self._tickets += 1
        entry.ticket = self._tickets
        entry.due = None
        entry.queued = False

    def suspected(self, entry: WatchedConnection, mono: float) -> None:
        """A program reported a failure."""
        entry.suspected_at = mono

    def next_due(self) -> float | None:
        """Monotonic second at which the next check falls due."""
        timers = self._timers
        while timers:
            due, ticket, id_ = timers[0]
            entry = self._watch_list.get(id_)
            if entry is not None and entry.ticket == ticket:
                return due
            heapq.heappop(timers)
        return None

    def fallen_due(self, mono: float) -> Iterator[tuple[float, WatchedConnection]]:
        """Those whose check is due by now, and since when; each is given once.

        A regular check is spared where the connection has answered a program since the last one.
        """
        timers = self._timers
        while timers and timers[0][0] <= mono:
            due, ticket, id_ = heapq.heappop(timers)
            entry = self._watch_list.get(id_)
            if entry is None or entry.ticket != ticket:
                continue
            if entry.regular and entry.proof is not None:
                verdict, asked = entry.proof
                self.answer(entry, verdict, _request(entry, asked.mono), asked)
            else:
                entry.queued = True
                yield due, entry

    def start(self, entry: WatchedConnection, mono: float, deadline_s: float) -> Launch:
        """Its turn has come."""
        launch = Launch(entry.ticket, entry.watched.id, entry.watched.origin, mono, deadline_s)
        entry.queued = False
        entry.asked = False
        entry.due = None
        entry.running = launch
        entry.doubtful = False
        return launch

    def end(self, entry: WatchedConnection) -> None:
        """Its check ended."""
        entry.running = None
        entry.again = entry.doubtful = False

    def doubt_running(self) -> None:
        """The network changed: what runs now may fail for that."""
        for entry in self:
            if entry.running is not None:
                entry.doubtful = True

    # What its light is.

    def answer(
        self,
        entry: WatchedConnection,
        verdict: Verdict,
        launch: Launch,
        now: Instant,
        *,
        certain: bool = False,
    ) -> None:
        """Judge what a check brought. The only place that does."""
        entry.judged_at = launch.started
        if entry.proof is not None and entry.proof[1].mono <= launch.started:
            entry.proof = None
        step = policy.judge(entry.watched, entry.tracked, verdict, now, certain=certain)
        self._apply(entry, step, launch, now, policy.sample(launch.id, verdict, now))

    def tested(self, entry: WatchedConnection, verdict: Verdict, now: Instant) -> None:
        """A person made a whole test: its verdict needs no second one. What is on its way is asked anew."""
        entry.again = entry.running is not None
        self.answer(entry, verdict, _request(entry, now.mono), now, certain=True)

    def proven(self, entry: WatchedConnection, verdict: Verdict, asked_at: float, now: Instant) -> bool:
        """A program got a good answer. Told at once where that is news, else when the next check is due.

        Returns:
            Whether it was told.
        """
        if asked_at <= entry.judged_at:
            # The light knows of something newer.
            return False
        asked = Instant(now.wall - timedelta(seconds=now.mono - asked_at), asked_at)
        entry.proof = verdict, asked
        tracked = entry.tracked
        if entry.running is not None or (tracked.health.state is HealthState.HEALTHY and tracked.settled):
            return False
        self.answer(entry, verdict, _request(entry, asked_at), now)
        return True

    def limited(self, entry: WatchedConnection, verdict: Verdict, now: Instant) -> bool:
        """A program was told to wait, or that nothing is left.

        Returns:
            Whether that was not known.
        """
        known, until = entry.tracked.health, verdict.retry_at
        if entry.tracked.stopped or entry.running is not None:
            return False
        told_before = known.state is HealthState.LIMITED and now.mono - entry.judged_at < REPEATED_S
        later = until is not None and (known.retry_at is None or until - known.retry_at > _NEARLY)
        if told_before and not later:
            return False
        self.answer(entry, verdict, _request(entry, now.mono), now)
        return True

    def not_checked(self, entry: WatchedConnection, result: NotChecked, launch: Launch, now: Instant) -> None:
        """Nothing was sent; the next check is tried when it is due."""
        step = policy.withheld(entry.watched, entry.tracked, result.reason, result.advice, now)
        self._apply(entry, replace(step, delay_s=entry.watched.interval_s, regular=True), launch, now, None)

    def timed(self, entry: WatchedConnection, *, slow: bool) -> None:
        """An answer came, or its host hung."""
        entry.slow = slow

    def forget(self, entry: WatchedConnection, now: Instant, *, offline: bool) -> None:
        """Configuration or secret changed: what was known is void, and a check follows at once."""
        before = entry.tracked
        step = policy.withheld(entry.watched, before, policy.NEVER, "", now)
        entry.slow = False
        entry.proof = None
        entry.tracked = TrackedHealth(replace(Health(), since=now.wall))
        entry.frozen = entry.tracked if entry.remote and offline else None
        if entry.paused:
            entry.tracked = policy.withheld(entry.watched, entry.tracked, policy.PAUSED, "", now).tracked
        elif entry.running is not None:
            entry.again = True
        else:
            self.arm(entry, now.mono, asked=True)
        was_known = before.health.state is not HealthState.UNKNOWN
        self.tell(entry, now, transition=step.transition if was_known else None)

    def withhold(self, entry: WatchedConnection, reason: str, advice: str, now: Instant) -> None:
        """Stop vouching for a light, because it cannot be checked."""
        step = policy.withheld(entry.watched, entry.tracked, reason, advice, now)
        entry.tracked = step.tracked
        self.tell(entry, now, transition=step.transition, conclusive=True)

    def freeze(self, entry: WatchedConnection) -> None:
        """Keep the light as it is until this computer is on line again."""
        self.disarm(entry)
        entry.frozen = entry.tracked

    def unfreeze(self, entry: WatchedConnection) -> TrackedHealth | None:
        """This computer is on line again. The light of before; None if it was not frozen."""
        frozen, entry.frozen = entry.frozen, None
        return frozen

    def restore(self, entry: WatchedConnection, tracked: TrackedHealth, now: Instant) -> None:
        """Nothing will be asked for a while: what was known before is still what is known."""
        before = entry.tracked.health
        entry.tracked = replace(tracked, health=replace(tracked.health, since=now.wall))
        if not tracked.stopped and tracked.not_before is not None:
            self.arm_soon_after(entry, tracked.not_before)
        self.tell(entry, now, transition=policy.transition(entry.watched, before, tracked.health, now))

    def slept(self, asleep_s: float, now: Instant) -> None:
        """The computer was suspended: time that passed for providers and not for our clock."""
        for entry in self:
            tracked = entry.remembered
            if tracked.not_before is None:
                continue
            not_before = tracked.not_before - asleep_s
            tracked = replace(tracked, not_before=not_before)
            if entry.frozen is not None:
                entry.frozen = tracked
                continue
            entry.tracked = tracked
            if entry.due is not None and entry.running is None:
                self.arm_soon_after(entry, max(now.mono, not_before))

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set: say every moment on the new one. When what is due stays as it is."""
        for entry in self:
            entry.tracked = replace(entry.tracked, health=shifted(entry.tracked.health, seconds))
            if entry.frozen is not None:
                entry.frozen = replace(entry.frozen, health=shifted(entry.frozen.health, seconds))
            entry.shown = shifted(entry.shown, seconds)
            entry.proof = None
            self._outbox.append(HealthNotice(entry.watched.id, entry.shown))

    def _apply(
        self, entry: WatchedConnection, step: Judgement, launch: Launch, now: Instant, sample: Sample | None
    ) -> None:
        entry.tracked = step.tracked
        if entry.paused and step.tracked.health.reason == policy.CHECKING:
            # Somebody asked for one check, and no second one follows.
            entry.tracked = replace(step.tracked, health=replace(step.tracked.health, reason=policy.PAUSED))
        if entry.paused or step.delay_s is None:
            self.disarm(entry)
        elif step.regular:
            due = launch.started + self.jittered(step.delay_s)
            self.arm(entry, max(due, now.mono + HOST_GAP_S), asked=False, regular=True)
        elif step.tracked.not_before is not None:
            self.arm_soon_after(entry, now.mono + step.delay_s)
        else:
            self.arm(entry, now.mono + step.delay_s, asked=False)
        conclusive = step.regular or step.delay_s is None or step.delay_s > 5.0
        self.tell(entry, now, transition=step.transition, sample=sample, conclusive=conclusive)

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
        entry: WatchedConnection,
        now: Instant,
        *,
        transition: Transition | None = None,
        sample: Sample | None = None,
        conclusive: bool = False,
    ) -> None:
        """Show the light as it is now, and when the next check is due."""
        due = None if entry.due is None else now.wall + timedelta(seconds=entry.due - now.mono)
        entry.shown = replace(entry.tracked.health, next_check_at=due)
        self._outbox.append(HealthNotice(entry.watched.id, entry.shown, transition, sample, conclusive))
