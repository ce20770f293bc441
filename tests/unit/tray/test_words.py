"""Phrases about time are right, and say themselves how long they are."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections.phrases import phrase
from nexo_tray.words import RelativeTimes, lasted, latency
from tray_states import NOW, ago


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": 0}, "just now"),
        ({"seconds": 59}, "just now"),
        ({"seconds": 60}, "1 min ago"),
        ({"minutes": 4}, "2 min ago"),
        ({"minutes": 59}, "45 min ago"),
        ({"hours": 3, "minutes": 20}, "3 h ago"),
        ({"days": 1, "hours": 3}, "1 day ago"),
        ({"days": 40}, "40 days ago"),
        ({"seconds": -30}, "just now"),
    ],
)
def test_ages(span, text):
    assert RelativeTimes(NOW).ago(ago(**span)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (42, "42 s"),
        (0.4, "1 s"),
        (60, "60 s"),
        (61, "2 min"),
        (3599, "60 min"),
        (7000, "2 h"),
        (0, ""),
        (-5, ""),
    ],
)
def test_what_is_left(seconds, text):
    assert RelativeTimes(NOW).rest(NOW + timedelta(seconds=seconds)) == text


@given(st.floats(-100, 10_000_000), st.floats(0.001, 0.999))
def test_a_phrase_stays_the_same_until_it_says_so_and_changes_then(age_s, part):
    moment = ago(seconds=age_s)
    times = RelativeTimes(NOW)
    text = times.ago(moment)
    assert times.true_until is not None
    assert times.true_until > NOW
    between = NOW + (times.true_until - NOW) * part
    assert RelativeTimes(between).ago(moment) == text
    assert RelativeTimes(times.true_until).ago(moment) != text


@given(st.floats(0.01, 100_000))
def test_a_countdown_never_promises_less_than_is_left(left_s):
    moment = NOW + timedelta(seconds=left_s)
    times = RelativeTimes(NOW)
    number, unit = times.rest(moment).split()
    assert int(number) * {"s": 1, "min": 60, "h": 3600}[unit] >= (moment - NOW).total_seconds()
    assert times.true_until is not None
    assert NOW < times.true_until <= moment


def test_a_day_of_silence_wakes_the_tray_a_few_dozen_times_and_not_every_minute():
    moment, now, wakes = NOW, NOW, 0
    while now < NOW + timedelta(days=1):
        times = RelativeTimes(now)
        times.ago(moment)
        assert times.true_until is not None
        now, wakes = times.true_until, wakes + 1
    assert wakes < 40


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (40, "40 s"), (720, "12 min"), (11100, "3 h 5 min"), (7200, "2 h"), (187200, "2 d 4 h")],
)
def test_spans(seconds, text):
    assert lasted(seconds) == text


def test_latencies_and_unknown_words():
    assert latency(0.0123) == "12 ms"
    assert phrase("brand_new_reason") == "brand new reason"
