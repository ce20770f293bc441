"""Decides which connection is checked when. It does not use asyncio, so that a simulation can run it, too.

Input: times as `Instant`, results as `Verdict`. Output: checks to start (`launch`), the time of the next
action (`next_wake`) and events (`drain`). `monitor` sends the requests. This module decides why a check is
due: the connection is new, changed, requested, suspected, or was checked an interval ago. Parts: `queue`
orders checks, `network` detects that the computer is offline, `Recheck` decides when everything is checked
again, `watch_list` holds the health.

Guarantees: checks of a connection never overlap; one request at a time for each host, and at most ten a
second; no request before the end of a provider's `Retry-After`; important connections first.
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
    """When everything is checked again: after a series of changes has ended, and not again soon after.

    Attributes:
        at: monotonic time in seconds; None if none is planned.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._asked: float | None = None
        self._last = float("-inf")

    def ask(self, mono: float, *, offline: bool) -> None:
        """Something changed: plan a re-check. Further changes delay it, up to a limit."""
        if self._asked is None:
            self._asked = mono
        earliest = max(mono + DEBOUNCE_S, self._last + RECHECK_GAP_S)
        latest = max(self._asked + DEBOUNCE_LIMIT_S, self._last + RECHECK_GAP_S)
        if offline:
            # A single request shows whether the network is back.
            earliest, latest = mono + DEBOUNCE_S, self._asked + DEBOUNCE_LIMIT_S
        self.at = min(earliest, latest)

    def forget_last(self) -> None:
        """The last re-check no longer counts, so the next one need not wait."""
        self._last = float("-inf")

    def begin(self) -> None:
        """The planned time has come."""
        self.at = self._asked = None

    def made(self, mono: float) -> None:
        """Every connection is being checked again."""
        self._last = mono


class Scheduler:
    """Says which check is next. Not thread-safe; methods take the present time as an argument."""

    def __init__(self, rng: random.Random) -> None:
        self._watch_list = WatchList(rng)
        self._hosts = HostLimits()
        self._queue = CheckQueue(self._watch_list, self._hosts)
        self._network = Network(self._watch_list)
        self._recheck = Recheck()

    @property
    def routed(self) -> bool | None:
        """Whether the system has a default route; None if unknown."""
        return self._network.routed

    @routed.setter
    def routed(self, routed: bool | None) -> None:
        self._network.routed = routed

    @property
    def offline_since(self) -> datetime | None:
        """Since when the computer is offline; None if it is online."""
        return self._network.offline_since

    @property
    def in_flight(self) -> int:
        """The number of running checks."""
        return self._queue.in_flight

    def health(self, connection_id: str) -> Health | None:
        """The health of a connection; None if it is not watched."""
        entry = self._watch_list.get(connection_id)
        return None if entry is None else entry.shown

    def drain(self) -> list[Notice]:
        """The events since the last call, in order."""
        return self._watch_list.drain()

    # Watched connections.

    def configure(
        self,
        watched: Mapping[str, Watched],
        known: Mapping[str, Health],
        now: Instant,
        *,
        only: Collection[str] | None = None,
    ) -> list[Launch]:
        """Update the watched connections from the registry. Idempotent.

        Args:
            watched: every enabled connection, by id.
            known: stored health, for new connections.
            now: the present time.
            only: the connections that may have changed since the last call, so that a switch takes the same
                time with 10 connections and with 10 000; None compares all.

        Returns:
            Running checks whose results are no longer needed; the caller cancels them.
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

    # Reasons for irregular checks.

    def changed(self, connection_id: str, now: Instant) -> Iterable[Launch]:
        """Configuration or secret changed: discard the health, and check at once.

        Returns:
            The running check of the connection; the caller cancels it.
        """
        entry = self._watch_list.get(connection_id)
        if entry is None:
            return ()
        self._network.let_go(connection_id)
        self._watch_list.forget(entry, now, offline=self._network.offline_since is not None)
        return () if entry.running is None else (entry.running,)

    def request(self, connection_id: str, now: Instant) -> bool:
        """Request a check now.

        Returns:
            False if there will be none: not watched, or the provider asked for a wait.
        """
        entry = self._watch_list.get(connection_id)
        if entry is None or entry.waits(now.mono):
            return False
        if entry.running is None and not (entry.queued and entry.asked):
            self._watch_list.arm(entry, now.mono, asked=True)
        return True

    def suspect(self, connection_id: str, now: Instant) -> bool:
        """A program reports a failure: check once, and not again within 30 s.

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
            # A confirming check is planned, at the time that the policy chose.
            return True
        self._watch_list.arm(entry, now.mono, asked=True)
        return True

    def witnessed(self, connection_id: str, verdict: Verdict, asked_at: float, now: Instant) -> bool:
        """A request of a program ended with an answer or a failure.

        A good answer counts as much as the answer to a check, and a wait that the provider asks for is kept.
        Any other failure may be the fault of the request, so it only makes the next check due now.

        Args:
            asked_at: earliest monotonic time at which it was sent, in seconds.

        Returns:
            Whether something has to be published or done.
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
        """A person ran a whole test; see `WatchList.tested`."""
        entry = self._watch_list.get(connection_id)
        if entry is not None and not entry.paused and entry.frozen is None:
            self._watch_list.tested(entry, verdict, now)

    def network_changed(self, routed: bool | None, now: Instant) -> None:
        """Addresses, routes or proxies changed: check everything again after the changes have ended."""
        self.routed = routed
        self._watch_list.doubt_running()
        self._recheck.ask(now.mono, offline=self._network.offline_since is not None)

    def woke(self, asleep_s: float | None, now: Instant) -> None:
        """The computer was suspended.

        Args:
            asleep_s: how long, if known: time that has passed for providers, but not on the monotonic clock.
            now: the present time.
        """
        if asleep_s:
            self._watch_list.slept(asleep_s, now)
        self._recheck.forget_last()
        self.network_changed(self.routed, now)

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set: planned times stay the same moments, and are converted.

        Otherwise a connection that waits for its provider would show a wrong time until the end of the wait,
        and "was out for" would include the change.
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
        """Monotonic time for the next call of `launch`; None if only an event can change anything."""
        return earlier(self._recheck.at, self._queue.next_wake(now.mono))

    def launch(self, now: Instant) -> Launch | None:
        """The next check to start now; None if there is none. Call until None."""
        if self._recheck.at is not None and self._recheck.at <= now.mono:
            self._recheck_all(now)
        return self._queue.launch(now.mono)

    def finish(self, launch: Launch, result: Verdict | NotChecked | None, now: Instant) -> None:
        """A check ended. The result None means that it was cancelled."""
        self._queue.release(launch, now.mono)
        entry = self._watch_list.get(launch.id)
        if entry is None or entry.running is not launch:
            return
        again, doubtful = entry.again, entry.doubtful
        self._watch_list.end(entry)
        self._network.heard(launch.id)
        # A change of the network can only cause failures without an answer.
        unsure = doubtful and isinstance(result, Verdict) and result.outcome is Outcome.UNREACHABLE
        if again or result is None or unsure:
            if not entry.paused and (again or entry.frozen is None):
                # The network may need a moment after the change.
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
