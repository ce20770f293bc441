"""Holds the health and the next check of each watched connection, and the events to publish.

Other modules read entries but never change them. They call methods here when a check is planned, starts or
ends, an answer is judged, or health is frozen. The judgements of `policy` are applied here: the health
changes, jitter is added, the next check is planned, and a notice is added to the outbox.
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
"""Seconds between requests to a host: at most ten a second."""


REPEATED_S: Final = 30.0
_NEARLY: Final = timedelta(seconds=1)
"""Repeated waits of a program are published this often, or when the wait grows by more than this."""

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
    """A check that was not made for a reason on this computer; nothing was sent."""

    reason: str
    advice: str = ""


@frozen
class HealthNotice:
    """The health of a connection was updated.

    Attributes:
        conclusive: a caller that waits for a result need not wait longer, because no quick confirming check
            follows.
    """

    id: str
    health: Health
    transition: Transition | None = None
    sample: Sample | None = None
    conclusive: bool = False


@frozen
class OfflineNotice:
    """The computer went offline, or online again (since is None); repeated when its clock was set."""

    since: datetime | None


Notice = HealthNotice | OfflineNotice


@dataclass(slots=True)
class WatchedConnection:
    """A watched connection. Only `WatchList` writes it.

    Attributes:
        remote: outside the local network, so that its answers are evidence about the network.
        shown: the health published last.
        ticket: of the check that is planned, queued or running; older tickets are invalid.
        due: monotonic time of the next check in seconds; None if none is planned.
        regular: the next check is due because of its interval, not because of an event.
        asked: the next check was requested or is urgent.
        queued: whether the check is due and in the queue.
        slow: its host has hung before.
        again: the running check was sent with outdated data; another follows.
        doubtful: the network changed during the running check.
        frozen: its health before the computer went offline.
        judged_at: monotonic time in seconds at which the request with the newest judged answer was sent.
        proof: the newest good answer to a program that is not judged yet, and when its request was sent.
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
        """Whether it has no regular checks."""
        return self.watched.paused

    @property
    def known(self) -> HealthState | None:
        """The last state that a check showed, even while the present state is UNKNOWN."""
        return policy.last_seen(self.tracked.health)

    @property
    def remembered(self) -> TrackedHealth:
        """The health; while the computer is offline, the health from before."""
        return self.tracked if self.frozen is None else self.frozen

    def waits(self, mono: float) -> bool:
        """Whether the provider asked not to be called yet."""
        not_before = self.remembered.not_before
        return not_before is not None and not_before > mono

    def may_be_asked(self, mono: float) -> bool:
        """Whether it may be checked now as a witness for other connections."""
        return not (self.paused or self.remembered.stopped or self.waits(mono))


def is_remote(origin: str) -> bool:
    """Whether a host (as scheme://host:port) is outside the local network, judging from its name."""
    host = (urlsplit(origin).hostname or "").rstrip(".")
    # Most hosts are names, and this is faster than parsing an address.
    if ":" not in host and not host.replace(".", "").isdecimal():
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host
    return address.is_global


def _request(entry: WatchedConnection, sent: float) -> Launch:
    """A stand-in for a check, for a request that was not launched here."""
    return Launch(0, entry.watched.id, entry.watched.origin, sent, 0.0)


