"""Which connection is checked when? The scheduling core, without asyncio: a simulation drives the same code.

Time comes in as `Instant`, results as `Verdict`; out come launches (`launch`), the moment of the next thing
to do (`next_wake`) and what happened (`drain`). `monitor` turns launches into requests. Here is what makes a
check due: a connection that is new, changed, asked for, suspected, or was checked an interval ago. The
parts: `queue` gives turns, `network` tells whether this computer is off line, `Recheck` when all is
checked again, `watch_list` what is known and told.

Promises: a check never overlaps itself; one request at a time to a host, and never more than ten a second;
nothing is sent before a provider's `Retry-After`; important connections go first.
"""

import random
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from nexo.connections.terms import Outcome
from nexo_daemon.domain.model import Health
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.clocks import Instant
from nexo_daemon.health.network import CANARY_S, DEBOUNCE_S, Network
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.queue import SLOW_AFTER_S, CheckQueue, HostLimits, earlier
from nexo_daemon.health.watch_list import Launch, NotChecked, Notice, WatchedConnection, WatchList

SUSPECT_GAP_S: Final = 30.0

DEBOUNCE_LIMIT_S: Final = 10.0
RECHECK_GAP_S: Final = 30.0

_HANGS: Final = "timeout"


class Recheck:
    """When everything is checked again: once the changes have calmed down, and not again soon after.

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


class Scheduler:
    """The core. Not thread-safe; every method takes the moment at which it is called."""

    def __init__(self, source: random.Random) -> None:
        self._watch_list = WatchList(source)
        self._hosts = HostLimits()
        self._queue = CheckQueue(self._watch_list, self._hosts)
        self._network = Network(self._watch_list)
        self._recheck = Recheck()

    @property
    def routed(self) -> bool | None:
        """Whether the system has a default route; None when it cannot be told."""
        return self._network.routed

    @routed.setter
    def routed(self, routed: bool | None) -> None:
        self._network.routed = routed

    @property
    def offline_since(self) -> datetime | None:
        """Since when this computer is off line; None when it is not."""
        return self._network.offline_since

    @property
    def in_flight(self) -> int:
        """How many checks are running."""
        return self._queue.in_flight

    def health(self, connection_id: str) -> Health | None:
        """The light of a connection; None when it is not watched."""
        entry = self._watch_list.get(connection_id)
        return None if entry is None else entry.shown

    def drain(self) -> list[Notice]:
        """What happened since the last call, in order."""
        return self._watch_list.drain()

    # What is watched.

    def configure(
        self,
        watched: Mapping[str, Watched],
        known: Mapping[str, Health],
        now: Instant,
        *,
        only: Collection[str] | None = None,
    ) -> list[Launch]:
        """Bring the set of checks in line with the registry. Idempotent.

        Args:
            watched: every enabled connection, by id.
            known: health as stored, for connections that are new here.
            now: the moment.
            only: the connections that may differ from the last call, so that a switch costs the same
                with 10 connections and with 10 000; None looks at all.

        Returns:
            Running checks whose results are of no use any more: cancel them.
        """
        cancel: list[Launch] = []
        for entry in list(self._watch_list) if only is None else map(self._watch_list.get, only):
            if entry is not None and entry.watched.id not in watched:
                cancel.extend(self._remove(entry))
        for id_ in list(watched) if only is None else only:
            wanted = watched.get(id_)
            if wanted is None:
                continue
            entry = self._watch_list.get(id_)
            if entry is None:
                self._add(wanted, known.get(id_), now)
            else:
                cancel.extend(self._adjust(entry, wanted, now))
        return cancel

    def _add(self, watched: Watched, known: Health | None, now: Instant) -> None:
        tracked = policy.restored(known or Health(), now)
        entry = self._watch_list.add(watched, tracked, slow=tracked.health.reason == _HANGS)
        self._hosts.join(watched.origin)
        if entry.paused:
            self._watch_list.withhold(entry, policy.PAUSED, "", now)
        elif self._network.offline_since is not None and entry.remote:
            self._network.freeze(entry, now)
        elif tracked.not_before is not None:
            self._watch_list.arm_soon_after(entry, tracked.not_before)
        elif not tracked.stopped:
            self._watch_list.arm(entry, now.mono, asked=False)

    def _remove(self, entry: WatchedConnection) -> Iterable[Launch]:
        self._watch_list.remove(entry.watched.id)
        self._hosts.leave(entry.watched.origin)
        self._network.heard(entry.watched.id)
        self._network.let_go(entry.watched.id)
        return () if entry.running is None else (entry.running,)

    def _adjust(self, entry: WatchedConnection, watched: Watched, now: Instant) -> Iterable[Launch]:
        before = entry.watched
        if watched == before:
            return ()
        moved = watched.origin != before.origin
        if moved:
            self._hosts.leave(before.origin)
            self._hosts.join(watched.origin)
        self._watch_list.adjust(entry, watched)
        if watched.paused and not before.paused:
            self._network.let_go(watched.id)
            self._watch_list.rest(entry, now)
            return () if entry.running is None else (entry.running,)
        if before.paused and not watched.paused:
            if entry.remote and self._network.offline_since is not None:
                self._network.freeze(entry, now)
            elif not entry.waits(now.mono):
                self._watch_list.arm(entry, now.mono, asked=False)
        if moved:
            return self.changed(watched.id, now)
        sooner = watched.interval_s < before.interval_s or (watched.important and not before.important)
        if sooner and entry.regular and entry.due is not None and entry.running is None and not entry.queued:
            due = min(entry.due, now.mono + self._watch_list.jittered(watched.interval_s))
            self._watch_list.arm(entry, due, asked=False, regular=True)
        return ()

    # What asks for a check out of turn.

    def changed(self, connection_id: str, now: Instant) -> Iterable[Launch]:
        """Configuration or secret changed: what was known is void, and a check follows at once.

        Returns:
            The running check of the connection, to be cancelled.
        """
        entry = self._watch_list.get(connection_id)
        if entry is None:
            return ()
        self._network.let_go(connection_id)
        self._watch_list.forget(entry, now, offline=self._network.offline_since is not None)
        return () if entry.running is None else (entry.running,)

    def request(self, connection_id: str, now: Instant) -> bool:
        """Somebody asks for a check now.

        Returns:
            False when there will be none: not watched, or the provider asked to wait.
        """
        entry = self._watch_list.get(connection_id)
        if entry is None or entry.waits(now.mono):
            return False
        if entry.running is None and not (entry.queued and entry.asked):
            self._watch_list.arm(entry, now.mono, asked=True)
        return True

    def suspect(self, connection_id: str, now: Instant) -> bool:
        """A program reports that a connection failed for it: look once, and not again within 30 s.

        Returns:
            Whether a check follows.
        """
        entry = self._watch_list.get(connection_id)
        if (
            entry is None
            or entry.paused
            or entry.tracked.stopped
            or entry.frozen is not None
            or entry.waits(now.mono)
        ):
            return False
        if entry.running is not None or entry.queued or now.mono - entry.suspected_at < SUSPECT_GAP_S:
            return False
        self._watch_list.suspected(entry, now.mono)
        if not entry.tracked.settled and entry.due is not None:
            # A re-check is on its way, at the distance that the policy chose.
            return True
        self._watch_list.arm(entry, now.mono, asked=True)
        return True

    def witnessed(self, connection_id: str, verdict: Verdict, asked_at: float, now: Instant) -> bool:
        """A request of a program proved something.

        A good answer is as good as that of a check, and a wait that the provider asks for is kept; any other
        failure may be the fault of the request, and only makes the next check come now.

        Args:
            asked_at: monotonic second at which it was sent, at the earliest.

        Returns:
            Whether there is anything to tell, or to do.
        """
        entry = self._watch_list.get(connection_id)
        if entry is None or entry.paused:
            return False
        if entry.frozen is not None:
            if verdict.ok and self._recheck.at is None:
                self._recheck.ask(now.mono, offline=True)
                return True
            return False
        if verdict.ok:
            return self._watch_list.proven(entry, verdict, asked_at, now)
        if verdict.retry_at is not None or verdict.outcome is Outcome.QUOTA_EXHAUSTED:
            return self._watch_list.limited(entry, verdict, now)
        if not self.suspect(connection_id, now):
            return False
        self._watch_list.tell(entry, now, sample=policy.sample(connection_id, verdict, now))
        return True

    def tested(self, connection_id: str, verdict: Verdict, now: Instant) -> None:
        """A person made a whole test: see `WatchList.tested`."""
        entry = self._watch_list.get(connection_id)
        if entry is not None and not entry.paused and entry.frozen is None:
            self._watch_list.tested(entry, verdict, now)

    def network_changed(self, routed: bool | None, now: Instant) -> None:
        """Addresses, routes or proxies changed; re-check everything once that has calmed down."""
        self.routed = routed
        self._watch_list.doubt_running()
        self._recheck.ask(now.mono, offline=self._network.offline_since is not None)

    def woke(self, asleep_s: float | None, now: Instant) -> None:
        """The computer was suspended.

        Args:
            asleep_s: how long, when the system tells: time that passed for providers and not for our clock.
            now: the moment.
        """
        if asleep_s:
            self._watch_list.slept(asleep_s, now)
        self._recheck.forget_last()
        self.network_changed(self.routed, now)

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set, forwards or back: what is due stays due then, and reads differently.

        Without this, a connection that waits for its provider would show the wrong time until the end of
        the wait, and "was out for" would count the step.
        """
        self._network.clock_set(timedelta(seconds=seconds))
        self._watch_list.clock_set(seconds)

    def _recheck_all(self, now: Instant) -> None:
        self._recheck.begin()
        if self._network.offline_since is not None:
            self._network.send_canary(now, 0.0)
            return
        self._recheck.made(now.mono)
        for entry in self._watch_list:
            if entry.paused or entry.tracked.stopped or entry.waits(now.mono):
                continue
            if entry.running is None and not entry.queued:
                self._watch_list.arm(entry, now.mono, asked=False)

    # Starting and ending checks.

    def next_wake(self, now: Instant) -> float | None:
        """Monotonic second at which `launch` should be called again; None when only an event can matter."""
        return earlier(self._recheck.at, self._queue.next_wake(now.mono))

    def launch(self, now: Instant) -> Launch | None:
        """The next check to start at this moment; None when there is none. Call until None."""
        if self._recheck.at is not None and self._recheck.at <= now.mono:
            self._recheck_all(now)
        return self._queue.launch(now.mono)

    def finish(self, launch: Launch, result: Verdict | NotChecked | None, now: Instant) -> None:
        """A check ended. A result of None means that it was cancelled."""
        self._queue.release(launch, now.mono)
        entry = self._watch_list.get(launch.id)
        if entry is None or entry.running is not launch:
            return
        again, doubtful = entry.again, entry.doubtful
        self._watch_list.end(entry)
        self._network.heard(launch.id)
        # Only what the change of network can have broken: a provider's answer is an answer.
        unsure = doubtful and isinstance(result, Verdict) and result.outcome is Outcome.UNREACHABLE
        if again or result is None or unsure:
            if not entry.paused and (again or entry.frozen is None):
                # After a doubtful result the network is given a moment.
                self._watch_list.arm(entry, now.mono + (DEBOUNCE_S if unsure else 0.0), asked=not unsure)
            elif self._network.offline_since is not None:
                self._network.send_canary(now, CANARY_S)
            return
        if isinstance(result, NotChecked):
            self._network.let_go(launch.id)
            self._watch_list.not_checked(entry, result, launch, now)
            return
        self._watch_list.timed(
            entry, slow=result.reason == _HANGS or now.mono - launch.started > SLOW_AFTER_S
        )
        if entry.remote and not self._network.weigh(entry, result, launch, now):
            return
        self._network.let_go(launch.id)
        self._watch_list.answer(entry, result, launch, now)
