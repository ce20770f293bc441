"""Measures the cost of background checks: 10 to 10 000 connections to distinct hosts 50 ms away, all due at
once.

The real monitor and prober are compared with one bare httpx request for each host, with a shared TLS context,
at the same concurrency, in turns in the same process. As in the daemon, objects from the start are hidden
from the garbage collector.
"""

import asyncio
import gc
import math
import resource
import ssl
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
from endpoints import LATENCY_S
from measure import RUNS, Row, report
from servers import endpoints, host

from nexo.connections.terms import AuthScheme, Outcome, Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import (
    Credentials,
    Health,
    NetworkProfile,
    ProxyMode,
    Sample,
    Transition,
)
from nexo_daemon.domain.probing import ProbeTarget, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.health.monitor import Monitor
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.queue import CONCURRENCY
from nexo_daemon.providers.prober import Prober
from nowhere import Nowhere

MANY = 1000
# The number of checks due at once, and how often that is measured; together about four minutes.
SWEEPS = {10: RUNS, 100: RUNS, MANY: RUNS, 10_000: 2}
HANGING = 50
KEY = "sk-" + "0a1B" * 12


@dataclass
class Figures:
    """The figures of one round of checks, all due at once.

    Attributes:
        stall_ms: the longest time for which the event loop was blocked.
        own_stall_ms: the same without the time that other processes took meanwhile.
    """

    cpu_ms: float
    wall_s: float
    stall_ms: float
    own_stall_ms: float
    waited_s: list[float] = field(default_factory=list)


class Loop:
    """Measures how late the event loop is, with a timer that is due every 2 ms.

    This needs separate runs, because its ticks would count as CPU time of the checks.
    """

    def __init__(self, *, measures: bool) -> None:
        self.worst_s = 0.0
        self.worst_own_s = 0.0
        self._measures = measures

    async def run(self) -> None:
        while self._measures:
            wanted, cpu = time.perf_counter() + 0.002, time.thread_time()
            await asyncio.sleep(0.002)
            late = time.perf_counter() - wanted
            self.worst_s = max(self.worst_s, late)
            self.worst_own_s = max(self.worst_own_s, min(late, time.thread_time() - cpu))


async def bare(port: int, count: int, *, stall: bool = False) -> Figures:
    """One httpx request for each host."""
    context, gate, lateness = (
        ssl.create_default_context(),
        asyncio.Semaphore(CONCURRENCY),
        Loop(measures=stall),
    )
    watcher = asyncio.create_task(lateness.run())

    async def ask(number: int) -> None:
        async with gate, httpx.AsyncClient(verify=context, trust_env=False, timeout=15) as client:
            response = await client.get(
                f"http://{host(number)}:{port}/v1/models", headers={"Authorization": f"Bearer {KEY}"}
            )
            assert response.json()["data"]

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(count)))
    figures = Figures(
        (time.process_time() - cpu) * 1000 / count,
        time.perf_counter() - wall,
        lateness.worst_s * 1000,
        lateness.worst_own_s * 1000,
    )
    watcher.cancel()
    return figures


class Watch:
    """The probe and the sink of the monitor, in place of the daemon's registry."""

    def __init__(self, port: int, good: int, hanging: int) -> None:
        self.prober = Prober(SystemClock())
        self.targets = {
            f"{kind}{number}": ProbeTarget(
                name=f"{kind}{number}",
                provider=Provider.CUSTOM,
                base_url=f"http://{host(number, hangs=kind == 'hanging')}:{port}/v1",
                auth_scheme=AuthScheme.BEARER,
                credentials=Credentials(api_key=Secret(KEY)),
                network=NetworkProfile(proxy=ProxyMode.DIRECT),
            )
            for kind, count in (("hanging", hanging), ("good", good))
            for number in range(count)
        }
        self.wanted = good
        self.begun = 0.0
        self.waited_s: list[float] = []
        self.done = asyncio.Event()

    async def probe(self, connection_id: str) -> Verdict:
        if connection_id.startswith("good"):
            self.waited_s.append(time.perf_counter() - self.begun)
        return await self.prober.check(self.targets[connection_id])

    def on_health(
        self, connection_id: str, health: Health, transition: Transition | None, sample: Sample | None
    ) -> None:
        if sample is not None and connection_id.startswith("good"):
            assert sample.outcome is Outcome.OK, (connection_id, sample)
            self.wanted -= 1
            if self.wanted == 0:
                self.done.set()

    def on_offline(self, since: datetime | None) -> None:
        raise AssertionError("off line on loopback")

    def on_other_network(self) -> None:
        """Loopback does not change."""


