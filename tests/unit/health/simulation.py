"""Tests the quality of the health checks with a discrete-event simulation around the daemon's scheduler.

Computers with many connections run for a simulated month: outages of several kinds, single failures, bursts
of 429, flapping hosts, revoked keys, lost networks, suspends and clock steps. The scheduler (`Scheduler`) and
the policy are the real ones; only the clock, the random source and the answers are simulated. `World` holds
the simulated events, `Computer` checks what is promised, and `Figures` collects the results.

    python tests/unit/health/simulation.py                 # 1 000 connections, 3 days
    python tests/unit/health/simulation.py --full          # 10 000 connections, 30 days, all processors
"""

import argparse
import heapq
import json
import math
import multiprocessing
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.clocks import Instant
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.schedule import Scheduler
from nexo_daemon.health.watch_list import HOST_GAP_S, HealthNotice, Launch, OfflineNotice

DAY = 86_400.0
# Before the changes from summer time in Europe and America, which must not matter, because wall time is UTC.
EPOCH = datetime(2026, 10, 4, tzinfo=UTC)
OUTAGES = ("refused", "hang", "http_5xx", "dns")


@dataclass(slots=True)
class Trouble:
    """A fault of one connection for some time; times in seconds of true time."""

    kind: str
    start: float
    end: float
    found: float | None = None
    recovered: float | None = None
    # The computer was asleep or off line, or the connection limited, at some time in between.
    hidden: bool = False


@dataclass(slots=True)
class Place:
    """One connection and its faults."""

    id: str
    origin: str
    important: bool
    troubles: list[Trouble]
    good: list[Verdict]
    at: int = 0
    blips: list[float] = field(default_factory=list)
    blip: int = 0
    running: bool = False
    not_before: float = 0.0
    rejected: bool = False
    red: bool = False
    checks: int = 0

    def trouble(self, now: float) -> Trouble | None:
        """The fault at a moment; later calls must not ask for an earlier moment."""
        troubles = self.troubles
        while self.at < len(troubles) and troubles[self.at].end <= now:
            self.at += 1
        if self.at < len(troubles) and troubles[self.at].start <= now:
            return troubles[self.at]
        return None


