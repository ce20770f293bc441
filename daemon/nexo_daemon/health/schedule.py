"""Which check starts when? The scheduling core, without asyncio: a simulation drives the same code.

Time comes in as `Instant`, results as `Verdict`; out come launches (`launch`), the moment of the next thing
to do (`next_wake`) and what happened (`drain`). `monitor` turns launches into requests.

Promises: a check never overlaps itself; one request at a time to a host, and never more than ten a second;
at most `CONCURRENCY` requests that are quick, and a lane of their own (`SLOW_LANE`) for hosts known to
hang, so that they do not make the checks of others late; one that begins to hang gives up its place after
`YIELD_AFTER_S`; nothing is sent before a provider's `Retry-After`; important connections go first.
"""

import heapq
import random
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from nexo_client.terms import HealthState, Outcome
from nexo_daemon.domain.model import Health, HealthSettings, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.offline import WITNESSES, Evidence, Signal, is_remote, offline, signal
from nexo_daemon.health.policy import Instant, Light, Pace, Step

CONCURRENCY: Final = 32
SLOW_LANE: Final = 64
MAX_IN_FLIGHT: Final = 256
# Two bounds, as a check that gives up its place may well be an ordinary one of a busy moment.
YIELD_AFTER_S: Final = 0.5
SLOW_AFTER_S: Final = 1.0
HOST_GAP_S: Final = 0.1
MIN_INTERVAL_S: Final = 5.0
JITTER: Final = 0.1
SUSPECT_GAP_S: Final = 30.0
DEBOUNCE_S: Final = 2.0
DEBOUNCE_LIMIT_S: Final = 10.0
RECHECK_GAP_S: Final = 30.0
CANARY_S: Final = 15.0
WITNESS_WAIT_S: Final = 20.0
WITNESS_SEARCH: Final = 200
FIRST_DEADLINE_S: Final = 15.0
# Enough for a request whose first packet was lost three times (repeated after 1, 3 and 7 s), and short enough
# to find a host that hangs hardly later than any other: an interval, two of these and a pause are 75 s (p95).
USUAL_DEADLINE_S: Final = 7.5
LONGEST_DEADLINE_S: Final = 30.0

_ASKED, _IMPORTANT, _OTHER = 0, 1, 2
_HANGS: Final = "timeout"
_OFFLINE_ADVICE: Final = "Checks resume by themselves when this computer is on line again."


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
    """This computer went off line, or came back (since is None)."""

    since: datetime | None


Notice = HealthNotice | OfflineNotice
_Entry = tuple[int, float, int, str, str]


@dataclass(slots=True)
class _Slot:
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


