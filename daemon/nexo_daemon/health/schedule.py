"""Which connection is checked when? The scheduling core, without asyncio: a simulation drives the same code.

Time comes in as `Instant`, results as `Verdict`; out come launches (`launch`), the moment of the next thing
to do (`next_wake`) and what happened (`drain`). `monitor` turns launches into requests. Here is what makes a
check due: a connection that is new, changed, asked for, suspected, or was checked an interval ago. The
parts: `turns` is the queue, `network` tells whether this computer is off line, `recheck` when all is
checked again, `watchlist` what is known and told.

Promises: a check never overlaps itself; one request at a time to a host, and never more than ten a second;
nothing is sent before a provider's `Retry-After`; important connections go first.
"""

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nexo_client.terms import HealthState, Outcome
from nexo_daemon.domain.model import Health, HealthSettings
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.checks import Launch, NotChecked, Notice, Watched
from nexo_daemon.health.hosts import Hosts
from nexo_daemon.health.network import CANARY_S, Network
from nexo_daemon.health.offline import is_remote
from nexo_daemon.health.policy import Instant, Light, Pace
from nexo_daemon.health.recheck import DEBOUNCE_S, Recheck
from nexo_daemon.health.slot import Slot
from nexo_daemon.health.turns import SLOW_AFTER_S, Turns, earlier
from nexo_daemon.health.watchlist import Watchlist

MIN_INTERVAL_S: Final = 5.0
SUSPECT_GAP_S: Final = 30.0

_HANGS: Final = "timeout"


