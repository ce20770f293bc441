"""Uptime, percentiles and staleness: numbers a person can check by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from nexo.connections.model.history import HealthSlice
from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.model import Health, Sample, Transition
from nexo_daemon.health.policy import shown
from nexo_daemon.registry.history import latency, slices, uptime

START = datetime(2026, 11, 23, tzinfo=UTC)
UP, DOWN, DARK, SLOW = (
    HealthState.HEALTHY,
    HealthState.UNHEALTHY,
    HealthState.UNKNOWN,
    HealthState.LIMITED,
)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def turn(hours: float, before: HealthState, then: HealthState, lasted: float | None = None) -> Transition:
    seconds = None if lasted is None else lasted * 3600
    return Transition("c", after(hours), before, then, "", lasted_s=seconds)


@pytest.mark.parametrize(
    ("transitions", "health", "expected"),
    [
        ([], Health(UP, since=after(-5)), 1.0),
        ([], Health(DOWN, since=after(4)), 0.0),
        ([], Health(), None),
        ([], Health(DARK, "offline", since=after(-5)), None),
        ([turn(6, UP, DOWN), turn(9, DOWN, UP, 3)], Health(UP, since=after(9)), 0.7),
        ([turn(5, UP, SLOW)], Health(SLOW, since=after(5)), 1.0),
        # Five hours without a network count neither way.
        ([turn(5, UP, DARK)], Health(DARK, "offline", since=after(5)), 1.0),
        ([turn(2, DOWN, DARK), turn(8, DARK, UP)], Health(UP, since=after(8)), 0.5),
        # Known for an hour only before it broke.
        ([turn(5, UP, DOWN, 1)], Health(DOWN, since=after(5)), 1 / 6),
    ],
)
def test_uptime_of_ten_hours(transitions: list[Transition], health: Health, expected: float | None) -> None:
    result = uptime(transitions, health, START, after(10))
    assert result == (None if expected is None else pytest.approx(expected))


def single(value: float | None, failed: bool = False) -> Sample:
    return Sample(
        "c",
        START,
        Outcome.UNREACHABLE if failed else Outcome.OK,
        latency_min_s=value,
        latency_median_s=value,
        latency_max_s=value,
        failures=int(failed),
    )


def test_percentiles_of_single_checks_are_exact() -> None:
    samples = [single(number / 100) for number in range(1, 101)]
    assert [latency(samples, q) for q in (0.5, 0.95, 0.99, 1.0)] == [0.5, 0.95, 0.99, 1.0]


def test_failures_and_nothing_have_no_latency() -> None:
    assert latency([], 0.5) is None
    assert latency([single(0.1, failed=True), single(None, failed=True)], 0.5) is None


def test_a_thinned_hour_weighs_as_much_as_its_checks() -> None:
    hour = Sample(
        "c",
        START,
        Outcome.OK,
        latency_min_s=0.1,
        latency_median_s=0.2,
        latency_max_s=0.9,
        checks=61,
        failures=1,
        span_s=3600,
    )
    assert latency([hour], 0.0) == 0.1
    assert latency([hour], 0.5) == 0.2
    assert latency([hour], 1.0) == 0.9
    assert latency([hour, single(5.0)], 0.5) == 0.2


@pytest.mark.parametrize(
    ("late_s", "stale"), [(0.0, False), (60.0, False), (179.0, False), (181.0, True), (86_400.0, True)]
)
def test_a_state_is_stale_after_three_intervals(late_s: float, stale: bool) -> None:
    health = Health(UP, since=START, checked_at=START, next_check_at=START + timedelta(seconds=60))
    seen = shown(health, 60.0, START + timedelta(seconds=60 + late_s))
    assert (seen.reason == "stale") is stale
    if stale:
        assert (seen.state, seen.last_known) == (DARK, UP)
        assert seen.checked_at == START


def test_what_nobody_is_to_check_does_not_grow_stale() -> None:
    rejected = Health(DOWN, "invalid_key", checked_at=START, next_check_at=None)
    assert shown(rejected, 60.0, after(1000)) is rejected
    waiting = Health(SLOW, checked_at=START, retry_at=after(10), next_check_at=after(10))
    assert shown(waiting, 60.0, after(9)) is waiting
    never = Health()
    assert shown(never, 60.0, after(1000)) is never


def test_the_worst_check_gives_a_slice_its_light_and_the_good_ones_its_latency() -> None:
    def at(hours: float, value: float | None, outcome: Outcome = Outcome.OK) -> Sample:
        bad = int(outcome is not Outcome.OK)
        return Sample("c", after(hours), outcome, "", value, value, value, failures=bad, from_traffic=bad)

    parts = slices(
        [
            at(0.1, 0.3),
            at(0.2, 0.1),
            at(0.3, 0.2),
            at(1.5, 0.5),
            at(1.6, None, Outcome.RATE_LIMITED),
            at(2.1, None, Outcome.QUOTA_EXHAUSTED),
            at(2.2, None, Outcome.PROVIDER_DOWN),
        ],
        START,
        after(4),
        4,
    )
    assert parts == (
        HealthSlice(0.2, UP, 3),
        HealthSlice(0.5, SLOW, 2, 1, 1),
        HealthSlice(None, DOWN, 2, 2, 2),
        HealthSlice(None, DARK),
    )
