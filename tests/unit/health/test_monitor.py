"""The monitor on a real event loop, with probes that answer as told."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from nexo_client.terms import HealthState, Outcome
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.errors import RetryLater, ShuttingDown, VaultLocked
from nexo_daemon.domain.model import Health, HealthSettings, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.monitor import Monitor, Watched
from nexo_daemon.health.surroundings import Nowhere

GOOD = Verdict(Outcome.OK, latency_s=0.01)
WAIT_S = 20.0


class Provider:
    """Answers as told, and remembers who asked."""

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
    """A sink that remembers."""

    def __init__(self) -> None:
        self.health: dict[str, Health] = {}
        self.transitions: list[Transition] = []
        self.samples: list[Sample] = []
        self.offline: list[datetime | None] = []
        self._stir = asyncio.Event()

    def on_health(
        self, connection_id: str, health: Health, transition: Transition | None, sample: Sample | None
    ) -> None:
        self.health[connection_id] = health
        if transition is not None:
            self.transitions.append(transition)
        if sample is not None:
            self.samples.append(sample)
        self._stir.set()

    def on_offline(self, since: datetime | None) -> None:
        self.offline.append(since)
        self._stir.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._stir.clear()
                await self._stir.wait()


@asynccontextmanager
async def running(provider: Provider, news: News) -> AsyncIterator[Monitor]:
    monitor = Monitor(
        probe=provider.probe,
        sink=news,
        clock=SystemClock(),
        random=random.Random(1),
        surroundings=Nowhere(),
    )
    task = asyncio.create_task(monitor.run())
    try:
        yield monitor
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("check ")]


def watch(*ids: str, **more: bool) -> dict[str, Watched]:
    return {id_: Watched(id_, f"http://{id_}.example:80", **more) for id_ in ids}


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 2 * WAIT_S))  # type: ignore[arg-type]


def test_new_connections_are_checked_at_once() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", "b"), HealthSettings(), {})
            await news.until(lambda: len(news.samples) == 2)
        assert {id_: health.state for id_, health in news.health.items()} == {
            "a": HealthState.HEALTHY,
            "b": HealthState.HEALTHY,
        }
        assert [t.important for t in news.transitions] == [False, False]

    run(scenario)


def test_configuring_again_checks_nothing_again() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), HealthSettings(), {})
            await news.until(lambda: len(news.samples) == 1)
            for _ in range(5):
                monitor.configure(watch("a"), HealthSettings(), {})
            monitor.configure(watch("a", "b"), HealthSettings(), {})
            await news.until(lambda: len(news.samples) == 2)
        assert provider.asked == ["a", "b"]

    run(scenario)


def test_a_refused_connection_turns_red_after_the_quick_rechecks_and_check_now_waits_for_it() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", important=True), HealthSettings(), {})
            await news.until(lambda: len(news.samples) == 1)
            provider.says("a", Verdict(Outcome.UNREACHABLE, "refused", advice="start it"))
            result = await monitor.check_now(["a"])
        assert result["a"].state is HealthState.UNHEALTHY
        assert result["a"].reason == "refused"
        assert provider.asked == ["a"] * 4
        assert [t.important for t in news.transitions] == [False, True]

    run(scenario)


def test_a_wait_that_the_provider_asked_for_refuses_check_now() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        clock = SystemClock()
        provider.says("a", Verdict(Outcome.RATE_LIMITED, retry_at=clock.now() + timedelta(hours=1)))
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", "b"), HealthSettings(), {})
            await news.until(lambda: len(news.samples) == 2)
            with pytest.raises(RetryLater, match="asked not to be called before"):
                await monitor.check_now(["a"])
            both = await monitor.check_now(["a", "b"])
        assert both["a"].state is HealthState.LIMITED
        assert both["b"].state is HealthState.HEALTHY
        assert provider.asked == ["a", "b", "b"]

    run(scenario)


def test_a_check_never_overlaps_itself_whoever_asks() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        released = provider.hangs("a")
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), HealthSettings(), {})
            asking = [asyncio.create_task(monitor.check_now(["a"])) for _ in range(3)]
            monitor.suspect("a")
            await asyncio.sleep(0)
            released.set()
            results = await asyncio.gather(*asking)
        assert all(result["a"].state is HealthState.HEALTHY for result in results)
        assert provider.most_inside["a"] == 1
        assert provider.asked == ["a"]

    run(scenario)


def test_a_change_ends_the_running_check_and_starts_a_new_one() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        provider.hangs("a")
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), HealthSettings(), {})
            async with asyncio.timeout(WAIT_S):
                while not provider.asked:
                    await asyncio.sleep(0)
            provider.says("a", GOOD)
            monitor.changed("a")
            await news.until(lambda: len(news.samples) == 1)
        assert provider.asked == ["a", "a"]
        assert provider.most_inside["a"] == 1

    run(scenario)


def test_a_change_right_after_the_start_of_a_check_does_not_block_its_host() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            for _ in range(20):
                monitor.configure(watch("a"), HealthSettings(), {})
                monitor.changed("a")
                await asyncio.sleep(0)
                monitor.changed("a")
                monitor.configure({}, HealthSettings(), {})
            monitor.configure(watch("a"), HealthSettings(), {})
            result = await monitor.check_now(["a"])
        assert result["a"].state is HealthState.HEALTHY

    run(scenario)


def test_a_locked_vault_is_unknown_and_sends_nothing_more() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()

        async def locked() -> Verdict:
            raise VaultLocked("The vault is locked.", hint="nexoctl vault unlock")

        provider.answers["a"] = locked
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), HealthSettings(), {})
            result = await monitor.check_now(["a"])
        assert (result["a"].state, result["a"].reason) == (HealthState.UNKNOWN, "locked")
        assert result["a"].advice == "nexoctl vault unlock"
        assert news.samples == []

    run(scenario)


def test_a_defect_in_one_probe_does_not_end_the_checks_of_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()

        async def broken() -> Verdict:
            raise ValueError("key sk-canary-1234")

        provider.answers["a"] = broken
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", "b"), HealthSettings(), {})
            await news.until(lambda: len(news.health) == 2 and bool(news.samples))
        assert news.health["a"].reason == "internal"
        assert news.health["b"].state is HealthState.HEALTHY

    run(scenario)
    assert "ValueError" in caplog.text
    assert "sk-canary" not in caplog.text


def test_stopping_ends_running_checks_and_those_who_wait() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        provider.hangs("a")
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), HealthSettings(), {})
            waiting = asyncio.create_task(monitor.check_now(["a"]))
            async with asyncio.timeout(WAIT_S):
                while not provider.asked:
                    await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await waiting
        with pytest.raises(ShuttingDown):
            await monitor.check_now(["a"])

    run(scenario)
