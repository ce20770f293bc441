"""The scheduler with a simulated clock: order, spacing, waiting, being offline."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_parts import watched
from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.model import EvidenceSource, Health
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.clocks import Instant
from nexo_daemon.health.network import CANARY_S, WITNESS_WAIT_S
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.queue import (
    CONCURRENCY,
    HOST_GAP_S,
    MAX_IN_FLIGHT,
    SLOW_CONCURRENCY,
    USUAL_DEADLINE_S,
    YIELD_AFTER_S,
)
from nexo_daemon.health.schedule import Scheduler
from nexo_daemon.health.watch_list import HealthNotice, Launch, Notice, OfflineNotice

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
GOOD = Verdict(Outcome.OK, latency_s=0.1)
REFUSED = Verdict(Outcome.UNREACHABLE, "refused")
TIMEOUT = Verdict(Outcome.UNREACHABLE, "timeout")
NO_ROUTE = Verdict(Outcome.UNREACHABLE, "no_route", network_suspect=True)
REJECTED = Verdict(Outcome.AUTH_ERROR, "invalid_key")
HANGS = None


class Driver:
    """Runs a scheduler from event to event. Answers come from `answers`, by connection; HANGS never ends."""

    def __init__(self) -> None:
        self.core = Scheduler(random.Random(1))
        self.time = 0.0
        self.answers: dict[str, Verdict | None] = {}
        self.takes_s = 0.1
        self.launches: list[Launch] = []
        self.notices: list[Notice] = []
        self.open: list[tuple[float, Launch, Verdict]] = []
        self.stepped_s = 0.0

    @property
    def now(self) -> Instant:
        return Instant(EPOCH + timedelta(seconds=self.time + self.stepped_s), 500.0 + self.time)

    def configure(self, *watched: Watched, **known: Health) -> None:
        wanted = {one.id: one for one in watched}
        for launch in self.core.configure(wanted, known, self.now):
            self.core.finish(launch, None, self.now)
            self.open = [entry for entry in self.open if entry[1] is not launch]

    def go(self, seconds: float) -> "Driver":
        """Let that much time pass."""
        end = self.time + seconds
        while True:
            while (launch := self.core.launch(self.now)) is not None:
                self.launches.append(launch)
                verdict = self.answers.get(launch.id, GOOD)
                if verdict is not None:
                    late = verdict is TIMEOUT or self.takes_s > launch.deadline_s
                    takes = launch.deadline_s if late else self.takes_s
                    self.open.append((self.time + takes, launch, TIMEOUT if late else verdict))
            self.notices += self.core.drain()
            wake = self.core.next_wake(self.now)
            moments = [end, *(moment for moment, _, _ in self.open)]
            if wake is not None:
                moments.append(wake - 500.0)
            self.time = max(self.time, min(moments))
            done = [entry for entry in self.open if entry[0] <= self.time]
            self.open = [entry for entry in self.open if entry[0] > self.time]
            for _, launch, verdict in done:
                self.core.finish(launch, verdict, self.now)
            self.notices += self.core.drain()
            if self.time >= end and not done:
                return self

    def starts(self, id_: str) -> list[float]:
        return [launch.started - 500.0 for launch in self.launches if launch.id == id_]

    def state(self, id_: str) -> tuple[HealthState, str]:
        health = self.core.health(id_)
        assert health is not None
        return health.state, health.reason

    def offline(self) -> list[bool]:
        return [notice.since is not None for notice in self.notices if isinstance(notice, OfflineNotice)]

    def alerts(self) -> list[str]:
        return [
            notice.id
            for notice in self.notices
            if isinstance(notice, HealthNotice) and notice.transition and notice.transition.important
        ]


def remote(id_: str, *, important: bool = False, host: str = "", **more: float | bool) -> Watched:
    return replace(watched(id_, f"https://{host or id_}.example.com:443", important=important), **more)  # type: ignore[arg-type]


@pytest.fixture
def driver() -> Driver:
    return Driver()


def gaps(starts: list[float]) -> Iterator[float]:
    return (after - before for before, after in pairwise(starts))


def red_at(driver: Driver, id_: str) -> float:
    """When the connection became unhealthy, in seconds of the driver."""
    return next(
        (notice.transition.at - EPOCH).total_seconds()
        for notice in driver.notices
        if isinstance(notice, HealthNotice)
        and notice.id == id_
        and notice.transition is not None
        and notice.transition.to_state is HealthState.UNHEALTHY
    )


def test_the_important_ones_every_minute_the_others_every_five_with_jitter(driver: Driver) -> None:
    driver.configure(remote("star", important=True), remote("other"), remote("own", interval_s=20.0))
    driver.go(7200)
    for id_, interval in (("star", 60.0), ("other", 300.0), ("own", 20.0)):
        distances = list(gaps(driver.starts(id_)))
        assert len(distances) == pytest.approx(7200 / interval, rel=0.1)
        assert 0.9 * interval <= min(distances) < max(distances) <= 1.1 * interval + 0.1
        assert max(distances) - min(distances) > 0.05 * interval


def test_at_the_start_the_important_ones_go_first(driver: Driver) -> None:
    others = [remote(f"o{number}") for number in range(100)]
    driver.configure(*others, remote("star", important=True))
    driver.takes_s = 5.0
    driver.go(20)
    assert driver.launches[0].id == "star"
    assert len({launch.id for launch in driver.launches}) == 101


def test_becoming_important_does_not_wait_for_the_long_interval(driver: Driver) -> None:
    driver.configure(remote("a"))
    driver.go(10)
    driver.configure(remote("a", important=True))
    driver.go(66)
    assert len(driver.starts("a")) == 2


def test_one_host_gets_one_request_at_a_time_and_a_rest(driver: Driver) -> None:
    driver.configure(*(remote(f"c{number}", host="gateway") for number in range(50)))
    driver.go(60)
    distances = list(gaps(sorted(launch.started for launch in driver.launches)))
    assert len(driver.launches) >= 50
    assert min(distances) >= driver.takes_s + HOST_GAP_S - 1e-6


def crowd(hanging: int) -> Driver:
    """A hundred hosts that answer, beside some that hang; all have been asked before."""
    driver = Driver()
    dead = [remote(f"h{number}") for number in range(hanging)]
    driver.answers = {one.id: TIMEOUT for one in dead}
    driver.configure(*dead, *(remote(f"c{number}") for number in range(100)))
    return driver


def last_start(driver: Driver) -> float:
    """Seconds until the last of those that answer was asked."""
    return max(driver.starts(f"c{number}")[0] for number in range(100))


@pytest.mark.parametrize("hanging", [50, 200])
def test_hosts_that_are_known_to_hang_do_not_make_others_late(hanging: int) -> None:
    alone, beside = crowd(0), crowd(hanging)
    for driver in (alone, beside):
        driver.go(240)
        driver.core.woke(3600.0, driver.now)
        driver.go(1.9)
        driver.launches.clear()
        woken = driver.time
        driver.go(10)
        # Everything falls due at once, and the hosts that hang were there first.
        assert last_start(driver) - woken < 1.0
    assert [one.id for one in beside.launches if one.id[0] == "c"] == [one.id for one in alone.launches]
    assert last_start(beside) - beside.time == pytest.approx(last_start(alone) - alone.time)
    assert sum(one.id[0] == "h" for one in beside.launches) > 0


def test_hosts_that_are_known_to_hang_have_a_bounded_lane() -> None:
    driver = crowd(200)
    driver.go(240)
    driver.core.woke(3600.0, driver.now)
    driver.go(2.0)
    for _ in range(100):
        driver.go(0.1)
        assert driver.core.in_flight <= SLOW_CONCURRENCY + CONCURRENCY
    assert driver.core.in_flight >= SLOW_CONCURRENCY


def test_hosts_that_hung_before_a_restart_do_not_make_others_late(driver: Driver) -> None:
    dead = [remote(f"h{number}") for number in range(200)]
    driver.answers = {one.id: HANGS for one in dead}
    known = {
        one.id: Health(HealthState.UNHEALTHY, "timeout", since=EPOCH, next_check_at=EPOCH) for one in dead
    }
    driver.configure(*dead, *(remote(f"c{number}") for number in range(100)), **known)
    driver.go(1)
    assert last_start(driver) <= 0.1 * 100 / CONCURRENCY


def test_hosts_that_begin_to_hang_delay_others_once_and_by_less_than_a_second(driver: Driver) -> None:
    dead = [remote(f"h{number}") for number in range(50)]
    driver.answers = {one.id: HANGS for one in dead}
    driver.configure(*dead, *(remote(f"c{number}") for number in range(100)))
    driver.go(4)
    rounds = ceil(50 / CONCURRENCY)
    assert last_start(driver) <= rounds * YIELD_AFTER_S + 0.1 * 100 / CONCURRENCY


def test_concurrency_is_bounded_even_if_everything_hangs(driver: Driver) -> None:
    everything = [remote(f"h{number}") for number in range(500)]
    driver.answers = {one.id: HANGS for one in everything}
    driver.configure(*everything)
    driver.go(0)
    assert driver.core.in_flight == CONCURRENCY
    driver.go(600)
    assert driver.core.in_flight == MAX_IN_FLIGHT


def shown(driver: Driver) -> HealthNotice:
    return [notice for notice in driver.notices if isinstance(notice, HealthNotice)][-1]


@pytest.mark.parametrize("answer", [GOOD, REFUSED])
def test_the_next_check_is_made_at_the_time_that_is_shown(driver: Driver, answer: Verdict) -> None:
    driver.answers["a"] = answer
    driver.configure(remote("a"))
    driver.go(100)
    made, promised = len(driver.starts("a")), shown(driver).health.next_check_at
    assert promised is not None
    driver.go(1000)
    assert driver.starts("a")[made] == pytest.approx((promised - EPOCH).total_seconds())


def test_nobody_waits_for_a_result_that_comes_only_after_the_providers_wait(driver: Driver) -> None:
    until = EPOCH + timedelta(seconds=1000)
    driver.answers["a"] = Verdict(Outcome.RATE_LIMITED, "rate_limited", retry_at=until)
    driver.configure(remote("a"))
    driver.go(1)
    assert shown(driver).conclusive


def test_no_check_before_the_time_the_provider_asked_for(driver: Driver) -> None:
    until = EPOCH + timedelta(seconds=1000)
    driver.answers["a"] = Verdict(Outcome.RATE_LIMITED, retry_at=until)
    driver.configure(remote("a", important=True))
    driver.go(10)
    driver.answers["a"] = GOOD
    assert not driver.core.request("a", driver.now)
    assert not driver.core.suspect("a", driver.now)
    driver.core.network_changed(True, driver.now)
    driver.core.woke(None, driver.now)
    driver.go(3000)
    first, second, *_ = driver.starts("a")
    assert first == 0
    assert 1000 <= second <= 1002
    assert driver.state("a")[0] is HealthState.HEALTHY


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_setting_the_clock_shortens_no_wait(driver: Driver, step_s: float) -> None:
    driver.answers["a"] = Verdict(Outcome.RATE_LIMITED, retry_at=EPOCH + timedelta(seconds=1000))
    driver.configure(remote("a"))
    driver.go(10)
    driver.stepped_s = step_s
    driver.core.woke(None, driver.now)
    driver.answers["a"] = GOOD
    driver.go(2000)
    assert 1000 <= driver.starts("a")[1] <= 1002


def test_time_asleep_counts_as_waited(driver: Driver) -> None:
    driver.answers["a"] = Verdict(Outcome.RATE_LIMITED, retry_at=EPOCH + timedelta(seconds=1000))
    driver.configure(remote("a"))
    driver.go(10)
    driver.answers["a"] = GOOD
    driver.stepped_s = 900.0
    driver.core.woke(900.0, driver.now)
    driver.go(200)
    assert 100 <= driver.starts("a")[1] <= 102


def test_waking_up_checks_everything_in_order_of_importance(driver: Driver) -> None:
    driver.configure(remote("b"), remote("star", important=True), remote("c"))
    driver.go(10)
    driver.launches.clear()
    driver.stepped_s = 8 * 3600.0
    driver.core.woke(8 * 3600.0, driver.now)
    driver.go(5)
    assert driver.launches[0].id == "star"
    assert {launch.id for launch in driver.launches} == {"star", "b", "c"}


def test_a_burst_of_network_changes_is_one_recheck(driver: Driver) -> None:
    driver.configure(remote("a"), remote("b"))
    driver.go(60)
    driver.launches.clear()
    for _ in range(20):
        driver.core.network_changed(True, driver.now)
        driver.go(0.3)
    driver.go(20)
    assert sorted(launch.id for launch in driver.launches) == ["a", "b"]


def test_a_check_that_the_change_of_network_broke_is_no_failure(driver: Driver) -> None:
    driver.takes_s = 5.0
    driver.answers["a"] = REFUSED
    driver.configure(remote("a"))
    driver.go(1)
    driver.core.network_changed(True, driver.now)
    driver.answers["a"] = GOOD
    driver.go(60)
    health = driver.core.health("a")
    assert health is not None
    assert (health.state, health.consecutive_failures) == (HealthState.HEALTHY, 0)
    assert driver.state("a") == (HealthState.HEALTHY, "")


def test_a_rejected_key_is_left_alone_until_the_connection_changes(driver: Driver) -> None:
    driver.answers["a"] = REJECTED
    driver.configure(remote("a", important=True))
    driver.go(86_400)
    assert len(driver.starts("a")) == 2
    assert driver.state("a") == (HealthState.UNHEALTHY, "invalid_key")
    driver.answers["a"] = GOOD
    driver.core.changed("a", driver.now)
    assert driver.state("a") == (HealthState.UNKNOWN, "never")
    driver.go(1)
    assert driver.state("a")[0] is HealthState.HEALTHY


def test_a_restart_does_not_ask_a_rejected_key_or_a_throttled_one(driver: Driver) -> None:
    rejected = Health(HealthState.UNHEALTHY, "invalid_key", since=EPOCH, checked_at=EPOCH)
    waiting = Health(HealthState.LIMITED, "rate_limited", retry_at=EPOCH + timedelta(hours=1))
    driver.configure(remote("r"), remote("w"), r=rejected, w=waiting)
    driver.go(3599)
    assert driver.launches == []
    driver.go(5)
    assert [launch.id for launch in driver.launches] == ["w"]


def test_reports_of_programs_cause_one_check_and_no_colour(driver: Driver) -> None:
    driver.configure(remote("a"))
    driver.go(20)
    for _ in range(100):
        driver.core.suspect("a", driver.now)
        driver.go(0.2)
    assert len(driver.starts("a")) == 2
    assert driver.state("a")[0] is HealthState.HEALTHY
    driver.go(15)
    driver.core.suspect("a", driver.now)
    driver.go(1)
    assert len(driver.starts("a")) == 3


def test_pausing_keeps_what_was_known_and_sends_nothing(driver: Driver) -> None:
    driver.configure(remote("a"), remote("b"))
    driver.go(10)
    driver.configure(remote("a", paused=True), remote("b"))
    driver.go(3600)
    assert len(driver.starts("a")) == 1
    assert driver.state("a") == (HealthState.UNKNOWN, "paused")
    driver.configure(remote("a", paused=True), remote("b", paused=True))
    count = len(driver.launches)
    driver.go(3600)
    assert len(driver.launches) == count
    assert driver.core.request("a", driver.now)
    driver.go(3600)
    assert len(driver.launches) == count + 1
    driver.configure(remote("a"), remote("b"))
    driver.go(1)
    assert driver.state("a")[0] is HealthState.HEALTHY


def test_a_new_connection_says_that_it_is_being_checked_until_its_first_failure_is_confirmed(
    driver: Driver,
) -> None:
    driver.answers["a"] = REFUSED
    driver.configure(remote("a"))
    assert driver.state("a") == (HealthState.UNKNOWN, "never")
    driver.go(1)
    assert driver.state("a") == (HealthState.UNKNOWN, "checking")
    driver.go(10)
    assert driver.state("a") == (HealthState.UNHEALTHY, "refused")


def test_a_paused_connection_that_is_asked_once_and_fails_stays_paused(driver: Driver) -> None:
    driver.answers["a"] = REFUSED
    driver.configure(remote("a", paused=True))
    assert driver.core.request("a", driver.now)
    driver.go(100)
    assert len(driver.starts("a")) == 1
    assert driver.state("a") == (HealthState.UNKNOWN, "paused")


def test_no_network_is_one_event_and_freezes_what_was_known(driver: Driver) -> None:
    ids = [f"c{number}" for number in range(30)]
    remotes = [remote(id_, important=id_ == "c0") for id_ in ids]
    driver.configure(*remotes, watched("local", "http://127.0.0.1:11434"))
    driver.go(700)
    driver.notices.clear()
    driver.answers = dict.fromkeys(ids, NO_ROUTE)
    driver.go(3600)
    assert driver.offline() == [True]
    assert driver.core.offline_since is not None
    assert {driver.state(id_) for id_ in ids} == {(HealthState.UNKNOWN, "offline")}
    assert driver.state("local")[0] is HealthState.HEALTHY
    assert driver.alerts() == []
    health = driver.core.health("c7")
    assert health is not None
    assert health.last_known is HealthState.HEALTHY

    driver.answers = {}
    driver.launches.clear()
    driver.go(60)
    assert driver.offline() == [True, False]
    assert {driver.state(id_)[0] for id_ in ids} == {HealthState.HEALTHY}
    assert driver.alerts() == []


def test_while_off_line_one_host_is_asked_now_and_then(driver: Driver) -> None:
    ids = [f"c{number}" for number in range(30)]
    driver.answers = dict.fromkeys(ids, NO_ROUTE)
    driver.configure(*(remote(id_) for id_ in ids))
    driver.go(60)
    assert driver.core.offline_since is not None
    driver.launches.clear()
    driver.go(3600)
    assert 100 <= len(driver.launches) <= 3600 / 14


def test_without_a_default_route_the_first_failure_suffices(driver: Driver) -> None:
    driver.configure(remote("a"), remote("b"))
    driver.go(60)
    driver.core.network_changed(False, driver.now)
    driver.answers = {"a": TIMEOUT, "b": TIMEOUT}
    driver.go(60)
    assert driver.offline() == [True]


def test_one_host_without_a_name_is_that_hosts_fault(driver: Driver) -> None:
    driver.configure(*(remote(id_, important=True) for id_ in "abc"))
    driver.go(200)
    driver.answers["a"] = NO_ROUTE
    driver.go(200)
    assert driver.offline() == []
    assert driver.state("a") == (HealthState.UNHEALTHY, "no_route")
    assert driver.state("b")[0] is HealthState.HEALTHY


@pytest.mark.parametrize("hosts", ["ab", "abc", "abcdef"])
@pytest.mark.parametrize("reason", ["tls_self_signed", "tls_hostname", "portal", "refused", "reset"])
def test_a_network_that_answers_in_place_of_every_host_turns_none_red(
    driver: Driver, hosts: str, reason: str
) -> None:
    driver.configure(*(remote(id_, important=id_ == "a") for id_ in hosts))
    driver.go(20)
    driver.notices.clear()
    driver.answers = dict.fromkeys(hosts, Verdict(Outcome.UNREACHABLE, reason))
    driver.core.network_changed(True, driver.now)
    driver.go(3600)
    assert driver.offline() == [True]
    assert driver.alerts() == []
    health = driver.core.health("a")
    assert health is not None
    assert (health.reason, health.last_known) == ("offline", HealthState.HEALTHY)
    assert "sign in" in health.advice

    driver.answers = {}
    driver.go(CANARY_S * 1.1 + 10)
    assert {driver.state(id_)[0] for id_ in hosts} == {HealthState.HEALTHY}, "soon after signing in"


@pytest.mark.parametrize("reason", ["tls_self_signed", "refused", "tls_expired"])
def test_a_single_host_that_refuses_or_has_a_foreign_certificate_is_red(driver: Driver, reason: str) -> None:
    driver.configure(remote("a"))
    driver.go(20)
    driver.answers["a"] = Verdict(Outcome.UNREACHABLE, reason)
    driver.go(3600)
    assert driver.offline() == []
    assert driver.state("a") == (HealthState.UNHEALTHY, reason)


def test_a_wrong_clock_is_not_taken_for_a_lost_network(driver: Driver) -> None:
    driver.configure(*map(remote, "abc"))
    driver.go(20)
    driver.answers = dict.fromkeys("abc", Verdict(Outcome.UNREACHABLE, "tls_not_yet_valid"))
    driver.go(3600)
    assert driver.offline() == []
    assert driver.state("c") == (HealthState.UNHEALTHY, "tls_not_yet_valid"), "its advice names the clock"


def test_a_check_that_sends_nothing_does_not_prove_that_the_network_is_back(driver: Driver) -> None:
    unusable = Verdict(Outcome.CONFIG_ERROR, "ca_bundle")
    driver.answers["b"] = unusable
    driver.configure(*map(remote, "abc"))
    driver.go(20)
    driver.answers = {"a": NO_ROUTE, "b": unusable, "c": NO_ROUTE}
    driver.go(3600)
    assert driver.offline() == [True]
    driver.answers = {"b": unusable}
    driver.go(60)
    assert driver.offline() == [True, False]
    assert driver.state("b") == (HealthState.UNHEALTHY, "ca_bundle")


def test_a_host_that_hangs_is_red_after_the_second_time_out_when_others_answer(driver: Driver) -> None:
    driver.configure(*(remote(id_, important=True) for id_ in "abc"))
    driver.go(10)
    driver.answers["a"] = TIMEOUT
    driver.launches.clear()
    driver.go(200)
    turned = red_at(driver, "a")
    first, second, *_ = driver.starts("a")
    assert second == pytest.approx(first + USUAL_DEADLINE_S + 2.0)
    assert turned == pytest.approx(second + USUAL_DEADLINE_S + driver.takes_s), (
        "one answer of a witness later"
    )


@pytest.mark.parametrize("hosts", ["a", "ab", "abcd"])
def test_a_network_that_became_very_slow_is_not_called_down_for_long(driver: Driver, hosts: str) -> None:
    driver.configure(*(remote(id_, important=True) for id_ in hosts))
    driver.go(20)
    driver.notices.clear()
    driver.takes_s = USUAL_DEADLINE_S + 2.0
    driver.answers = dict.fromkeys(hosts, Verdict(Outcome.OK, latency_s=driver.takes_s))
    driver.go(300)
    assert {driver.state(id_)[0] for id_ in hosts} == {HealthState.HEALTHY}
    driver.notices.clear()
    driver.go(3600)
    assert not [notice for notice in driver.notices if isinstance(notice, OfflineNotice) or notice.transition]


def test_witnesses_that_do_not_answer_hold_a_red_light_for_a_bounded_time(driver: Driver) -> None:
    driver.configure(*(remote(id_, important=True) for id_ in "abc"))
    driver.go(10)
    driver.answers = {"a": NO_ROUTE, "b": HANGS, "c": HANGS}
    driver.launches.clear()
    driver.go(200)
    first = driver.starts("a")[0]
    assert first + 5.0 < red_at(driver, "a") <= first + 5.0 + WITNESS_WAIT_S + 3.0
    assert driver.offline() == []


@pytest.mark.parametrize("single", [REFUSED, TIMEOUT, NO_ROUTE])
@pytest.mark.parametrize("lost", [NO_ROUTE, TIMEOUT])
@pytest.mark.parametrize("after_s", [0.1, 1.0, 1.9])
def test_a_single_failure_right_before_the_network_is_lost_is_no_outage(
    driver: Driver, single: Verdict, lost: Verdict, after_s: float
) -> None:
    driver.configure(*(remote(id_, important=True) for id_ in "abcd"))
    driver.go(20)
    driver.answers["a"] = single
    assert driver.core.suspect("a", driver.now)
    driver.go(USUAL_DEADLINE_S if single is TIMEOUT else driver.takes_s)
    for id_ in "bcd":
        assert driver.core.request(id_, driver.now)
    driver.go(after_s)
    driver.answers = dict.fromkeys("abcd", lost)
    driver.notices.clear()
    driver.go(120)
    assert driver.offline() == [True]
    assert driver.alerts() == []


def test_a_dead_host_that_is_known_to_be_dead_is_no_evidence(driver: Driver) -> None:
    driver.answers = {"a": NO_ROUTE, "b": NO_ROUTE, "c": TIMEOUT}
    driver.configure(*(remote(id_, important=True) for id_ in "abcdefgh"))
    driver.go(7200)
    assert driver.offline() == []
    assert driver.state("h")[0] is HealthState.HEALTHY


def test_back_on_line_a_rejected_key_is_shown_again_without_a_request(driver: Driver) -> None:
    driver.answers = {"r": REJECTED}
    driver.configure(remote("r"), remote("a", important=True), remote("b"))
    driver.go(600)
    driver.answers = dict.fromkeys("rab", NO_ROUTE)
    driver.go(600)
    assert driver.state("r") == (HealthState.UNKNOWN, "offline")
    before = len(driver.starts("r"))
    driver.answers = {}
    driver.go(600)
    assert driver.state("r") == (HealthState.UNHEALTHY, "invalid_key")
    assert len(driver.starts("r")) == before


def test_a_network_that_comes_back_is_noticed_at_once(driver: Driver) -> None:
    driver.answers = dict.fromkeys("abc", NO_ROUTE)
    driver.configure(*(remote(id_) for id_ in "abc"))
    driver.go(63)
    assert driver.offline() == [True]
    driver.answers = {}
    driver.core.network_changed(True, driver.now)
    driver.go(6)
    assert driver.offline() == [True, False]
    assert {driver.state(id_)[0] for id_ in "abc"} == {HealthState.HEALTHY}


def test_a_connection_that_is_changed_while_off_line_is_checked_when_the_network_is_back(
    driver: Driver,
) -> None:
    driver.configure(*(remote(id_) for id_ in "abc"))
    driver.go(60)
    driver.answers = dict.fromkeys("abc", NO_ROUTE)
    driver.go(600)
    assert driver.offline() == [True]
    driver.core.changed("c", driver.now)
    driver.go(60)
    assert driver.state("c") == (HealthState.UNKNOWN, "offline")
    driver.answers = {}
    driver.go(60)
    assert driver.state("c")[0] is HealthState.HEALTHY


@pytest.mark.parametrize("action", ["remove", "move", "change", "pause"])
def test_a_host_is_not_blocked_by_what_happens_to_a_running_check(driver: Driver, action: str) -> None:
    driver.answers["a"] = HANGS
    driver.configure(remote("a", host="shared"), remote("b", host="shared"))
    driver.go(1)
    assert driver.starts("b") == []
    running = driver.launches[0]
    actions: dict[str, Callable[[], None]] = {
        "remove": lambda: driver.configure(remote("b", host="shared")),
        "move": lambda: driver.configure(remote("a", host="elsewhere"), remote("b", host="shared")),
        "pause": lambda: driver.configure(
            remote("a", host="shared", paused=True), remote("b", host="shared")
        ),
        "change": lambda: (
            [driver.core.finish(one, None, driver.now) for one in driver.core.changed("a", driver.now)]
            and None
        ),
    }
    driver.answers = {}
    actions[action]()
    driver.go(2)
    assert driver.core.in_flight == 0, running
    assert len(driver.starts("b")) == 1
    assert driver.state("b")[0] is HealthState.HEALTHY
    if action in ("move", "change"):
        assert driver.state("a")[0] is HealthState.HEALTHY


def test_a_host_is_not_blocked_by_a_check_that_waited_for_it_while_its_connection_moved(
    driver: Driver,
) -> None:
    driver.answers["b"] = TIMEOUT
    waits = remote("a", host="shared", paused=True)
    driver.configure(waits, remote("b", host="shared"))
    driver.go(1)
    assert driver.core.request("a", driver.now)
    driver.go(1)
    assert driver.starts("a") == []
    moved = remote("a", host="elsewhere", paused=True)
    driver.configure(moved, remote("b", host="shared"))
    driver.go(60)
    assert len(driver.starts("a")) == 1
    driver.configure(moved, remote("c", host="shared"))
    driver.go(60)
    assert driver.state("c")[0] is HealthState.HEALTHY


# Requests of programs are evidence.

WORKED = Verdict(Outcome.OK, source=EvidenceSource.TRAFFIC)
FAILURES = [
    Verdict(outcome, "seen", source=EvidenceSource.TRAFFIC)
    for outcome in (
        Outcome.AUTH_ERROR,
        Outcome.PERMISSION,
        Outcome.PROVIDER_DOWN,
        Outcome.UNREACHABLE,
        Outcome.RATE_LIMITED,
    )
]
SPENT = Verdict(Outcome.QUOTA_EXHAUSTED, "spent", source=EvidenceSource.TRAFFIC)


def wait_of(seconds: float, driver: Driver) -> Verdict:
    until = driver.now.wall + timedelta(seconds=seconds)
    return Verdict(Outcome.RATE_LIMITED, "rate_limited", retry_at=until, source=EvidenceSource.TRAFFIC)


def witness(driver: Driver, verdict: Verdict, *, took: float = 0.0) -> bool:
    return driver.core.witnessed("a", verdict, driver.now.mono - took, driver.now)


def notices(driver: Driver) -> list[HealthNotice]:
    return [notice for notice in driver.notices if isinstance(notice, HealthNotice)]


@pytest.fixture
def used(driver: Driver) -> Driver:
    """One important connection "a", green."""
    driver.configure(remote("a", important=True))
    driver.go(5)
    assert driver.state("a")[0] is HealthState.HEALTHY
    return driver


def test_a_connection_in_use_is_not_probed_and_history_says_who_saw_it(used: Driver) -> None:
    probes = len(used.launches)
    for _ in range(3600):
        witness(used, WORKED)
        used.go(1)
    assert len(used.launches) == probes
    seen = [notice.sample for notice in notices(used) if notice.sample and notice.sample.from_traffic]
    # One an interval, not one a request.
    assert 50 <= len(seen) <= 70
    assert all(sample.latency_median_s is None and sample.failures == 0 for sample in seen)
    health = used.core.health("a")
    assert health is not None
    assert health.latency_s == GOOD.latency_s
    assert health.checked_at is not None
    assert (used.now.wall - health.checked_at).total_seconds() < 70
    used.go(200)
    assert len(used.launches) > probes


def test_a_request_that_was_sent_before_the_last_check_spares_none(used: Driver) -> None:
    used.go(10)
    probes = len(used.launches)
    assert not witness(used, WORKED, took=3600)
    used.go(70)
    assert len(used.launches) == probes + 1


def test_a_good_answer_turns_a_light_that_is_not_green(used: Driver) -> None:
    for bad in (REFUSED, REJECTED):
        used.answers["a"] = bad
        used.core.request("a", used.now)
        used.go(120)
        assert used.state("a")[0] is HealthState.UNHEALTHY
        probes = len(used.launches)
        assert witness(used, WORKED)
        used.go(1)
        assert used.state("a") == (HealthState.HEALTHY, "")
        assert len(used.launches) == probes
        (turn,) = [n.transition for n in notices(used)[-1:] if n.transition]
        assert (turn.source, turn.from_state) == (EvidenceSource.TRAFFIC, HealthState.UNHEALTHY)


@given(st.lists(st.tuples(st.sampled_from([*FAILURES, SPENT]), st.floats(0, 20)), max_size=40))
def test_whatever_programs_meet_no_light_is_red_while_checks_are_good(
    met: list[tuple[Verdict, float]],
) -> None:
    driver = Driver()
    driver.configure(remote("a", important=True))
    driver.go(5)
    for verdict, pause in met:
        witness(driver, verdict)
        driver.go(pause)
        assert driver.state("a")[0] in (HealthState.HEALTHY, HealthState.LIMITED)


@pytest.mark.parametrize("verdict", FAILURES, ids=lambda verdict: str(verdict.outcome))
def test_a_failure_is_looked_at_at_once_and_is_in_the_record_as_a_programs(
    used: Driver, verdict: Verdict
) -> None:
    used.go(10)
    probes = len(used.launches)
    for _ in range(20):
        witness(used, verdict)
    used.go(1)
    assert len(used.launches) == probes + 1
    samples = [notice.sample for notice in notices(used) if notice.sample][-2:]
    assert [(s.from_traffic, s.failures) for s in samples] == [(1, 1), (0, 0)]


def test_a_failure_that_a_check_confirms_turns_the_light_and_the_check_is_named(used: Driver) -> None:
    used.answers["a"] = REFUSED
    witness(used, FAILURES[3])
    used.go(30)
    assert used.state("a") == (HealthState.UNHEALTHY, "refused")
    turns = [n.transition for n in notices(used) if n.transition]
    assert turns[-1].source is EvidenceSource.PROBE


def test_nothing_is_sent_before_the_moment_that_a_provider_told_a_program(used: Driver) -> None:
    used.go(10)
    probes = len(used.launches)
    for wait in (100, 300, 299, 299.5):
        witness(used, wait_of(wait, used))
    used.go(298)
    assert used.state("a")[0] is HealthState.LIMITED
    assert len(used.launches) == probes
    used.go(5)
    assert len(used.launches) == probes + 1
    assert used.state("a")[0] is HealthState.HEALTHY


def test_a_busy_program_that_is_told_to_wait_does_not_fill_the_record(used: Driver) -> None:
    before = len(notices(used))
    for _ in range(1000):
        witness(used, wait_of(60, used))
        witness(used, SPENT)
        used.go(0.01)
    assert len(notices(used)) - before <= 12


def test_a_good_answer_from_before_a_refusal_does_not_undo_it(used: Driver) -> None:
    used.go(30)
    witness(used, wait_of(300, used))
    assert not witness(used, WORKED, took=10)
    assert used.state("a")[0] is HealthState.LIMITED
    used.go(1)
    assert witness(used, WORKED)
    assert used.state("a")[0] is HealthState.HEALTHY


def test_what_proved_the_old_configuration_proves_nothing_of_the_new_one(used: Driver) -> None:
    witness(used, WORKED)
    used.core.changed("a", used.now)
    probes = len(used.launches)
    used.go(1)
    assert len(used.launches) == probes + 1
