"""A person is told each important change once, its end with the time it took, and nothing else."""

from datetime import timedelta

import pytest

from nexo.connections.terms import HealthState, KeyVerdict, Outcome
from nexo_client.errors import StoreReadOnly
from nexo_client.types import ConnectionHealth, DefaultSwitch, Health, TestResult
from nexo_tray import notices
from nexo_tray.icons import Look
from nexo_tray.notices import Notifier
from tray_states import NOW, connection, healthy, transition, unhealthy, unknown

GOOD, BAD, SLOW, DARK = HealthState.HEALTHY, HealthState.UNHEALTHY, HealthState.LIMITED, HealthState.UNKNOWN


def test_a_failure_is_told_with_reason_advice_and_where_a_click_leads():
    notice = Notifier().tell(transition(BAD))
    assert notice is not None
    assert (notice.title, notice.body) == ("work: key rejected", "Make a new key.")
    assert (notice.about, notice.urgent, notice.look) == ("id-work", True, Look.UNHEALTHY)


def test_the_same_transition_is_told_once():
    notifier = Notifier()
    assert notifier.tell(transition(BAD)) is not None
    assert notifier.tell(transition(BAD)) is None


def test_a_recovery_is_told_with_the_time_since_the_first_bad_news():
    notifier = Notifier()
    notifier.tell(transition(SLOW, at=NOW))
    notifier.tell(transition(BAD, before=SLOW, at=NOW + timedelta(minutes=2)))
    # The computer slept in between.
    assert notifier.tell(transition(DARK, before=BAD, at=NOW + timedelta(minutes=3))) is None
    back = notifier.tell(transition(GOOD, before=DARK, at=NOW + timedelta(minutes=12)))
    assert back is not None
    assert (back.title, back.body) == ("work works again", "After 12 min.")


def test_a_recovery_from_before_the_tray_came_up_uses_what_the_daemon_says():
    back = Notifier().tell(transition(GOOD, before=BAD, lasted_s=7200))
    assert back is not None
    assert back.body == "After 2 h."


@pytest.mark.parametrize(
    "change",
    [
        transition(BAD, important=False),
        transition(DARK),
        transition(GOOD, before=DARK),
        transition(GOOD, before=BAD, important=False),
    ],
)
def test_what_a_person_need_not_know_is_not_told(change):
    assert Notifier().tell(change) is None


def test_the_end_of_something_that_was_told_is_told_even_if_it_is_no_longer_important():
    notifier = Notifier()
    notifier.tell(transition(BAD))
    assert (
        notifier.tell(transition(GOOD, before=BAD, at=NOW + timedelta(seconds=40), important=False))
        is not None
    )


def test_connections_are_told_apart():
    notifier = Notifier()
    notifier.tell(transition(BAD, name="a"))
    assert notifier.tell(transition(BAD, name="b")) is not None


def test_a_refused_click_says_the_reason_and_the_next_step():
    notice = notices.refused(
        "Not switched to b", StoreReadOnly("the store is read-only", hint="nexoctl doctor")
    )
    assert notice.body == "the store is read-only nexoctl doctor"


def test_a_switch_is_told_only_if_something_is_wrong_with_the_new_default():
    fine = DefaultSwitch(connection("b"), None, 2, "", 0, ())
    assert notices.switched(fine) is None
    wrong = DefaultSwitch(connection("b"), None, 2, "its key was rejected", 0, ())
    told = notices.switched(wrong)
    assert told is not None
    assert told.about == "id-b"


def test_the_result_of_a_test_is_told():
    good = TestResult(
        "a", Outcome.OK, "", KeyVerdict.VERIFIED, (), proven=("reachable", "key_verified"), elapsed_s=0.3
    )
    assert notices.tested("a", good, "id-a").body == "Proven in 300 ms: reachable, key verified."
    bad = TestResult("a", Outcome.AUTH_ERROR, "invalid_key", KeyVerdict.UNVERIFIED, (), advice="New key.")
    told = notices.tested("a", bad, "id-a")
    assert (told.title, told.body) == ("a: key rejected", "New key.")


@pytest.mark.parametrize(
    ("lights", "title", "look"),
    [
        ((healthy(), healthy()), "2 of 2 connections work", Look.HEALTHY),
        ((healthy(), unhealthy()), "1 of 2 connections work", Look.UNHEALTHY),
        ((healthy(), unknown("disabled")), "The connection works", Look.HEALTHY),
        ((unhealthy(), unknown("disabled")), "The connection does not work", Look.UNHEALTHY),
        ((unknown("disabled"),), "Nothing was tested", Look.UNKNOWN),
    ],
)
def test_what_is_disabled_does_not_count_among_all(lights: tuple[Health, ...], title: str, look: Look):
    notice = notices.tested_all(ConnectionHealth("id", "name", health) for health in lights)
    assert (notice.title, notice.look) == (title, look)