@dataclass(slots=True)
class _Host:
    slots: int = 0
    running: bool = False
    cooling: bool = False
    free_at: float = float("-inf")
    waiting: "list[_Entry] | None" = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A failure that would turn a light red, while others are asked whether the network is the cause."""

    verdict: Verdict
    launch: Launch
    since: float


class Scheduler:
    """The core. Not thread-safe; every method takes the moment at which it is called."""

    routed: bool | None
    """Whether the system has a default route; None when it cannot be told."""

    def __init__(self, source: random.Random) -> None:
        self.routed = None
        self._random = source
        self._slots: dict[str, _Slot] = {}
        self._hosts: dict[str, _Host] = {}
        self._settings = HealthSettings()
        self._tickets = 0
        self._timers: list[tuple[float, int, str]] = []
        self._ready: tuple[list[_Entry], list[_Entry]] = ([], [])
        self._cooling: list[tuple[float, str]] = []
        self._running: dict[int, bool] = {}
        self._quick: deque[tuple[float, int]] = deque()
        self._quick_running = 0
        self._outbox: list[Notice] = []
        self._evidence = Evidence()
        self._answered_at = float("-inf")
        self._witnesses: dict[str, float] = {}
        self._answering: deque[str] = deque(maxlen=4 * WITNESSES)
        self._held: dict[str, _Held] = {}
        self._offline_since: datetime | None = None
        self._canary_turn = 0
        self._ranked: list[_Slot] | None = None
        self._recheck_at: float | None = None
        self._recheck_asked: float | None = None
        self._rechecked_at = float("-inf")

    @property
    def offline_since(self) -> datetime | None:
        """Since when this computer is off line; None when it is not."""
        return self._offline_since

    @property
    def in_flight(self) -> int:
        """How many checks are running."""
        return len(self._running)

    def health(self, connection_id: str) -> Health | None:
        """The light of a connection; None when it is not watched."""
        slot = self._slots.get(connection_id)
        return None if slot is None else slot.shown

    def drain(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices, self._outbox = self._outbox, []
        return notices

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
        self._ranked = None
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

    def _host(self, origin: str) -> _Host:
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = _Host()
        return host

    def _join_host(self, slot: _Slot) -> None:
        self._host(slot.watched.origin).slots += 1

    def _leave_host(self, slot: _Slot) -> None:
        origin = slot.watched.origin
        host = self._hosts[origin]
        host.slots -= 1
        if not host.slots and not host.running and not host.cooling:
            del self._hosts[origin]

    def _add(self, watched: Watched, known: Health | None, now: Instant) -> None:
        light = policy.restored(known or Health(), now)
        slot = _Slot(
            watched=watched,
            pace=self._pace(watched),
            light=light,
            remote=is_remote(watched.origin),
            paused=watched.paused or self._settings.paused,
            shown=light.health,
            slow=light.health.reason == _HANGS,
        )
        self._slots[watched.id] = slot
        self._join_host(slot)
        if slot.paused:
            self._withhold(slot, policy.PAUSED, "", now)
        elif self._offline_since is not None and slot.remote:
            self._freeze(slot, now)
        elif light.not_before is not None:
            self._arm(slot, light.not_before + self._random.random(), asked=False)
        elif not light.stopped:
            self._arm(slot, now.mono, asked=False)

    def _remove(self, connection_id: str) -> Iterable[Launch]:
        slot = self._slots.pop(connection_id)
        self._leave_host(slot)
        self._witnesses.pop(connection_id, None)
        self._held.pop(connection_id, None)
        return () if slot.running is None else (slot.running,)

    def _adjust(self, slot: _Slot, watched: Watched, now: Instant) -> Iterable[Launch]:
        paused = watched.paused or self._settings.paused
        pace = self._pace(watched)
        if watched == slot.watched and pace == slot.pace and paused == slot.paused:
            return ()
        moved = watched.origin != slot.watched.origin
        if moved:
            self._leave_host(slot)
        sooner = pace.interval_s < slot.pace.interval_s or (pace.important and not slot.pace.important)
        slot.watched, slot.pace = watched, pace
        if moved:
            slot.remote = is_remote(watched.origin)
            self._join_host(slot)
        if paused and not slot.paused:
            slot.paused = True
            slot.frozen = None
            self._disarm(slot)
            self._withhold(slot, policy.PAUSED, "", now)
            return () if slot.running is None else (slot.running,)
        if slot.paused and not paused:
            slot.paused = False
            if slot.remote and self._offline_since is not None:
                self._freeze(slot, now)
            elif not self._waits(slot, now):
                self._arm(slot, now.mono, asked=False)
        if moved:
            return self.changed(watched.id, now)
        if sooner and slot.regular and slot.due is not None and slot.running is None and not slot.queued:
            self._arm(
                slot, min(slot.due, now.mono + self._jittered(pace.interval_s)), asked=False, regular=True
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
        self._held.pop(connection_id, None)
        step = policy.withheld(connection_id, slot.light, policy.NEVER, "", now)
        slot.light = Light(replace(Health(), since=now.wall))
        slot.frozen = slot.light if slot.remote and self._offline_since is not None else None
        if slot.paused:
            slot.light = policy.withheld(connection_id, slot.light, policy.PAUSED, "", now).light
        elif slot.running is not None:
            slot.again = True
        else:
            self._arm(slot, now.mono, asked=True)
        self._tell(slot, now, transition=step.transition if before.state is not HealthState.UNKNOWN else None)
        return () if slot.running is None else (slot.running,)

    def request(self, connection_id: str, now: Instant) -> bool:
        """Somebody asks for a check now.

        Returns:
            False when there will be none: not watched, or the provider asked to wait.
        """
        slot = self._slots.get(connection_id)
        if slot is None or self._waits(slot, now):
            return False
        if slot.running is None and not (slot.queued and slot.asked):
            self._arm(slot, now.mono, asked=True)
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
            or self._waits(slot, now)
        ):
            return False
        if slot.running is not None or slot.queued or now.mono - slot.suspected_at < SUSPECT_GAP_S:
            return False
        slot.suspected_at = now.mono
        if not slot.light.settled and slot.due is not None:
            # A re-check is on its way, at the distance that the policy chose.
            return True
        self._arm(slot, now.mono, asked=True)
        return True

    def network_changed(self, routed: bool | None, now: Instant) -> None:
        """Addresses, routes or proxies changed; re-check everything once that has calmed down."""
        self.routed = routed
        self._doubt_running()
        if self._recheck_asked is None:
            self._recheck_asked = now.mono
        earliest = max(now.mono + DEBOUNCE_S, self._rechecked_at + RECHECK_GAP_S)
        latest = max(self._recheck_asked + DEBOUNCE_LIMIT_S, self._rechecked_at + RECHECK_GAP_S)
        if self._offline_since is not None:
            # One request tells whether it is back.
            earliest, latest = now.mono + DEBOUNCE_S, self._recheck_asked + DEBOUNCE_LIMIT_S
        self._recheck_at = min(earliest, latest)

    def woke(self, asleep_s: float | None, now: Instant) -> None:
        """The computer was suspended.

        Args:
            asleep_s: how long, when the system tells: time that passed for providers and not for our clock.
            now: the moment.
        """
        if asleep_s:
            for slot in self._slots.values():
                light = slot.light if slot.frozen is None else slot.frozen
                if light.not_before is None:
                    continue
                light = replace(light, not_before=light.not_before - asleep_s)
                if slot.frozen is None:
                    slot.light = light
                    if slot.due is not None and slot.running is None and light.not_before is not None:
                        self._arm(slot, max(now.mono, light.not_before) + self._random.random(), asked=False)
                else:
                    slot.frozen = light
        self._rechecked_at = float("-inf")
        self.network_changed(self.routed, now)

    def _doubt_running(self) -> None:
        for slot in self._slots.values():
            if slot.running is not None:
                slot.doubtful = True

    def _recheck_all(self, now: Instant) -> None:
        self._recheck_at = self._recheck_asked = None
        if self._offline_since is not None:
            self._send_canary(now, 0.0)
            return
        self._rechecked_at = now.mono
        for slot in self._slots.values():
            if slot.paused or slot.light.stopped or self._waits(slot, now):
                continue
            if slot.running is None and not slot.queued:
                self._arm(slot, now.mono, asked=False)

    # Starting and ending checks.

    def next_wake(self, now: Instant) -> float | None:
        """Monotonic second at which `launch` should be called again; None when only an event can matter."""
        best = self._recheck_at
        for lane in (0, 1):
            if self._ready[lane]:
                if self._room(lane):
                    return now.mono
                while self._quick and not self._running.get(self._quick[0][1]):
                    self._quick.popleft()
                if lane == 0 and self._quick:
                    best = _earlier(best, self._quick[0][0] + YIELD_AFTER_S)
        timers = self._timers
        while timers:
            due, ticket, id_ = timers[0]
            slot = self._slots.get(id_)
            if slot is not None and slot.ticket == ticket:
                best = _earlier(best, due)
                break
            heapq.heappop(timers)
        if self._cooling:
            best = _earlier(best, self._cooling[0][0])
        return best

    def launch(self, now: Instant) -> Launch | None:
        """The next check to start at this moment; None when there is none. Call until None."""
        self._advance(now)
        for lane in (0, 1):
            ready = self._ready[lane]
            while ready and self._room(lane):
                entry = heapq.heappop(ready)
                slot = self._slots.get(entry[3])
                origin = entry[4]
                if slot is None or slot.ticket != entry[2]:
                    self._next_of_host(origin, now)
                    continue
                host = self._host(origin)
                if host.running or host.free_at > now.mono:
                    if host.waiting is None:
                        host.waiting = []
                    heapq.heappush(host.waiting, entry)
                    self._next_of_host(origin, now)
                    continue
                return self._start(slot, host, lane, now)
        return None

    def _advance(self, now: Instant) -> None:
        mono = now.mono
        if self._recheck_at is not None and self._recheck_at <= mono:
            self._recheck_all(now)
        quick = self._quick
        while quick and quick[0][0] + YIELD_AFTER_S <= mono:
            ticket = quick.popleft()[1]
            if self._running.get(ticket):
                self._running[ticket] = False
                self._quick_running -= 1
        while self._cooling and self._cooling[0][0] <= mono:
            origin = heapq.heappop(self._cooling)[1]
            host = self._hosts[origin]
            host.cooling = False
            self._next_of_host(origin, now)
            if host.slots == 0 and not host.running and not host.waiting:
                del self._hosts[origin]
        timers = self._timers
        while timers and timers[0][0] <= mono:
            due, ticket, id_ = heapq.heappop(timers)
            slot = self._slots.get(id_)
            if slot is not None and slot.ticket == ticket:
                slot.queued = True
                rank = _ASKED if slot.asked else _IMPORTANT if slot.pace.important else _OTHER
                heapq.heappush(self._ready[slot.slow], (rank, due, ticket, id_, slot.watched.origin))

    def _room(self, lane: int) -> bool:
        running = len(self._running)
        if running >= MAX_IN_FLIGHT:
            return False
        if lane == 0:
            return self._quick_running < CONCURRENCY
        return running - self._quick_running < SLOW_LANE

    def _start(self, slot: _Slot, host: _Host, lane: int, now: Instant) -> Launch:
        launch = Launch(
            slot.ticket, slot.watched.id, slot.watched.origin, now.mono, deadline(slot.light.health.latency_s)
        )
        slot.queued = False
        slot.asked = False
        slot.due = None
        slot.running = launch
        slot.doubtful = False
        host.running = True
        quick = lane == 0
        self._running[launch.ticket] = quick
        if quick:
            self._quick_running += 1
            self._quick.append((now.mono, launch.ticket))
        return launch

    def _next_of_host(self, origin: str, now: Instant) -> None:
        """Let the first of those that wait for a host go, now or when the host has had its rest."""
        host = self._hosts.get(origin)
        if host is None or host.running or host.cooling or not host.waiting:
            return
        if host.free_at > now.mono:
            host.cooling = True
            heapq.heappush(self._cooling, (host.free_at, origin))
            return
        while host.waiting:
            entry = heapq.heappop(host.waiting)
            slot = self._slots.get(entry[3])
            if slot is not None and slot.ticket == entry[2]:
                heapq.heappush(self._ready[slot.slow], entry)
                return

    def finish(self, launch: Launch, result: Verdict | NotChecked | None, now: Instant) -> None:
        """A check ended. A result of None means that it was cancelled."""
        self._release(launch, now)
        slot = self._slots.get(launch.id)
        if slot is None or slot.running is not launch:
            return
        slot.running = None
        self._witnesses.pop(launch.id, None)
        # Only what the change of network can have broken: a provider's answer is an answer.
        unsure = slot.doubtful and isinstance(result, Verdict) and result.outcome is Outcome.UNREACHABLE
        if slot.again or result is None or unsure:
            again, slot.again, slot.doubtful = slot.again, False, False
            if not slot.paused and (again or slot.frozen is None):
                # After a doubtful result the network is given a moment.
                self._arm(slot, now.mono + (DEBOUNCE_S if unsure else 0.0), asked=not unsure)
            elif self._offline_since is not None:
                self._send_canary(now, CANARY_S)
            return
        if isinstance(result, NotChecked):
            step = policy.withheld(launch.id, slot.light, result.reason, result.advice, now)
            self._apply(slot, replace(step, delay_s=slot.pace.interval_s, regular=True), launch, now, None)
            return
        slot.slow = result.reason == _HANGS or now.mono - launch.started > SLOW_AFTER_S
        if slot.remote and not self._weigh(slot, result, launch, now):
            return
        step = policy.judge(launch.id, slot.light, result, now, slot.pace)
        self._apply(slot, step, launch, now, policy.sample(launch.id, result, now))

    def _release(self, launch: Launch, now: Instant) -> None:
        if self._running.pop(launch.ticket):
            self._quick_running -= 1
        host = self._hosts[launch.origin]
        host.running = False
        host.free_at = now.mono + HOST_GAP_S
        if host.waiting:
            self._next_of_host(launch.origin, now)
        elif host.slots == 0 and not host.cooling:
            del self._hosts[launch.origin]

    def _apply(self, slot: _Slot, step: Step, launch: Launch, now: Instant, sample: Sample | None) -> None:
        slot.light = step.light
        self._held.pop(slot.watched.id, None)
        if slot.paused and step.light.health.reason == policy.CHECKING:
            # Somebody asked for one check, and no second one follows.
            slot.light = replace(step.light, health=replace(step.light.health, reason=policy.PAUSED))
        if slot.paused or step.delay_s is None:
            self._disarm(slot)
        elif step.regular:
            due = launch.started + self._jittered(step.delay_s)
            self._arm(slot, max(due, now.mono + HOST_GAP_S), asked=False, regular=True)
        else:
            spread = self._random.random() if step.light.not_before is not None else 0.0
            self._arm(slot, now.mono + step.delay_s + spread, asked=False)
        conclusive = step.regular or step.delay_s is None or step.delay_s > 5.0
        self._tell(slot, now, transition=step.transition, sample=sample, conclusive=conclusive)

    # Being off line.

    def _weigh(self, slot: _Slot, verdict: Verdict, launch: Launch, now: Instant) -> bool:
        """Take a result of a remote host as evidence. False when it must not touch the light."""
        kind = Signal.ANSWERED if verdict.ok else signal(verdict)
        if kind is Signal.ANSWERED:
            # What was asked before the first failure may have crossed a network that is gone by now.
            self._answered_at = max(self._answered_at, launch.started)
            self._answering.append(launch.id)
            if self._held:
                self._blame_held(launch, now)
            since = self._evidence.since
            if since is None or launch.started < since:
                return self._offline_since is None
            self._evidence = Evidence()
            self._witnesses.clear()
            if self._offline_since is not None:
                self._come_back(now)
            return True
        if self._offline_since is not None:
            self._withhold(slot, policy.OFFLINE, _OFFLINE_ADVICE, now)
            self._send_canary(now, CANARY_S)
            return False
        if _known(slot) is HealthState.UNHEALTHY:
            # It is known to be down: that it still is says nothing about our network.
            return True
        first = self._evidence.empty
        self._evidence = self._evidence.with_failure(slot.watched.origin, kind, now.mono)
        witnesses = self._able_witnesses(slot, now)
        if offline(self._evidence, others=len(witnesses), routed=self.routed, now=now.mono):
            self._go_offline(now)
            return False
        if first or slot.light.settled or not self._witnesses_out(now):
            for witness in witnesses:
                # A check that runs already was sent too early to tell.
                if not witness.light.settled or witness.running is not None:
                    continue
                self._witnesses[witness.watched.id] = now.mono + WITNESS_WAIT_S
                if not (witness.queued and witness.asked):
                    # Ahead of the others: what it sees is decisive for all of them.
                    self._arm(witness, now.mono, asked=True)
        step = policy.judge(launch.id, slot.light, verdict, now, slot.pace)
        if step.light.health.state is not HealthState.UNHEALTHY or self._answered_at >= launch.started:
            return True
        held = self._held.get(launch.id)
        since = now.mono if held is None else held.since
        alone = len(self._evidence.strong | self._evidence.weak) == 1 and not self._witnesses_out(now)
        if alone or now.mono - since >= WITNESS_WAIT_S:
            return True
        # Others see it too, or are being asked; an answer of theirs decides between red and off line.
        self._held[launch.id] = _Held(verdict, launch, since)
        self._arm(slot, now.mono + DEBOUNCE_S, asked=False)
        self._tell(slot, now)
        return False

    def _blame_held(self, answered: Launch, now: Instant) -> None:
        """Somebody answered: of what failed at that time or before, the network was not the cause."""
        self._held.pop(answered.id, None)
        for id_, held in list(self._held.items()):
            slot = self._slots.get(id_)
            if slot is not None and answered.started >= held.launch.started:
                step = policy.judge(id_, slot.light, held.verdict, now, slot.pace)
                self._apply(slot, step, held.launch, now, policy.sample(id_, held.verdict, now))

    def _witnesses_out(self, now: Instant) -> bool:
        self._witnesses = {id_: until for id_, until in self._witnesses.items() if until > now.mono}
        return bool(self._witnesses)

    def _able_witnesses(self, doubted: _Slot, now: Instant) -> list[_Slot]:
        """Connections of other remote hosts that may be asked now: well ones first, none that is down.

        Important ones before others; when too many of the first are in doubt, those that answered last.
        """
        origins, well, rest = {doubted.watched.origin}, list[_Slot](), list[_Slot]()
        answering = [slot for id_ in self._answering if (slot := self._slots.get(id_)) and slot.remote]
        for slot in chain(islice(self._by_importance(), WITNESS_SEARCH), answering):
            known = _known(slot)
            if (
                known is HealthState.UNHEALTHY
                or slot.watched.origin in origins
                or not self._may_ask(slot, now)
            ):
                continue
            origins.add(slot.watched.origin)
            if known is HealthState.HEALTHY and slot.light.settled:
                well.append(slot)
                if len(well) == WITNESSES:
                    break
            else:
                rest.append(slot)
        return [*well, *rest][:WITNESSES]

    def _by_importance(self) -> Iterator[_Slot]:
        """Remote slots, important ones first."""
        if self._ranked is None:
            remote = [slot for slot in self._slots.values() if slot.remote]
            self._ranked = sorted(remote, key=lambda slot: not slot.pace.important)
        return iter(self._ranked)

    def _may_ask(self, slot: _Slot, now: Instant) -> bool:
        light = slot.frozen or slot.light
        return not (slot.paused or light.stopped or (light.not_before or 0.0) > now.mono)

    def _go_offline(self, now: Instant) -> None:
        self._offline_since = now.wall
        self._witnesses.clear()
        self._outbox.append(OfflineNotice(now.wall))
        for slot in self._slots.values():
            if slot.remote and not slot.paused:
                self._freeze(slot, now)
        self._send_canary(now, CANARY_S)

    def _freeze(self, slot: _Slot, now: Instant) -> None:
        self._disarm(slot)
        slot.frozen = slot.light
        self._withhold(slot, policy.OFFLINE, _OFFLINE_ADVICE, now)

    def _withhold(self, slot: _Slot, reason: str, advice: str, now: Instant) -> None:
        step = policy.withheld(slot.watched.id, slot.light, reason, advice, now)
        slot.light = step.light
        self._held.pop(slot.watched.id, None)
        self._tell(slot, now, transition=step.transition, conclusive=True)

    def _send_canary(self, now: Instant, delay_s: float) -> None:
        """Ask one remote host after another, the important ones first, whether the network is back."""
        able = [slot for slot in self._by_importance() if self._may_ask(slot, now)]
        if not able:
            if delay_s == 0.0 and self.routed is not False:
                self._come_back(now)
            return
        if any(slot.running is not None or slot.due is not None for slot in able) and delay_s > 0.0:
            return
        slot = able[self._canary_turn % min(len(able), WITNESSES + 1)]
        self._canary_turn += 1
        if slot.running is None:
            self._arm(slot, now.mono + delay_s, asked=True)

    def _come_back(self, now: Instant) -> None:
        self._offline_since = None
        self._evidence = Evidence()
        self._outbox.append(OfflineNotice(None))
        for slot in self._slots.values():
            frozen, slot.frozen = slot.frozen, None
            if frozen is None or slot.paused:
                continue
            if frozen.stopped or (frozen.not_before or 0.0) > now.mono:
                self._thaw(slot, frozen, now)
            elif slot.running is None:
                self._arm(slot, now.mono + DEBOUNCE_S, asked=False)

    def _thaw(self, slot: _Slot, frozen: Light, now: Instant) -> None:
        """Nothing will be asked for a while: what was known before is still what is known."""
        before = slot.light.health
        slot.light = replace(frozen, health=replace(frozen.health, since=now.wall))
        if not frozen.stopped and frozen.not_before is not None:
            self._arm(slot, frozen.not_before + self._random.random(), asked=False)
        transition = Transition(
            connection_id=slot.watched.id,
            at=now.wall,
            from_state=before.state,
            to_state=frozen.health.state,
            reason=frozen.health.reason,
            lasted_s=None if before.since is None else max(0.0, (now.wall - before.since).total_seconds()),
            advice=frozen.health.advice,
        )
        self._tell(slot, now, transition=transition)

    # Small parts.

    def _waits(self, slot: _Slot, now: Instant) -> bool:
        """Whether the provider asked not to be called yet."""
        light = slot.frozen or slot.light
        return light.not_before is not None and light.not_before > now.mono

    def _jittered(self, delay_s: float) -> float:
        return delay_s * (1.0 - JITTER + 2.0 * JITTER * self._random.random())

    def _arm(self, slot: _Slot, due: float, *, asked: bool, regular: bool = False) -> None:
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = due
        slot.asked = asked
        slot.regular = regular
        slot.queued = False
        heapq.heappush(self._timers, (due, self._tickets, slot.watched.id))

    def _disarm(self, slot: _Slot) -> None:
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = None
        slot.queued = False

    def _tell(
        self,
        slot: _Slot,
        now: Instant,
        *,
        transition: Transition | None = None,
        sample: Sample | None = None,
        conclusive: bool = False,
    ) -> None:
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
        self._outbox.append(HealthNotice(slot.watched.id, slot.shown, transition, sample, conclusive))


def deadline(latency_s: float | None) -> float:
    """Seconds that a check may take: short where answers usually come fast, so that a hang is found soon."""
    if latency_s is None:
        return FIRST_DEADLINE_S
    return min(max(8.0 * latency_s, USUAL_DEADLINE_S), LONGEST_DEADLINE_S)


def _known(slot: _Slot) -> HealthState | None:
    """The state that was last seen, also while it is not vouched for."""
    health = slot.light.health
    return health.last_known if health.state is HealthState.UNKNOWN else health.state


def _earlier(a: float | None, b: float) -> float:
    return b if a is None or b < a else a