class WatchList:
    """The watched connections by id, and unpublished events."""

    def __init__(self, rng: random.Random) -> None:
        self._entries: dict[str, WatchedConnection] = {}
        self._outbox: list[Notice] = []
        self._rng = rng
        self._tickets = 0
        self._timers: list[tuple[float, int, str]] = []
        self._ranked: list[WatchedConnection] | None = None

    def __iter__(self) -> Iterator[WatchedConnection]:
        """All entries."""
        return iter(self._entries.values())

    def get(self, connection_id: str) -> WatchedConnection | None:
        """The entry of a connection; None if it is not watched."""
        return self._entries.get(connection_id)

    def by_importance(self) -> Iterator[WatchedConnection]:
        """Remote connections, important ones first."""
        if self._ranked is None:
            remote = [entry for entry in self if entry.remote]
            self._ranked = sorted(remote, key=lambda entry: not entry.watched.important)
        return iter(self._ranked)

    # Watched connections.

    def add(self, watched: Watched, tracked: TrackedHealth, *, slow: bool) -> WatchedConnection:
        """Start to watch a connection."""
        entry = WatchedConnection(
            watched, tracked, is_remote(watched.origin), shown=tracked.health, slow=slow
        )
        self._entries[watched.id] = entry
        self._ranked = None
        return entry

    def remove(self, connection_id: str) -> WatchedConnection:
        """Stop watching a connection."""
        self._ranked = None
        return self._entries.pop(connection_id)

    def adjust(self, entry: WatchedConnection, watched: Watched) -> None:
        """The host, importance, interval or pause of a connection changed."""
        if watched.origin != entry.watched.origin:
            entry.remote = is_remote(watched.origin)
        entry.watched = watched
        self._ranked = None

    def rest(self, entry: WatchedConnection, now: Instant) -> None:
        """The connection was paused: cancel its next check."""
        entry.frozen = None
        self.disarm(entry)
        self.withhold(entry, policy.PAUSED, "", now)

    # Planning checks.

    def jittered(self, delay_s: float) -> float:
        """The interval with random jitter, so that checks do not run in step."""
        return delay_s * (1.0 - JITTER + 2.0 * JITTER * self._rng.random())

    def arm(self, entry: WatchedConnection, due: float, *, asked: bool, regular: bool = False) -> None:
        """Plan the next check of a connection, replacing a planned one."""
        self._tickets += 1
        entry.ticket = self._tickets
        entry.due = due
        entry.asked = asked
        entry.regular = regular
        entry.queued = False
        heapq.heappush(self._timers, (due, self._tickets, entry.watched.id))

    def arm_soon_after(self, entry: WatchedConnection, moment: float) -> None:
        """Plan a check for the end of a wait that a provider asked for, or up to a second later."""
        self.arm(entry, moment + self._rng.random(), asked=False)

    def disarm(self, entry: WatchedConnection) -> None:
        """Cancel the planned check."""
        self._tickets += 1
        entry.ticket = self._tickets
        entry.due = None
        entry.queued = False

    def suspected(self, entry: WatchedConnection, mono: float) -> None:
        """Note that a program reported a failure."""
        entry.suspected_at = mono

    def next_due(self) -> float | None:
        """Monotonic time of the next due check."""
        timers = self._timers
        while timers:
            due, ticket, id_ = timers[0]
            entry = self._entries.get(id_)
            if entry is not None and entry.ticket == ticket:
                return due
            heapq.heappop(timers)
        return None

    def fallen_due(self, mono: float) -> Iterator[tuple[float, WatchedConnection]]:
        """The entries whose check is due, and since when; each is returned once.

        A regular check is skipped if the connection has answered a program since the last one.
        """
        timers = self._timers
        while timers and timers[0][0] <= mono:
            due, ticket, id_ = heapq.heappop(timers)
            entry = self._entries.get(id_)
            if entry is None or entry.ticket != ticket:
                continue
            if entry.regular and entry.proof is not None:
                verdict, asked = entry.proof
                self.answer(entry, verdict, _request(entry, asked.mono), asked)
            else:
                entry.queued = True
                yield due, entry

    def start(self, entry: WatchedConnection, origin: str, mono: float, deadline_s: float) -> Launch:
        """Start the check.

        Args:
            origin: the host whose place it takes; the connection may have moved since it was queued.
        """
        launch = Launch(entry.ticket, entry.watched.id, origin, mono, deadline_s)
        entry.queued = False
        entry.asked = False
        entry.due = None
        entry.running = launch
        entry.doubtful = False
        return launch

    def end(self, entry: WatchedConnection) -> None:
        """The check ended."""
        entry.running = None
        entry.again = entry.doubtful = False

    def doubt_running(self) -> None:
        """The network changed: running checks may fail because of that."""
        for entry in self:
            if entry.running is not None:
                entry.doubtful = True

    # Changing health.

    def answer(
        self,
        entry: WatchedConnection,
        verdict: Verdict,
        launch: Launch,
        now: Instant,
        *,
        certain: bool = False,
    ) -> None:
        """Judge the result of a check. Results are judged only here."""
        entry.judged_at = launch.started
        if entry.proof is not None and entry.proof[1].mono <= launch.started:
            entry.proof = None
        step = policy.judge(entry.watched, entry.tracked, verdict, now, certain=certain)
        self._apply(entry, step, launch, now, policy.sample(launch.id, verdict, now))

    def tested(self, entry: WatchedConnection, verdict: Verdict, now: Instant) -> None:
        """Apply a person's test, which needs no confirmation. A running check is repeated."""
        entry.again = entry.running is not None
        self.answer(entry, verdict, _request(entry, now.mono), now, certain=True)

    def proven(self, entry: WatchedConnection, verdict: Verdict, asked_at: float, now: Instant) -> bool:
        """A program got a good answer. Publish it at once if it is news, or else when the next check is due.

        Returns:
            Whether it was published.
        """
        if asked_at <= entry.judged_at:
            # A newer answer was judged already.
            return False
        asked = Instant(now.wall - timedelta(seconds=now.mono - asked_at), asked_at)
        entry.proof = verdict, asked
        tracked = entry.tracked
        if entry.running is not None or (tracked.health.state is HealthState.HEALTHY and tracked.settled):
            return False
        self.answer(entry, verdict, _request(entry, asked_at), now)
        return True

    def limited(self, entry: WatchedConnection, verdict: Verdict, now: Instant) -> bool:
        """A program was told to wait, or that its quota is spent.

        Returns:
            Whether that is new.
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
        """Nothing was sent; the next check is made as planned."""
        step = policy.withheld(entry.watched, entry.tracked, result.reason, result.advice, now)
        self._apply(entry, replace(step, delay_s=entry.watched.interval_s, regular=True), launch, now, None)

    def timed(self, entry: WatchedConnection, *, slow: bool) -> None:
        """Record whether the host hung."""
        entry.slow = slow

    def forget(self, entry: WatchedConnection, now: Instant, *, offline: bool) -> None:
        """Configuration or secret changed: discard the health, and check at once."""
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
        """Set the state to UNKNOWN, because it cannot be checked."""
        step = policy.withheld(entry.watched, entry.tracked, reason, advice, now)
        entry.tracked = step.tracked
        self.tell(entry, now, transition=step.transition, conclusive=True)

    def freeze(self, entry: WatchedConnection) -> None:
        """Keep the health until the computer is online again."""
        self.disarm(entry)
        entry.frozen = entry.tracked

    def unfreeze(self, entry: WatchedConnection) -> TrackedHealth | None:
        """The computer is online again. Returns the health from before; None if it was not frozen."""
        frozen, entry.frozen = entry.frozen, None
        return frozen

    def restore(self, entry: WatchedConnection, tracked: TrackedHealth, now: Instant) -> None:
        """Return to the earlier health, because no check is made for a while."""
        before = entry.tracked.health
        entry.tracked = replace(tracked, health=replace(tracked.health, since=now.wall))
        if not tracked.stopped and tracked.not_before is not None:
            self.arm_soon_after(entry, tracked.not_before)
        self.tell(entry, now, transition=policy.transition(entry.watched, before, tracked.health, now))

    def slept(self, asleep_s: float, now: Instant) -> None:
        """The computer was suspended: time has passed for providers, but not on the monotonic clock."""
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
        """The wall clock was set: convert all times. Planned checks still run at the same moments."""
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
            # The connection is paused and was checked on request, so no confirming check follows.
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

    # Publishing.

    def drain(self) -> list[Notice]:
        """The events since the last call, in order."""
        notices, self._outbox = self._outbox, []
        return notices

    def tell_offline(self, since: datetime | None) -> None:
        """Publish that the computer went offline, or online again (None)."""
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
        """Publish the present health, and the time of the next check."""
        due = None if entry.due is None else now.wall + timedelta(seconds=entry.due - now.mono)
        entry.shown = replace(entry.tracked.health, next_check_at=due)
        self._outbox.append(HealthNotice(entry.watched.id, entry.shown, transition, sample, conclusive))