class Scheduler:
    """The core. Not thread-safe; every method takes the moment at which it is called."""

    def __init__(self, source: random.Random) -> None:
        self._settings = HealthSettings()
        self._slots: dict[str, Slot] = {}
        self._hosts = Hosts()
        self._turns = Turns(self._slots, self._hosts)
        self._watchlist = Watchlist(self._slots, self._turns, source)
        self._network = Network(self._watchlist, self._turns)
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
        return self._turns.in_flight

    def health(self, connection_id: str) -> Health | None:
        """The light of a connection; None when it is not watched."""
        slot = self._slots.get(connection_id)
        return None if slot is None else slot.shown

    def drain(self) -> list[Notice]:
        """What happened since the last call, in order."""
        return self._watchlist.drain()

    # What is watched.

    def configure(
        self,
        watched: Mapping[str, Watched],
        settings: HealthSettings,
        known: Mapping[str, Health],
        now: Instant,
        *,
        only: Collection[str] | None = None,
    ) -> list[Launch]:
        """Bring the set of checks in line with the registry. Idempotent.

        Args:
            watched: every enabled connection, by id.
            settings: intervals and the general pause.
            known: health as stored, for connections that are new here.
            now: the moment.
            only: the connections that may differ from the last call, so that a switch costs the same
                with 10 connections and with 10 000; None looks at all, and so do new settings.

        Returns:
            Running checks whose results are of no use any more: cancel them.
        """
        cancel: list[Launch] = []
        every = only is None or settings != self._settings
        self._settings = settings
        self._watchlist.reordered()
        for gone in [id_ for id_ in (self._slots if every else only or ()) if id_ not in watched]:
            if gone in self._slots:
                cancel.extend(self._remove(gone))
        for id_ in list(watched) if every else only or ():
            wanted = watched.get(id_)
            if wanted is None:
                continue
            slot = self._slots.get(id_)
            if slot is None:
                self._add(wanted, known.get(id_), now)
            else:
                cancel.extend(self._adjust(slot, wanted, now))
        return cancel

    def _pace(self, watched: Watched) -> Pace:
        settings = self._settings
        usual = settings.important_interval_s if watched.important else settings.other_interval_s
        interval = usual if watched.interval_s is None else watched.interval_s
        return Pace(max(interval, MIN_INTERVAL_S), watched.important)

    def _add(self, watched: Watched, known: Health | None, now: Instant) -> None:
        light = policy.restored(known or Health(), now)
        slot = Slot(
            watched=watched,
            pace=self._pace(watched),
            light=light,
            remote=is_remote(watched.origin),
            paused=watched.paused or self._settings.paused,
            shown=light.health,
            slow=light.health.reason == _HANGS,
        )
        self._slots[watched.id] = slot
        self._hosts.join(slot.watched.origin)
        if slot.paused:
            self._watchlist.withhold(slot, policy.PAUSED, "", now)
        elif self._network.offline_since is not None and slot.remote:
            self._network.freeze(slot, now)
        elif light.not_before is not None:
            self._watchlist.arm_soon_after(slot, light.not_before)
        elif not light.stopped:
            self._turns.arm(slot, now.mono, asked=False)

    def _remove(self, connection_id: str) -> Iterable[Launch]:
        slot = self._slots.pop(connection_id)
        self._hosts.leave(slot.watched.origin)
        self._network.heard(connection_id)
        self._network.let_go(connection_id)
        return () if slot.running is None else (slot.running,)

    def _adjust(self, slot: Slot, watched: Watched, now: Instant) -> Iterable[Launch]:
        paused = watched.paused or self._settings.paused
        pace = self._pace(watched)
        if watched == slot.watched and pace == slot.pace and paused == slot.paused:
            return ()
        moved = watched.origin != slot.watched.origin
        if moved:
            self._hosts.leave(slot.watched.origin)
        sooner = pace.interval_s < slot.pace.interval_s or (pace.important and not slot.pace.important)
        slot.watched, slot.pace = watched, pace
        if moved:
            slot.remote = is_remote(watched.origin)
            self._hosts.join(slot.watched.origin)
        if paused and not slot.paused:
            slot.paused = True
            slot.frozen = None
            self._turns.disarm(slot)
            self._network.let_go(watched.id)
            self._watchlist.withhold(slot, policy.PAUSED, "", now)
            return () if slot.running is None else (slot.running,)
        if slot.paused and not paused:
            slot.paused = False
            if slot.remote and self._network.offline_since is not None:
                self._network.freeze(slot, now)
            elif not slot.waits(now.mono):
                self._turns.arm(slot, now.mono, asked=False)
        if moved:
            return self.changed(watched.id, now)
        if sooner and slot.regular and slot.due is not None and slot.running is None and not slot.queued:
            self._turns.arm(
                slot,
                min(slot.due, now.mono + self._watchlist.jittered(pace.interval_s)),
                asked=False,
                regular=True,
            )
        return ()

    # What asks for a check out of turn.

    def changed(self, connection_id: str, now: Instant) -> Iterable[Launch]:
        """Configuration or secret changed: what was known is void, and a check follows at once.

        Returns:
            The running check of the connection, to be cancelled.
        """
        slot = self._slots.get(connection_id)
        if slot is None:
            return ()
        before = slot.light.health
        slot.slow = False
        self._network.let_go(connection_id)
        step = policy.withheld(connection_id, slot.light, policy.NEVER, "", now)
        slot.light = Light(replace(Health(), since=now.wall))
        slot.frozen = slot.light if slot.remote and self._network.offline_since is not None else None
        if slot.paused:
            slot.light = policy.withheld(connection_id, slot.light, policy.PAUSED, "", now).light
        elif slot.running is not None:
            slot.again = True
        else:
            self._turns.arm(slot, now.mono, asked=True)
        self._watchlist.tell(
            slot, now, transition=step.transition if before.state is not HealthState.UNKNOWN else None
        )
        return () if slot.running is None else (slot.running,)

    def request(self, connection_id: str, now: Instant) -> bool:
        """Somebody asks for a check now.

        Returns:
            False when there will be none: not watched, or the provider asked to wait.
        """
        slot = self._slots.get(connection_id)
        if slot is None or slot.waits(now.mono):
            return False
        if slot.running is None and not (slot.queued and slot.asked):
            self._turns.arm(slot, now.mono, asked=True)
        return True

    def suspect(self, connection_id: str, now: Instant) -> bool:
        """A program reports that a connection failed for it: look once, and not again within 30 s.

        Returns:
            Whether a check follows.
        """
        slot = self._slots.get(connection_id)
        if (
            slot is None
            or slot.paused
            or slot.light.stopped
            or slot.frozen is not None
            or slot.waits(now.mono)
        ):
            return False
        if slot.running is not None or slot.queued or now.mono - slot.suspected_at < SUSPECT_GAP_S:
            return False
        slot.suspected_at = now.mono
        if not slot.light.settled and slot.due is not None:
            # A re-check is on its way, at the distance that the policy chose.
            return True
        self._turns.arm(slot, now.mono, asked=True)
        return True

    def tested(self, connection_id: str, verdict: Verdict, now: Instant) -> None:
        """A person made a whole test: its verdict needs no second one. What is on its way is asked anew."""
        slot = self._slots.get(connection_id)
        if slot is None or slot.paused or slot.frozen is not None:
            return
        slot.again = slot.running is not None
        step = policy.judge(connection_id, slot.light, verdict, now, slot.pace, certain=True)
        made = Launch(0, connection_id, slot.watched.origin, now.mono, 0.0)
        self._watchlist.apply(slot, step, made, now, policy.sample(connection_id, verdict, now))

    def network_changed(self, routed: bool | None, now: Instant) -> None:
        """Addresses, routes or proxies changed; re-check everything once that has calmed down."""
        self.routed = routed
        self._doubt_running()
        self._recheck.ask(now.mono, offline=self._network.offline_since is not None)

    def woke(self, asleep_s: float | None, now: Instant) -> None:
        """The computer was suspended.

        Args:
            asleep_s: how long, when the system tells: time that passed for providers and not for our clock.
            now: the moment.
        """
        if asleep_s:
            for slot in self._slots.values():
                light = slot.remembered
                if light.not_before is None:
                    continue
                light = replace(light, not_before=light.not_before - asleep_s)
                if slot.frozen is None:
                    slot.light = light
                    if slot.due is not None and slot.running is None and light.not_before is not None:
                        self._watchlist.arm_soon_after(slot, max(now.mono, light.not_before))
                else:
                    slot.frozen = light
        self._recheck.forget_last()
        self.network_changed(self.routed, now)

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set, forwards or back: what is due stays due then, and reads differently.

        Without this, a connection that waits for its provider would show the wrong time until the end of
        the wait, and "was out for" would count the step.
        """
        self._network.clock_set(timedelta(seconds=seconds))
        self._watchlist.clock_set(seconds)

    def _doubt_running(self) -> None:
        for slot in self._slots.values():
            if slot.running is not None:
                slot.doubtful = True

    def _recheck_all(self, now: Instant) -> None:
        self._recheck.begin()
        if self._network.offline_since is not None:
            self._network.send_canary(now, 0.0)
            return
        self._recheck.made(now.mono)
        for slot in self._slots.values():
            if slot.paused or slot.light.stopped or slot.waits(now.mono):
                continue
            if slot.running is None and not slot.queued:
                self._turns.arm(slot, now.mono, asked=False)

    # Starting and ending checks.

    def next_wake(self, now: Instant) -> float | None:
        """Monotonic second at which `launch` should be called again; None when only an event can matter."""
        return earlier(self._recheck.at, self._turns.next_wake(now.mono))

    def launch(self, now: Instant) -> Launch | None:
        """The next check to start at this moment; None when there is none. Call until None."""
        if self._recheck.at is not None and self._recheck.at <= now.mono:
            self._recheck_all(now)
        return self._turns.launch(now.mono)

    def finish(self, launch: Launch, result: Verdict | NotChecked | None, now: Instant) -> None:
        """A check ended. A result of None means that it was cancelled."""
        self._turns.release(launch, now.mono)
        slot = self._slots.get(launch.id)
        if slot is None or slot.running is not launch:
            return
        slot.running = None
        self._network.heard(launch.id)
        # Only what the change of network can have broken: a provider's answer is an answer.
        unsure = slot.doubtful and isinstance(result, Verdict) and result.outcome is Outcome.UNREACHABLE
        if slot.again or result is None or unsure:
            again, slot.again, slot.doubtful = slot.again, False, False
            if not slot.paused and (again or slot.frozen is None):
                # After a doubtful result the network is given a moment.
                self._turns.arm(slot, now.mono + (DEBOUNCE_S if unsure else 0.0), asked=not unsure)
            elif self._network.offline_since is not None:
                self._network.send_canary(now, CANARY_S)
            return
        if isinstance(result, NotChecked):
            self._network.let_go(launch.id)
            step = policy.withheld(launch.id, slot.light, result.reason, result.advice, now)
            self._watchlist.apply(
                slot, replace(step, delay_s=slot.pace.interval_s, regular=True), launch, now, None
            )
            return
        slot.slow = result.reason == _HANGS or now.mono - launch.started > SLOW_AFTER_S
        if slot.remote and not self._network.weigh(slot, result, launch, now):
            return
        self._network.let_go(launch.id)
        step = policy.judge(launch.id, slot.light, result, now, slot.pace)
        self._watchlist.apply(slot, step, launch, now, policy.sample(launch.id, result, now))
