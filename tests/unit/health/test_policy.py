"""The health of one connection: what changes it, what does not, and when it is checked again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.model import Health, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.clocks import Instant
from nexo_daemon.health.policy import Judgement, TrackedHealth, Watched

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
IMPORTANT = Watched("c", "https://c.example:443", 60.0, important=True)
UNUSED = Watched("c", "https://c.example:443", 300.0)

GOOD = Verdict(Outcome.OK, latency_s=0.2)
REFUSED = Verdict(Outcome.UNREACHABLE, "refused", evidence="connection refused", advice="start the server")
TIMEOUT = Verdict(Outcome.UNREACHABLE, "timeout")
FIREWALL = Verdict(Outcome.UNREACHABLE, "waf")
OVERLOADED = Verdict(Outcome.PROVIDER_DOWN, "http_503", http_status=503)
WRONG_URL = Verdict(Outcome.NOT_COMPATIBLE, "not_json")
REJECTED = Verdict(Outcome.AUTH_ERROR, "invalid_key", http_status=401)
FORBIDDEN = Verdict(Outcome.PERMISSION, "region", http_status=403)
NO_SCOPE = Verdict(Outcome.PERMISSION, "missing_scope", http_status=401)
BAD_CONFIG = Verdict(Outcome.CONFIG_ERROR, "key_reference_failed")
THROTTLED = Verdict(Outcome.RATE_LIMITED, http_status=429)
NO_CREDIT = Verdict(Outcome.QUOTA_EXHAUSTED, "credit", http_status=429)


def at(seconds: float) -> Instant:
    return Instant(EPOCH + timedelta(seconds=seconds), 1000.0 + seconds)


class Story:
    """Drives one connection as the scheduler does: each check starts when the last judgement said."""

    def __init__(self, watched: Watched = IMPORTANT, tracked: TrackedHealth | None = None) -> None:
        self.watched = watched
        self.tracked = tracked or TrackedHealth()
        self.time = 0.0
        self.step: Judgement | None = None
        self.transitions: list[Transition] = []

    def check(self, *verdicts: Verdict, takes: float = 0.0, after: float | None = None) -> "Story":
        for verdict in verdicts:
            if self.step is not None and after is None:
                assert self.step.delay_s is not None, "no check is planned"
                self.time += self.step.delay_s
            self.time += (after or 0.0) + takes
            self.step = policy.judge(self.watched, self.tracked, verdict, at(self.time))
            self.tracked = self.step.tracked
            if self.step.transition is not None:
                self.transitions.append(self.step.transition)
        return self

    @property
    def state(self) -> HealthState:
        return self.tracked.health.state

    @property
    def delay(self) -> float | None:
        assert self.step is not None
        return self.step.delay_s


@pytest.mark.parametrize(
    ("verdict", "takes", "failures", "seconds"),
    [
        (REFUSED, 0.0, 3, 5.0),
        (TIMEOUT, 10.0, 2, 12.0),
        (OVERLOADED, 0.0, 3, 10.0),
        (WRONG_URL, 0.0, 3, 10.0),
        (FIREWALL, 0.0, 3, 30.0),
        (REJECTED, 0.0, 2, 30.0),
        (FORBIDDEN, 0.0, 2, 30.0),
        (BAD_CONFIG, 0.0, 1, 0.0),
    ],
    ids=lambda value: value.reason if isinstance(value, Verdict) else "",
)
def test_red_needs_this_many_failures_and_this_long(
    verdict: Verdict, takes: float, failures: int, seconds: float
) -> None:
    story = Story().check(GOOD)
    for number in range(1, failures + 1):
        story.check(verdict, takes=takes)
        if number == 1:
            first = story.time
        expected = HealthState.UNHEALTHY if number == failures else HealthState.HEALTHY
        assert story.state is expected, f"after {number}"
    assert story.time - first == pytest.approx(seconds)
    assert story.tracked.health.reason == verdict.reason
    assert len(story.transitions) == 2


@pytest.mark.parametrize("bad", [REFUSED, TIMEOUT, OVERLOADED, WRONG_URL, FIREWALL, REJECTED, FORBIDDEN])
def test_a_single_failure_changes_no_colour_and_tells_nobody(bad: Verdict) -> None:
    story = Story().check(GOOD)
    before = len(story.transitions)
    story.check(bad, GOOD, bad, GOOD)
    assert story.state is HealthState.HEALTHY
    assert len(story.transitions) == before
    assert story.tracked.health.consecutive_failures == 0


@pytest.mark.parametrize("bad", [REFUSED, OVERLOADED, FORBIDDEN, BAD_CONFIG])
def test_recovery_shows_at_the_first_good_result_and_says_how_long_it_was_out(bad: Verdict) -> None:
    story = Story().check(GOOD)
    while story.state is HealthState.HEALTHY:
        story.check(bad)
    since = story.tracked.health.since
    story.check(bad, bad, GOOD)
    assert story.state is HealthState.HEALTHY
    assert since is not None
    assert story.transitions[-1].lasted_s == pytest.approx((at(story.time).wall - since).total_seconds())
    assert story.transitions[-1].important


def test_different_failures_in_a_row_are_one_outage() -> None:
    story = Story().check(GOOD, REFUSED, OVERLOADED, OVERLOADED)
    while story.state is HealthState.HEALTHY:
        story.check(OVERLOADED)
    assert story.state is HealthState.UNHEALTHY
    assert story.time < 60 + 20


def test_an_outage_in_between_does_not_vouch_for_the_key() -> None:
    story = Story().check(GOOD, REJECTED).check(TIMEOUT, takes=10.0)
    assert story.state is HealthState.HEALTHY
    story.check(REJECTED)
    assert (story.state, story.tracked.health.reason) == (HealthState.UNHEALTHY, "invalid_key")


def test_a_confirmed_rejection_ends_the_checks() -> None:
    story = Story().check(GOOD, REJECTED, REJECTED)
    assert story.delay is None
    assert story.tracked.stopped


@pytest.mark.parametrize("bad", [REJECTED, TIMEOUT, OVERLOADED, FORBIDDEN])
def test_asking_again_after_a_rejection_changes_nothing_unless_the_key_is_accepted(bad: Verdict) -> None:
    story = Story().check(GOOD, REJECTED, REJECTED)
    told = len(story.transitions)
    story.check(bad, after=100.0)
    assert (story.state, story.delay, len(story.transitions)) == (HealthState.UNHEALTHY, None, told)
    assert story.tracked.health.reason == "invalid_key"
    story.check(GOOD, after=100.0)
    assert (story.state, story.delay) == (HealthState.HEALTHY, 60.0)


def test_a_rejection_survives_a_restart_without_a_request() -> None:
    story = Story().check(GOOD, REJECTED, REJECTED)
    again = policy.restored(story.tracked.health, at(10_000))
    assert again.stopped


def test_other_red_states_are_checked_again_after_a_restart() -> None:
    story = Story().check(GOOD, BAD_CONFIG)
    planned = at(story.time + 60).wall
    stored = Health(HealthState.UNHEALTHY, "key_reference_failed", next_check_at=planned)
    assert not policy.restored(stored, at(10_000)).stopped
    assert not policy.restored(Health(), at(10_000)).stopped


def test_a_wait_that_was_asked_for_is_kept_to_the_second() -> None:
    story = Story()
    wait = Verdict(Outcome.RATE_LIMITED, retry_at=at(3600).wall)
    story.check(wait)
    assert story.state is HealthState.LIMITED
    assert story.tracked.health.retry_at == at(3600).wall
    assert story.delay == pytest.approx(3600.0)
    assert story.tracked.not_before == pytest.approx(at(3600).mono)
    restored = policy.restored(story.tracked.health, at(1800))
    assert restored.not_before == pytest.approx(at(3600).mono)


def test_throttling_without_a_time_backs_off_and_is_never_red() -> None:
    story = Story(UNUSED)
    delays = []
    for _ in range(6):
        story.check(THROTTLED)
        delays.append(story.delay)
    assert story.state is HealthState.LIMITED
    assert delays == [300.0, 600.0, 900.0, 900.0, 900.0, 900.0]
    assert len(story.transitions) == 1


def test_no_credit_has_its_own_reason_and_is_asked_rarely() -> None:
    story = Story().check(GOOD, NO_CREDIT)
    assert (story.state, story.tracked.health.reason) == (HealthState.LIMITED, "credit")
    assert story.delay == 300.0
    assert story.transitions[-1].important


@pytest.mark.parametrize(("seconds", "news"), [(30, False), (3600, True)])
def test_a_throttling_that_passes_soon_is_no_news(seconds: float, news: bool) -> None:
    story = Story().check(GOOD)
    story.check(Verdict(Outcome.RATE_LIMITED, retry_at=at(story.time + 60 + seconds).wall))
    story.check(GOOD)
    assert [t.important for t in story.transitions[1:]] == [news, news]


def test_a_key_that_may_not_list_models_is_amber() -> None:
    story = Story().check(GOOD, NO_SCOPE, NO_SCOPE)
    assert (story.state, story.tracked.health.reason) == (HealthState.LIMITED, "missing_scope")
    assert story.delay == 300.0


def test_an_important_connection_that_is_down_is_checked_at_its_usual_pace() -> None:
    story = Story().check(GOOD, REFUSED, REFUSED, REFUSED)
    for _ in range(10):
        assert story.delay == 60.0
        story.check(REFUSED)


def test_a_connection_that_is_down_and_unused_is_checked_less_and_less() -> None:
    story = Story(UNUSED).check(GOOD, REFUSED, REFUSED, REFUSED)
    delays = [story.delay, *(story.check(REFUSED).delay for _ in range(3))]
    assert delays == [300.0, 600.0, 900.0, 900.0]
    assert story.check(GOOD).delay == 300.0


def test_news_are_only_told_of_important_connections() -> None:
    quiet = Story(UNUSED).check(GOOD, BAD_CONFIG, GOOD)
    loud = Story(IMPORTANT).check(GOOD, BAD_CONFIG, GOOD)
    assert [t.important for t in quiet.transitions] == [False, False, False]
    assert [t.important for t in loud.transitions] == [False, True, True]


def test_being_off_line_keeps_what_was_known_and_coming_back_to_it_is_no_news() -> None:
    story = Story().check(GOOD)
    for state, verdict in ((HealthState.HEALTHY, GOOD), (HealthState.UNHEALTHY, BAD_CONFIG)):
        story.check(verdict)
        step = policy.withheld(story.watched, story.tracked, policy.OFFLINE, "", at(story.time))
        assert (step.tracked.health.state, step.tracked.health.last_known) == (HealthState.UNKNOWN, state)
        assert step.transition is not None
        assert not step.transition.important
        again = policy.withheld(story.watched, step.tracked, policy.OFFLINE, "", at(story.time))
        assert again.transition is None
        story.tracked = step.tracked
        story.check(verdict)
        assert story.state is state
        assert not story.transitions[-1].important


def test_a_first_failure_after_being_off_line_is_shown_as_a_check_that_goes_on() -> None:
    story = Story().check(GOOD)
    story.tracked = policy.withheld(story.watched, story.tracked, policy.OFFLINE, "", at(story.time)).tracked
    story.check(REFUSED)
    assert (story.state, story.tracked.health.reason) == (HealthState.UNKNOWN, policy.CHECKING)


def test_coming_back_to_something_else_is_news() -> None:
    story = Story().check(GOOD)
    story.tracked = policy.withheld(story.watched, story.tracked, policy.OFFLINE, "", at(story.time)).tracked
    story.check(BAD_CONFIG)
    assert story.transitions[-1].important


def test_a_refusal_of_the_key_during_an_outage_is_confirmed_before_the_checks_end() -> None:
    story = Story().check(GOOD, REFUSED, REFUSED, REFUSED)
    told = len(story.transitions)
    story.check(REJECTED)
    assert (story.tracked.stopped, story.delay, len(story.transitions)) == (False, 30.0, told)
    story.check(REJECTED)
    assert (story.tracked.stopped, story.delay, len(story.transitions)) == (True, None, told + 1)
    assert story.tracked.health.reason == "invalid_key"


def test_what_was_red_before_a_restart_is_red_with_the_present_reason_at_the_first_failure() -> None:
    stored = Health(HealthState.UNHEALTHY, "refused", next_check_at=at(0).wall)
    story = Story(tracked=policy.restored(stored, at(0))).check(OVERLOADED)
    assert (story.state, story.tracked.health.reason) == (HealthState.UNHEALTHY, "http_503")
    assert (story.delay, story.transitions) == (60.0, [])


def test_two_failures_far_apart_are_not_the_three_that_are_needed() -> None:
    story = Story().check(GOOD, OVERLOADED).check(OVERLOADED, after=15.0)
    assert story.state is HealthState.HEALTHY
    assert story.check(OVERLOADED).state is HealthState.UNHEALTHY


def test_what_needs_no_confirmation_is_shown_at_once() -> None:
    healthy = Story().check(GOOD).tracked
    step = policy.judge(IMPORTANT, healthy, REFUSED, at(1), certain=True)
    assert step.tracked.health.state is HealthState.UNHEALTHY


@pytest.mark.parametrize("bad", [REFUSED, THROTTLED, REJECTED, FORBIDDEN, BAD_CONFIG])
def test_a_state_has_lasted_since_it_changed_and_its_failures_are_counted(bad: Verdict) -> None:
    story = Story().check(GOOD)
    begun = story.time
    story.check(GOOD)
    assert story.tracked.health.since == at(begun).wall
    while story.state is HealthState.HEALTHY:
        story.check(bad)
    begun, failures = story.time, story.tracked.health.consecutive_failures
    story.check(bad, after=100.0)
    assert story.tracked.health.since == at(begun).wall
    assert story.tracked.health.consecutive_failures == failures + 1
    away = policy.withheld(story.watched, story.tracked, policy.OFFLINE, "", at(5000)).tracked
    later = policy.withheld(story.watched, away, policy.OFFLINE, "", at(6000)).tracked
    assert later.health.since == at(5000).wall


def test_another_reason_for_amber_or_for_a_refusal_is_recorded_and_another_one_for_an_outage_is_not() -> None:
    amber = Story().check(THROTTLED, NO_CREDIT, NO_CREDIT)
    assert [change.reason for change in amber.transitions] == ["rate_limited", "credit"]
    blocked = Verdict(Outcome.PERMISSION, "blocked", http_status=403)
    refused = Story().check(FORBIDDEN, FORBIDDEN, blocked, blocked)
    assert [change.reason for change in refused.transitions] == ["region", "blocked"]
    outage = Story().check(REFUSED, REFUSED, REFUSED, OVERLOADED)
    assert [(change.reason, change.evidence) for change in outage.transitions] == [
        ("refused", "connection refused")
    ]


verdicts = st.sampled_from(
    [
        GOOD,
        REFUSED,
        TIMEOUT,
        FIREWALL,
        OVERLOADED,
        WRONG_URL,
        REJECTED,
        FORBIDDEN,
        NO_SCOPE,
        THROTTLED,
        NO_CREDIT,
    ]
)


@given(st.lists(st.tuples(verdicts, st.floats(0.0, 900.0)), max_size=40), st.booleans())
def test_whatever_happens(events: list[tuple[Verdict, float]], important: bool) -> None:
    """Green is proven by the last result, red by two or more failures; a planned check is never far off."""
    story = Story(IMPORTANT if important else UNUSED)
    failures = 0
    for verdict, wait in events:
        before = story.state
        story.check(verdict, after=wait)
        failures = 0 if verdict.ok else failures + 1
        health = story.tracked.health
        if verdict.ok:
            assert health.state is HealthState.HEALTHY
            assert health.consecutive_failures == 0
        if health.state is HealthState.UNHEALTHY and before is not HealthState.UNHEALTHY:
            assert failures >= 2
        changed = story.step is not None and story.step.transition is not None
        assert changed or health.state is before
        if story.delay is None:
            assert story.tracked.stopped
        else:
            assert 0.0 < story.delay <= 900.0