async def monitored(port: int, count: int, hanging: int = 0, *, stall: bool = False) -> Figures:
    """The daemon's checks."""
    watch, lateness = Watch(port, count, hanging), Loop(measures=stall)
    monitor = Monitor(probe=watch.probe, sink=watch, clock=SystemClock(), rng=Random(1), events=Nowhere())
    watched = {
        id_: Watched(id_, target.base_url.removesuffix("/v1"), 300.0) for id_, target in watch.targets.items()
    }
    watcher = asyncio.create_task(lateness.run())
    # The daemon does this at its start, and the floor makes its TLS context before as well.
    await watch.prober.prepare()
    cpu, wall = time.process_time(), time.perf_counter()
    watch.begun = wall
    monitor.configure(watched, {})
    running = asyncio.create_task(monitor.run())
    await watch.done.wait()
    figures = Figures(
        (time.process_time() - cpu) * 1000 / count,
        time.perf_counter() - wall,
        lateness.worst_s * 1000,
        lateness.worst_own_s * 1000,
        watch.waited_s,
    )
    for task in (running, watcher):
        task.cancel()
    await asyncio.gather(running, watcher, return_exceptions=True)
    return figures


def sweep_rows(port: int) -> Iterator[Row]:
    ours: dict[int, list[Figures]] = {}
    for count, runs in SWEEPS.items():
        floors, ours[count] = [], []
        for _ in range(runs):
            floors.append(asyncio.run(bare(port, count)))
            ours[count].append(asyncio.run(monitored(port, count)))
        yield Row(
            f"CPU per check, {count} due at once",
            "ms",
            [run.cpu_ms for run in ours[count]],
            [run.cpu_ms for run in floors],
            "a bare httpx request, shared TLS context",
            "<= 0.7 x",
        )
        waits_s = LATENCY_S * math.ceil(count / CONCURRENCY)
        yield Row(
            f"wall time of {count} checks",
            "s",
            [run.wall_s for run in ours[count]],
            [max(run.cpu_ms * count / 1000, waits_s) for run in floors],
            "the larger of the floor's CPU and latency x n / concurrency",
            "<= 1.3 x",
            "on a machine that others use, wall time holds their share too: "
            f"the floor itself took {statistics.median(run.wall_s for run in floors):.3g} s",
        )
    few = statistics.median(run.cpu_ms for run in ours[min(SWEEPS)])
    for count in list(SWEEPS)[1:]:
        costs = [run.cpu_ms for run in ours[count]]
        yield Row(
            f"a check among {count}, by its CPU",
            "ms",
            costs,
            [few] * len(costs),
            f"a check among {min(SWEEPS)}",
            "linear: about 1 x",
        )


def stall_rows(port: int) -> Iterator[Row]:
    floors, ours = [], []
    for _ in range(3):
        floors.append(asyncio.run(bare(port, MANY, stall=True)))
        ours.append(asyncio.run(monitored(port, MANY, stall=True)))
    in_all, floor_in_all = (max(run.stall_ms for run in runs) for runs in (ours, floors))
    yield Row(
        f"longest stall of the event loop during {MANY} checks, by its own work",
        "ms",
        [run.own_stall_ms for run in ours],
        [run.own_stall_ms for run in floors],
        "the same for bare httpx",
        "<= 10 ms",
        f"with what other processes took from it: {in_all:.0f} ms, bare httpx {floor_in_all:.0f} ms",
    )


def hanging_rows(port: int) -> Iterator[Row]:
    alone, beside = [], []
    for _ in range(3):
        alone.append(max(asyncio.run(monitored(port, MANY)).waited_s))
        beside.append(max(asyncio.run(monitored(port, MANY, HANGING)).waited_s))
    yield Row(
        f"start of the last of {MANY} checks while {HANGING} hosts hang",
        "s",
        beside,
        alone,
        "while none hangs",
        "not late: half a second a round more at most, after which a check that hangs gives its place up",
    )


def rows() -> Iterator[Row]:
    with endpoints() as port:
        asyncio.run(bare(port, 50))
        asyncio.run(monitored(port, 50))
        gc.freeze()
        yield from stall_rows(port)
        yield from hanging_rows(port)
        yield from sweep_rows(port)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield Row(f"peak memory of the process with {max(SWEEPS)} targets", "MB", [peak_mb])


if __name__ == "__main__":
    report("health", rows())
