"""The monitor on a real event loop, with probes that give chosen answers."""

import asyncio
from datetime import timedelta

import pytest

from health_parts import GOOD, News, Provider, run, running, watch
from nexo.connections.errors import DaemonFailed, NexoError, RetryLater, ShuttingDown, VaultLocked
from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.probing import Verdict
from surroundings import PATIENCE_S


def test_new_connections_are_checked_at_once() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", "b"), {})
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
            monitor.configure(watch("a"), {})
            await news.until(lambda: len(news.samples) == 1)
            for _ in range(5):
                monitor.configure(watch("a"), {})
            monitor.configure(watch("a", "b"), {})
            await news.until(lambda: len(news.samples) == 2)
        assert provider.asked == ["a", "b"]

    run(scenario)


def test_a_refused_connection_turns_red_after_the_quick_rechecks_and_check_now_waits_for_it() -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", important=True), {})
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
            monitor.configure(watch("a", "b"), {})
            await news.until(lambda: len(news.samples) == 2)
            with pytest.raises(RetryLater, match="asked for no requests before"):
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
            monitor.configure(watch("a"), {})
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
            monitor.configure(watch("a"), {})
            async with asyncio.timeout(PATIENCE_S):
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
                monitor.configure(watch("a"), {})
                monitor.changed("a")
                await asyncio.sleep(0)
                monitor.changed("a")
                monitor.configure({}, {})
            monitor.configure(watch("a"), {})
            result = await monitor.check_now(["a"])
        assert result["a"].state is HealthState.HEALTHY

    run(scenario)


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        (VaultLocked("The vault is locked.", hint="nexoctl vault unlock"), "locked", "nexoctl vault unlock"),
        (DaemonFailed("Too many open files", hint="see it"), "internal", "Too many open files: see it"),
    ],
    ids=["locked", "starved"],
)
def test_a_check_that_cannot_be_made_is_unknown_and_sends_nothing_more(
    error: NexoError, reason: str, advice: str
) -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()

        async def cannot() -> Verdict:
            raise error

        provider.answers["a"] = cannot
        async with running(provider, news) as monitor:
            monitor.configure(watch("a"), {})
            result = await monitor.check_now(["a"])
        assert (result["a"].state, result["a"].reason) == (HealthState.UNKNOWN, reason)
        assert result["a"].advice == advice
        assert news.samples == []

    run(scenario)


def test_a_defect_in_one_probe_does_not_end_the_checks_of_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        provider, news = Provider(), News()

        async def broken() -> Verdict:
            raise ValueError("key sk-canary-1234")

        provider.answers["a"] = broken
        async with running(provider, news) as monitor:
            monitor.configure(watch("a", "b"), {})
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
            monitor.configure(watch("a"), {})
            waiting = asyncio.create_task(monitor.check_now(["a"]))
            async with asyncio.timeout(PATIENCE_S):
                while not provider.asked:
                    await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await waiting
        with pytest.raises(ShuttingDown):
            await monitor.check_now(["a"])

    run(scenario)
