"""The monitor when the computer is suspended, its clock set or its network changed. No real time passes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from health_parts import GOOD, News, Provider, run, running, watch, watched
from nexo.connections.errors import RetryLater
from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.probing import Verdict
from surroundings import PATIENCE_S

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NO_ROUTE = Verdict(Outcome.UNREACHABLE, "no_route", network_suspect=True)
HOUR = 3600.0


class Hands(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.wall = NOON
        self.mono = 500.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.mono += seconds

    def set(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


class Computer:
    """Surroundings that are told what happens, and know when the monitor has looked."""

    def __init__(self, hands: Hands, *, announces: bool = True) -> None:
        self._hands = hands
        self._announces = announces
        self._way_out: bool | None = True
        self._slept = 0.0
        self._looks = 0
        self._on_network: Callable[[], None] = lambda: None
        self._on_clock: Callable[[], None] = lambda: None

    def start(self, on_network: Callable[[], None], on_clock: Callable[[], None]) -> None:
        self._on_network, self._on_clock = on_network, on_clock

    def stop(self) -> None:
        self._on_network = self._on_clock = lambda: None

    def routed(self) -> bool | None:
        return self._way_out

    def asleep_s(self) -> float | None:
        return self._slept if self._announces else None

    def poll_every_s(self) -> float | None:
        # The monitor asks this at the end of every round.
        self._looks += 1
        return None if self._announces else 0.001

    async def notices(self) -> None:
        """Wait until the monitor has been through a round that began after this call."""
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                before = self._looks
                if self._announces:
                    self._on_clock()
                while self._looks == before:
                    await asyncio.sleep(0.001)

    async def passes(self, seconds: float) -> None:
        self._hands.passes(seconds)
        await self.notices()

    async def suspends(self, seconds: float) -> None:
        """The monotonic clock stands still meanwhile, as on Linux."""
        self._slept += seconds
        self._hands.set(seconds)
        await self.notices()

    async def sets_clock(self, seconds: float) -> None:
        self._hands.set(seconds)
        await self.notices()

    async def changes_network(self, way_out: bool) -> None:
        self._way_out = way_out
        self._on_network()
        await self.notices()


def asked_after(provider: Provider, count: int) -> list[str]:
    return sorted(provider.asked[count:])


@pytest.mark.parametrize("asleep_s", [60.0, 8 * HOUR])
def test_after_a_suspend_everything_is_checked_once_the_important_first_and_nothing_is_news(
    asleep_s: float,
) -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            monitor.configure({**watch("a", "b"), **watch("star", important=True)}, {})
            await news.until(lambda: len(news.samples) == 3)
            turned = len(news.transitions)
            await computer.suspends(asleep_s)
            assert len(provider.asked) == 3, "the network is given a moment"
            await computer.passes(2.0)
            await news.until(lambda: len(news.samples) == 6)
            await computer.passes(10.0)
        assert provider.asked[3] == "star"
        assert asked_after(provider, 3) == ["a", "b", "star"]
        assert len(news.transitions) == turned
        assert {health.state for health in news.health.values()} == {HealthState.HEALTHY}
        assert all(
            (health.checked_at or NOON) >= NOON + timedelta(seconds=asleep_s)
            for health in news.health.values()
        )

    run(scenario)


def test_a_suspend_and_another_network_are_told_and_a_corrected_clock_is_not() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer):
            await computer.sets_clock(30.0)
            assert news.other_networks == 0
            await computer.suspends(60.0)
            assert news.other_networks == 1
            await computer.changes_network(True)
            assert news.other_networks == 2

    run(scenario)


def test_a_check_that_the_suspend_broke_is_no_failure() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        broken = asyncio.Event()

        async def answer() -> Verdict:
            await broken.wait()
            return Verdict(Outcome.UNREACHABLE, "reset")

        async with running(provider, news, hands, computer) as monitor:
            provider.answers["a"] = answer
            monitor.configure(watch("a"), {})
            await computer.notices()
            await computer.suspends(HOUR)
            provider.says("a", GOOD)
            broken.set()
            await computer.passes(0.0)
            await computer.passes(2.1)
            await news.until(lambda: len(news.samples) == 1)
        assert news.health["a"].state is HealthState.HEALTHY
        assert [sample.outcome for sample in news.samples] == [Outcome.OK]

    run(scenario)


def throttled(provider: Provider, seconds: float) -> None:
    provider.says("slow", Verdict(Outcome.RATE_LIMITED, retry_at=NOON + timedelta(seconds=seconds)))


def test_time_asleep_counts_as_waited_for_a_provider() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            throttled(provider, HOUR)
            monitor.configure(watch("slow"), {})
            await news.until(lambda: len(news.samples) == 1)
            provider.says("slow", GOOD)
            await computer.suspends(HOUR - 100.0)
            await computer.passes(99.0)
            assert provider.asked == ["slow"]
            await computer.passes(2.1)
            await news.until(lambda: news.health["slow"].state is HealthState.HEALTHY)
        assert provider.asked == ["slow", "slow"]

    run(scenario)


@pytest.mark.parametrize("step_s", [HOUR, -HOUR, 90.0, -90.0])
@pytest.mark.parametrize("announces", [True, False])
def test_a_clock_that_is_set_means_one_more_check_no_news_and_no_shorter_wait(
    step_s: float, announces: bool
) -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands, announces=announces)
        async with running(provider, news, hands, computer) as monitor:
            throttled(provider, 1000.0)
            monitor.configure({**watch("star", important=True), **watch("slow", "a")}, {})
            await news.until(lambda: len(news.samples) == 3)
            await computer.notices()
            turned = len(news.transitions)
            provider.says("slow", GOOD)
            await computer.sets_clock(step_s)
            await computer.passes(2.0)
            await news.until(lambda: len(news.samples) == 5)
            assert asked_after(provider, 3) == ["a", "star"]
            assert news.health["a"].checked_at == NOON + timedelta(seconds=step_s + 2.0)
            await computer.sets_clock(-step_s)
            await computer.passes(2.0)
            await news.until(lambda: len(news.samples) == 7)
            assert asked_after(provider, 5) == ["a", "star"]
            assert len(news.transitions) == turned
            await computer.passes(990.0)
            assert provider.asked.count("slow") == 1
            await computer.passes(10.0)
            await news.until(lambda: news.health["slow"].state is HealthState.HEALTHY)

    run(scenario)


@pytest.mark.parametrize("step_s", [HOUR, -HOUR, 5.0, -5.0])
@pytest.mark.parametrize("announces", [True, False])
def test_every_shown_moment_is_right_at_once_when_the_clock_was_set(step_s: float, announces: bool) -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands, announces=announces)
        async with running(provider, news, hands, computer) as monitor:
            throttled(provider, 1000.0)
            provider.says("odd", Verdict(Outcome.CONFIG_ERROR, "no_key"))
            monitor.configure(watch("slow", "odd"), {})
            await news.until(lambda: len(news.samples) == 2)
            await computer.passes(10.0)
            before = dict(news.health)
            await computer.sets_clock(step_s)
            by = timedelta(seconds=step_s)
            slow, odd = news.health["slow"], news.health["odd"]
            assert slow.retry_at == NOON + timedelta(seconds=1000.0) + by
            for now, then in ((slow, before["slow"]), (odd, before["odd"])):
                assert now.next_check_at is not None
                assert then.next_check_at is not None
                assert now.next_check_at == then.next_check_at + by
                assert (now.since, now.checked_at) == (NOON + by, NOON + by)
            assert len(provider.asked) == 2, "no moment was missed or repeated"
            with pytest.raises(RetryLater, match=(NOON + timedelta(seconds=1000.0) + by).isoformat()[:19]):
                await monitor.check_now(["slow"])

    run(scenario)


def test_a_suspend_moves_no_moment() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            throttled(provider, 2 * HOUR)
            monitor.configure(watch("slow"), {})
            await news.until(lambda: len(news.samples) == 1)
            await computer.suspends(HOUR)
            health = news.health["slow"]
            assert (health.retry_at, health.since) == (NOON + timedelta(hours=2), NOON)

    run(scenario)


def test_how_long_an_outage_lasted_does_not_count_the_step() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            provider.says("a", Verdict(Outcome.CONFIG_ERROR, "no_key"))
            monitor.configure(watch("a"), {})
            await news.until(lambda: len(news.transitions) == 1)
            await computer.passes(100.0)
            await computer.sets_clock(HOUR)
            provider.says("a", GOOD)
            await computer.passes(2.0)
            await news.until(lambda: len(news.transitions) == 2)
        assert news.transitions[1].lasted_s == pytest.approx(102.0)

    run(scenario)


def test_off_line_since_reads_right_after_the_clock_was_set() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            monitor.configure(watch("a"), {})
            await news.until(lambda: len(news.samples) == 1)
            provider.says("a", NO_ROUTE)
            await computer.changes_network(False)
            await computer.passes(2.0)
            await news.until(lambda: bool(news.offline))
            lost_at = hands.wall
            await computer.passes(100.0)
            await computer.sets_clock(-HOUR)
            assert monitor.offline_since == lost_at - timedelta(seconds=HOUR)
            assert news.offline == [lost_at, lost_at - timedelta(seconds=HOUR)]
            assert news.health["a"].since == lost_at - timedelta(seconds=HOUR)

    run(scenario)


def test_a_clock_that_is_corrected_by_less_than_a_minute_is_no_event() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            monitor.configure(watch("a"), {})
            await news.until(lambda: len(news.samples) == 1)
            for step_s in (50.0, -50.0, -50.0, 50.0):
                await computer.sets_clock(step_s)
                await computer.passes(5.0)
        assert provider.asked == ["a"]

    run(scenario)


def test_a_new_route_checks_everything_once_after_the_changes_have_calmed_down() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        async with running(provider, news, hands, computer) as monitor:
            monitor.configure({**watch("a"), **watch("star", important=True)}, {})
            await news.until(lambda: len(news.samples) == 2)
            for _ in range(4):
                await computer.changes_network(True)
                await computer.passes(1.0)
            assert len(provider.asked) == 2
            await computer.passes(1.0)
            await news.until(lambda: len(news.samples) == 4)
            await computer.passes(20.0)
        assert provider.asked[2:] == ["star", "a"]

    run(scenario)


def test_a_lost_route_is_one_event_and_its_return_another() -> None:
    async def scenario() -> None:
        provider, news, hands = Provider(), News(), Hands()
        computer = Computer(hands)
        remote = ("star", "a", "b")
        local = {"local": watched("local", "http://127.0.0.1:11434")}
        async with running(provider, news, hands, computer) as monitor:
            monitor.configure({**watch("star", important=True), **watch("a", "b"), **local}, {})
            await news.until(lambda: len(news.samples) == 4)
            turned = len(news.transitions)
            for id_ in remote:
                provider.says(id_, NO_ROUTE)
            await computer.changes_network(False)
            await computer.passes(2.0)
            await news.until(lambda: bool(news.offline))
            lost_at = hands.wall
            assert {(news.health[id_].state, news.health[id_].reason) for id_ in remote} == {
                (HealthState.UNKNOWN, "offline")
            }
            assert {news.health[id_].last_known for id_ in remote} == {HealthState.HEALTHY}
            assert monitor.offline_since == lost_at
            for _ in range(10):
                await computer.passes(15.0)
            provider.answers.clear()
            await computer.changes_network(True)
            await computer.passes(2.0)
            await news.until(lambda: len(news.offline) == 2)
            await computer.passes(2.0)
            await news.until(lambda: {h.state for h in news.health.values()} == {HealthState.HEALTHY})
        assert news.offline == [lost_at, None]
        assert monitor.offline_since is None
        assert news.health["local"].state is HealthState.HEALTHY
        assert not any(transition.important for transition in news.transitions[turned:]), "no alert"

    run(scenario)
