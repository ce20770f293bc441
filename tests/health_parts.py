"""Helpers to test the monitor on an event loop: a provider with chosen answers, and a recording sink."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from nexo.connections.terms import Outcome
from nexo_daemon.domain.clock import Clock, SystemClock
from nexo_daemon.domain.model import Health, HealthSettings, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.monitor import Monitor
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.system_events import SystemEvents
from nowhere import Nowhere
from surroundings import PATIENCE_S

GOOD = Verdict(Outcome.OK, latency_s=0.01)


class Provider:
    """Gives the chosen answers, and records the checks."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Awaitable[Verdict]]] = {}
        self.asked: list[str] = []
        self.inside: defaultdict[str, int] = defaultdict(int)
        self.most_inside: defaultdict[str, int] = defaultdict(int)

    def says(self, id_: str, verdict: Verdict) -> None:
        async def answer() -> Verdict:
            return verdict

        self.answers[id_] = answer

    def hangs(self, id_: str) -> asyncio.Event:
        released = asyncio.Event()

        async def answer() -> Verdict:
            await released.wait()
            return GOOD

        self.answers[id_] = answer
        return released

    async def probe(self, id_: str) -> Verdict:
        self.asked.append(id_)
        self.inside[id_] += 1
        self.most_inside[id_] = max(self.most_inside[id_], self.inside[id_])
        try:
            await asyncio.sleep(0)
            return await self.answers[id_]() if id_ in self.answers else GOOD
        finally:
            self.inside[id_] -= 1


class News:
    """A sink that records what it receives."""

    def __init__(self) -> None:
        self.health: dict[str, Health] = {}
        self.transitions: list[Transition] = []
        self.samples: list[Sample] = []
        self.offline: list[datetime | None] = []
        self.other_networks = 0
        self._wake_up = asyncio.Event()

    def on_health(
        self, connection_id: str, health: Health, transition: Transition | None, sample: Sample | None
    ) -> None:
        self.health[connection_id] = health
        if transition is not None:
            self.transitions.append(transition)
        if sample is not None:
            self.samples.append(sample)
        self._wake_up.set()

    def on_offline(self, since: datetime | None) -> None:
        self.offline.append(since)
        self._wake_up.set()

    def on_other_network(self) -> None:
        self.other_networks += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._wake_up.clear()
                await self._wake_up.wait()


@asynccontextmanager
async def running(
    provider: Provider, news: News, clock: Clock | None = None, events: SystemEvents | None = None
) -> AsyncIterator[Monitor]:
    """Run a monitor; afterwards it is stopped, and no task of it may be left."""
    monitor = Monitor(
        probe=provider.probe,
        sink=news,
        clock=clock or SystemClock(),
        rng=random.Random(1),
        events=events or Nowhere(),
    )
    task = asyncio.create_task(monitor.run())
    try:
        yield monitor
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("check ")]


def watched(id_: str, origin: str, *, important: bool = False, paused: bool = False) -> Watched:
    """A watched connection with the daemon's default interval."""
    settings = HealthSettings()
    interval_s = settings.important_interval_s if important else settings.other_interval_s
    return Watched(id_, origin, interval_s, important, paused)


def watch(*ids: str, important: bool = False) -> dict[str, Watched]:
    return {id_: watched(id_, f"http://{id_}.example:80", important=important) for id_ in ids}


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 2 * PATIENCE_S))  # type: ignore[arg-type]