@dataclass(slots=True)
class Figures:
    """The results."""

    connection_days: float = 0.0
    important_days: float = 0.0
    checks: int = 0
    important_checks: int = 0
    detection: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    missed: list[str] = field(default_factory=list)
    alerts: int = 0
    false_alerts: list[str] = field(default_factory=list)
    flap_alerts: int = 0
    blips: int = 0
    offline_events: int = 0
    offline_periods: int = 0
    offline_missed: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Figures") -> None:
        """Add the figures of another computer."""
        for name in ("connection_days", "important_days", "checks", "important_checks", "alerts", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("flap_alerts", "blips", "offline_events", "offline_periods", "offline_missed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, values in other.detection.items():
            self.detection[key].extend(values)
        for key, values in other.recovery.items():
            self.recovery[key].extend(values)
        self.missed.extend(other.missed)
        self.false_alerts.extend(other.false_alerts)
        self.violations.extend(other.violations)

    def report(self) -> dict[str, object]:
        """The figures as they are published."""
        other_days = self.connection_days - self.important_days
        return {
            "connection_days": round(self.connection_days),
            "checks": self.checks,
            "requests_per_connection_day": {
                "important": round(self.important_checks / max(self.important_days, 1e-9), 1),
                "other": round((self.checks - self.important_checks) / max(other_days, 1e-9), 1),
            },
            "detection_s": {key: _spread(values) for key, values in sorted(self.detection.items())},
            "recovery_seen_s": {key: _spread(values) for key, values in sorted(self.recovery.items())},
            "outages_over_90_s_missed_important": len(self.missed),
            "single_failures": self.blips,
            "alerts": self.alerts,
            "alerts_while_flapping": self.flap_alerts,
            "false_alerts": len(self.false_alerts),
            "false_alerts_per_1000_connection_days": round(
                1000 * len(self.false_alerts) / max(self.connection_days, 1e-9), 3
            ),
            "offline_periods": self.offline_periods,
            "offline_events": self.offline_events,
            "offline_periods_over_90_s_missed": self.offline_missed,
            "violations": len(self.violations),
            "cpu_s": round(self.seconds, 1),
            "us_per_check": round(1e6 * self.seconds / max(self.checks, 1), 1),
        }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(quantile(ordered, 0.50), 1),
        "p95": round(quantile(ordered, 0.95), 1),
        "max": round(ordered[-1], 1),
    }


def quantile(ordered: list[float], q: float) -> float:
    """The value that a share of q of the sorted values does not exceed."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Interruption:
    """Something that happens to the computer."""

    at: float
    kind: str  # "offline", "suspend", "step"
    length: float


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is simulated."""

    connections: int = 100
    important: int = 5
    days: float = 3.0


class World:
    """The events of a simulation, drawn once from a seed."""

    def __init__(self, scale: Scale, seed: int) -> None:
        self.random = random.Random(seed)
        self.end = scale.days * DAY
        self.interruptions = list(self._interruptions())
        self.places = [self._place(index, scale) for index in range(scale.connections)]

    def _moments(self, a_day: float) -> Iterator[float]:
        at = 0.0
        while True:
            at += self.random.expovariate(a_day / DAY)
            if at >= self.end:
                return
            yield at

    def _interruptions(self) -> Iterator[Interruption]:
        drawn = [
            *(Interruption(at, "offline", self.random.uniform(20, 1800)) for at in self._moments(2)),
            *(Interruption(at, "suspend", self.random.uniform(60, 9 * 3600)) for at in self._moments(2)),
            *(
                Interruption(at, "step", self.random.choice((-3600, 3600, -90, 90)))
                for at in self._moments(0.5)
            ),
        ]
        drawn.sort(key=lambda one: one.at)
        free = 0.0
        for one in drawn:
            if one.at > free:
                yield one
                free = one.at + abs(one.length) + 900

    def _length(self, kind: str) -> float:
        draw = self.random
        if kind == "limited":
            return draw.uniform(30, 3600)
        if kind == "rejected":
            return draw.uniform(120, 7200)
        return draw.choice((30, 95, 300, 1800, 7200)) * draw.uniform(1, 1.3)

    def _place(self, index: int, scale: Scale) -> Place:
        draw = self.random
        shared = draw.random() < 0.1
        latency_s = draw.lognormvariate(math.log(0.25), 0.6)
        place = Place(
            id=f"c{index}",
            origin=f"https://gateway{index % 7}.example.com:443"
            if shared
            else f"https://h{index}.example.com:443",
            important=index < scale.important,
            troubles=[],
            good=[Verdict(Outcome.OK, latency_s=latency_s * draw.uniform(0.7, 1.3)) for _ in range(16)],
        )
        drawn: list[Trouble] = []
        # Far more often than in reality, so that there is enough to count, above all for those judged.
        often = 3.0 if place.important else 0.5
        for kind, a_day in {**dict.fromkeys(OUTAGES, often), "limited": 0.5, "rejected": 0.2}.items():
            drawn.extend(Trouble(kind, at, at + self._length(kind)) for at in self._moments(a_day))
        for at in self._moments(0.3):
            moment = at
            for _ in range(draw.randrange(5, 60)):
                length = draw.uniform(0.5, 8)
                drawn.append(Trouble("flap", moment, moment + length))
                moment += length + draw.uniform(0.5, 8)
            drawn.append(Trouble("peace", moment, moment + 60))
        drawn.sort(key=lambda one: one.start)
        free = 0.0
        for one in drawn:
            if one.start > free:
                if one.kind != "peace":
                    place.troubles.append(one)
                # Enough time afterwards to tell recovery from the next outage.
                free = one.end + (0.0 if one.kind == "flap" else 900.0)
        for at in self._moments(4):
            # Two of them within one confirmation would not be single failures.
            if not place.blips or at - place.blips[-1] > 900:
                place.blips.append(at)
        return place


class Computer:
    """One computer: runs the scheduler through a world, and checks every promise meanwhile."""

    def __init__(self, scale: Scale, seed: int) -> None:
        self.world = World(scale, seed)
        self.random = random.Random(seed + 1)
        self.core = Scheduler(random.Random(seed + 2))
        self.figures = Figures()
        self.places = {place.id: place for place in self.world.places}
        # The monotonic clock is the one that moves; true time is derived, or rounding would stop the world.
        self.mono = 0.0
        self._instant, self._stale = Instant(EPOCH, 0.0), False
        self.slept = 0.0
        self.stepped = 0.0
        self.offline_until = -1.0
        self.host_free: dict[str, float] = {}
        self.host_busy: set[str] = set()
        self.ends: list[tuple[float, int, Launch, Verdict]] = []
        self.orders: list[tuple[float, int, str, object]] = []
        self.flapped: dict[str, float] = {}
        self.offline_told = 0
        self.scale = scale

    def run(self) -> Figures:
        """Run the whole simulation."""
        began = time.process_time()
        watched = {
            place.id: Watched(place.id, place.origin, 60.0 if place.important else 300.0, place.important)
            for place in self.world.places
        }
        for number, one in enumerate(self.world.interruptions):
            heapq.heappush(self.orders, (one.at, number, one.kind, one))
        self.core.configure(watched, {}, self.now())
        end = self.world.end
        while self.mono < end - self.slept:
            wake = self.core.next_wake(self.now())
            if wake is not None and wake <= self.mono:
                self._launch()
                self._listen()
                continue
            moment = end - self.slept
            if wake is not None and wake < moment:
                moment = wake
            if self.ends and self.ends[0][0] < moment:
                moment = self.ends[0][0]
            if self.orders and self.orders[0][0] - self.slept < moment:
                moment = self.orders[0][0] - self.slept
            self.mono = max(self.mono, moment)
            if self.orders and self.orders[0][0] - self.slept <= self.mono:
                self._happen()
            if self.ends and self.ends[0][0] <= self.mono:
                self._finish()
                self._listen()
        self._count()
        self.figures.seconds = time.process_time() - began
        return self.figures

    @property
    def true(self) -> float:
        """True time, which passes for providers even while the computer sleeps."""
        return self.mono + self.slept

    def now(self) -> Instant:
        """Both clocks of the computer."""
        if self._instant.mono != self.mono or self._stale:
            wall = EPOCH + timedelta(seconds=self.true + self.stepped)
            self._instant, self._stale = Instant(wall, self.mono), False
        return self._instant

    # The computer.

    def _happen(self) -> None:
        while self.orders and self.orders[0][0] - self.slept <= self.mono:
            _, _, kind, what = heapq.heappop(self.orders)
            if kind == "offline" and isinstance(what, Interruption):
                self.offline_until = what.at + what.length
                self.offline_told = 0
                self._hide(what.at, self.offline_until + 120)
                self._order(self.offline_until, "online", what)
            elif kind == "online" and isinstance(what, Interruption):
                self.figures.offline_periods += 1
                if self.offline_told > 1:
                    self._violate(f"{self.offline_told} offline events for one period")
                if what.length > 90 and not self.offline_told:
                    self.figures.offline_missed += 1
                # In half of the cases the system tells how long it slept.
                if self.random.random() < 0.5:
                    self.core.network_changed(None, self.now())
            elif kind == "suspend" and isinstance(what, Interruption):
                self._hide(what.at, what.at + what.length + 120)
                self.slept += what.length
                self._stale = True
                for place in self.world.places:
                    # Single failures that could not be seen are over.
                    while place.blip < len(place.blips) and place.blips[place.blip] <= self.true:
                        place.blip += 1
                self.core.woke(what.length, self.now())
            elif kind == "step" and isinstance(what, Interruption):
                self.stepped += what.length
                self._stale = True
                self.core.clock_set(what.length)
                self.core.woke(None, self.now())
            elif kind == "repaired" and isinstance(what, Place):
                what.rejected = False
                what.not_before = 0.0
                for _ in self.core.changed(what.id, self.now()):
                    # A simulated check cannot be cancelled; its late answer must be ignored.
                    pass

    def _order(self, at: float, kind: str, what: object) -> None:
        heapq.heappush(self.orders, (at, len(self.orders) + 1_000_000 + self.figures.checks, kind, what))

    def _hide(self, start: float, end: float) -> None:
        for place in self.world.places:
            for trouble in place.troubles[max(0, place.at - 1) :]:
                if trouble.start > end:
                    break
                if trouble.end + (70 if place.important else 1100) > start:
                    trouble.hidden = True

    # Checks.

    def _launch(self) -> None:
        now = self.now()
        while (launch := self.core.launch(now)) is not None:
            place = self.places[launch.id]
            if place.running:
                self._violate(f"{place.id} overlaps itself")
            if launch.origin in self.host_busy:
                self._violate(f"two at once to {launch.origin}")
            if now.mono < self.host_free.get(launch.origin, 0.0) - 1e-6:
                self._violate(f"{launch.origin} asked again within {HOST_GAP_S} s")
            if self.true < place.not_before - 1e-6:
                self._violate(f"{place.id} asked {place.not_before - self.true:.3f} s too early")
            if place.rejected:
                self._violate(f"{place.id} asked after a confirmed rejection")
            place.running = True
            place.checks += 1
            self.host_busy.add(launch.origin)
            verdict, takes = self._answer(place, launch)
            heapq.heappush(self.ends, (now.mono + takes, launch.ticket, launch, verdict))

    def _finish(self) -> None:
        mono = self.mono
        while self.ends and self.ends[0][0] <= mono:
            _, _, launch, verdict = heapq.heappop(self.ends)
            place = self.places[launch.id]
            place.running = False
            self.host_busy.discard(launch.origin)
            self.host_free[launch.origin] = mono + HOST_GAP_S
            if verdict.retry_at is not None:
                # The Retry-After counts from now, on the clock as it is now.
                wait = self.random.uniform(5, 900)
                place.not_before = self.true + wait
                verdict = Verdict(
                    Outcome.RATE_LIMITED, retry_at=self.now().wall + timedelta(seconds=wait), latency_s=0.1
                )
            self.core.finish(launch, verdict, self.now())

    def _answer(self, place: Place, launch: Launch) -> tuple[Verdict, float]:
        good = place.good[self.random.randrange(len(place.good))]
        latency = good.latency_s or 0.0
        if self.true < self.offline_until:
            return Verdict(Outcome.UNREACHABLE, "dns", network_suspect=True), 0.01
        trouble = place.trouble(self.true)
        while trouble is not None and place.blip < len(place.blips) and place.blips[place.blip] < trouble.end:
            # A failure within an outage is not a single one.
            place.blip += 1
        while place.blip < len(place.blips) and place.blips[place.blip] < self.offline_until:
            # Nor is one that nobody could see.
            place.blip += 1
        if trouble is None:
            if place.blip < len(place.blips) and place.blips[place.blip] <= self.true:
                return self._single_failure(place, launch)
            if latency > launch.deadline_s:
                return Verdict(Outcome.UNREACHABLE, "timeout"), launch.deadline_s
            return good, latency
        match trouble.kind:
            case "refused" | "flap":
                if trouble.kind == "flap":
                    self.flapped[place.id] = self.true
                return Verdict(Outcome.UNREACHABLE, "refused"), 0.02
            case "hang":
                return Verdict(Outcome.UNREACHABLE, "timeout"), launch.deadline_s
            case "dns":
                # One name whose server fails for now: looks like our own network, and is not.
                return Verdict(Outcome.UNREACHABLE, "dns", network_suspect=True), 0.05
            case "http_5xx":
                return Verdict(Outcome.PROVIDER_DOWN, "http_503", http_status=503), latency
            case "limited":
                # Marked here, dated when the answer arrives.
                return Verdict(Outcome.RATE_LIMITED, retry_at=EPOCH, http_status=429), latency
            case _:
                return Verdict(Outcome.AUTH_ERROR, "invalid_key", http_status=401), latency

    def _single_failure(self, place: Place, launch: Launch) -> tuple[Verdict, float]:
        while place.blip < len(place.blips) and place.blips[place.blip] <= self.true:
            place.blip += 1
        self.figures.blips += 1
        match self.random.randrange(4):
            case 0:
                return Verdict(Outcome.AUTH_ERROR, "invalid_key", http_status=401), 0.1
            case 1:
                return Verdict(Outcome.UNREACHABLE, "timeout"), launch.deadline_s
            case 2:
                return Verdict(Outcome.PROVIDER_DOWN, "http_502", http_status=502), 0.1
            case _:
                return Verdict(Outcome.UNREACHABLE, "reset"), 0.05

    # Notices of the daemon.

    def _listen(self) -> None:
        for notice in self.core.drain():
            if isinstance(notice, OfflineNotice):
                if notice.since is not None:
                    self.figures.offline_events += 1
                    self.offline_told += 1
                    if self.true > self.offline_until + 60:
                        self._violate("says off line while it is not")
            elif notice.transition is not None:
                self._hear(notice)

    def _hear(self, notice: HealthNotice) -> None:
        transition = notice.transition
        assert transition is not None
        place = self.places[notice.id]
        if transition.to_state is HealthState.UNKNOWN:
            return
        was_red, place.red = place.red, transition.to_state is HealthState.UNHEALTHY
        if place.red and not was_red:
            self.figures.alerts += 1
            self._blame(place, transition.reason)
        elif place.red and transition.reason == "invalid_key":
            # It was down, recovered unseen, and now refuses the key.
            self._reject(
                place, next(t for t in reversed(place.troubles[: place.at + 1]) if t.start <= self.true)
            )
        elif transition.to_state is HealthState.HEALTHY:
            past = place.troubles[place.at - 1] if place.at else None
            if past is not None and past.recovered is None and past.found is not None:
                past.recovered = self.true

    def _blame(self, place: Place, reason: str) -> None:
        # The answer that decided was given up to a deadline ago.
        near = place.troubles[max(0, place.at - 1) : place.at + 1]
        # A fault that has ended is the cause only if there is no other.
        for trouble in sorted(near, key=lambda trouble: trouble.end < self.true):
            if trouble.start <= self.true <= trouble.end + 16:
                if trouble.kind == "flap":
                    self.figures.flap_alerts += 1
                    return
                if trouble.kind == "limited":
                    continue
                if trouble.end - trouble.start < 5 and self.true - trouble.start < 5:
                    self._violate(f"{place.id} alerted before confirmation")
                if trouble.found is None:
                    trouble.found = self.true
                if trouble.kind == "rejected" and reason == "invalid_key":
                    self._reject(place, trouble)
                return
        if self.true - self.flapped.get(place.id, -DAY) < 40:
            self.figures.flap_alerts += 1
            return
        self.figures.false_alerts.append(f"{place.id} at {self.true:.0f}: {reason}")

    def _reject(self, place: Place, trouble: Trouble) -> None:
        """From now on nothing may be sent, until a person replaces the key."""
        place.rejected = True
        self._order(max(trouble.end, self.true) + 30, "repaired", place)

    def _violate(self, what: str) -> None:
        self.figures.violations.append(f"{what} at {self.true:.1f}")

    # The sums.

    def _count(self) -> None:
        figures, days = self.figures, self.world.end / DAY
        for place in self.world.places:
            figures.connection_days += days
            figures.checks += place.checks
            group = "default" if place.important else "other"
            if place.important:
                figures.important_days += days
                figures.important_checks += place.checks
            for trouble in place.troubles:
                if (
                    trouble.hidden
                    or trouble.kind in ("flap", "limited")
                    or trouble.end > self.world.end - 1200
                ):
                    continue
                kind = "key rejected" if trouble.kind == "rejected" else "outage"
                if trouble.found is not None:
                    figures.detection[f"{group}: {kind}"].append(trouble.found - trouble.start)
                    if kind == "outage":
                        figures.detection[f"{group}: {trouble.kind}"].append(trouble.found - trouble.start)
                    if kind == "outage" and trouble.recovered is not None:
                        figures.recovery[group].append(trouble.recovered - trouble.end)
                elif place.important and kind == "outage" and trouble.end - trouble.start > 90:
                    figures.missed.append(f"{place.id} {trouble.kind} {trouble.start:.0f}–{trouble.end:.0f}")


def _live(order: tuple[Scale, int]) -> Figures:
    return Computer(*order).run()


def simulate(computers: int, scale: Scale, seed: int, processes: int = 1) -> Figures:
    """Simulate that many computers, each with its own events."""
    orders = [(scale, seed + 1000 * number) for number in range(computers)]
    total = Figures()
    if processes == 1:
        for order in orders:
            total.add(_live(order))
        return total
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        try:
            for figures in pool.imap_unordered(_live, orders):
                total.add(figures)
                print(f"{total.connection_days:.0f} connection-days", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("interrupted: the figures are of the computers that were done", file=sys.stderr)
    return total


def main() -> int:
    """Run, print the figures as JSON, exit 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="10 000 connections over 30 days")
    parser.add_argument("--computers", type=int, default=10)
    parser.add_argument("--connections", type=int, default=100, help="on each computer")
    parser.add_argument("--days", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    if given.full:
        given.computers, given.connections, given.days = 20, 500, 30.0
        given.processes = multiprocessing.cpu_count()
    scale = Scale(given.connections, min(5, given.connections), given.days)
    figures = simulate(given.computers, scale, given.seed, given.processes)
    print(json.dumps({"seed": given.seed, **figures.report()}, indent=2))
    for line in [*figures.violations, *figures.false_alerts, *figures.missed][:20]:
        print(line, file=sys.stderr)
    return 1 if figures.violations or figures.false_alerts or figures.missed else 0


if __name__ == "__main__":
    sys.exit(main())
