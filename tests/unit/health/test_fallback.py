"""Who stands in while the winner is down, and when programs are moved back."""

from datetime import UTC, datetime, timedelta

from nexo_client.terms import HealthState
from nexo_daemon.domain.model import Health
from nexo_daemon.health.fallback import RETURN_AFTER_S, Choice, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def lights(since: float = 0.0, **states: str) -> dict[str, Health]:
    moment = NOW - timedelta(seconds=since)
    return {id_: Health(HealthState(state), "timeout", since=moment) for id_, state in states.items()}


def test_off_by_default() -> None:
    assert choose("a", (), lights(a="unhealthy", b="healthy"), NOW) == Choice("a", "a")


def test_a_well_winner_serves_itself() -> None:
    for state in ("healthy", "limited", "unknown"):
        assert not choose("a", ("b",), lights(a=state, b="healthy"), NOW).stands_in


def test_the_first_healthy_one_stands_in_and_says_why() -> None:
    choice = choose("a", ("a", "b", "c"), lights(a="unhealthy", b="unknown", c="healthy"), NOW)
    assert choice.serving == "c"
    assert "unhealthy (timeout)" in choice.why


def test_a_limited_one_stands_in_only_if_none_is_healthy() -> None:
    assert choose("a", ("b", "c"), lights(a="unhealthy", b="limited", c="healthy"), NOW).serving == "c"
    assert choose("a", ("b", "c"), lights(a="unhealthy", b="limited", c="unhealthy"), NOW).serving == "b"


def test_if_all_are_down_the_original_serves_and_is_marked() -> None:
    choice = choose("a", ("b",), lights(a="unhealthy", b="unhealthy"), NOW)
    assert not choice.stands_in
    assert "every stand-in" in choice.why


def test_a_stand_in_that_is_well_is_kept() -> None:
    before = Choice("a", "c")
    assert (
        choose("a", ("b", "c"), lights(a="unhealthy", b="healthy", c="healthy"), NOW, before).serving == "c"
    )
    assert (
        choose("a", ("b", "c"), lights(a="unhealthy", b="healthy", c="unhealthy"), NOW, before).serving == "b"
    )
    assert choose("a", ("b",), lights(a="unhealthy", b="healthy", c="healthy"), NOW, before).serving == "b"


def test_the_winner_returns_after_it_was_well_for_a_while() -> None:
    before = Choice("a", "b")
    early = choose("a", ("b",), lights(RETURN_AFTER_S - 10, a="healthy", b="healthy"), NOW, before)
    assert early.serving == "b"
    assert early.revisit_at == NOW + timedelta(seconds=10)
    late = choose("a", ("b",), lights(RETURN_AFTER_S, a="healthy", b="healthy"), NOW, early)
    assert late == Choice("a", "a")


def test_the_winner_returns_at_once_when_the_stand_in_fails() -> None:
    assert not choose("a", ("b",), lights(1, a="healthy", b="unhealthy"), NOW, Choice("a", "b")).stands_in


def test_being_off_line_moves_nobody() -> None:
    offline = lights(a="unknown", b="unknown")
    assert choose("a", ("b",), offline, NOW, Choice("a", "b")).serving == "b"
    assert choose("a", ("b",), offline, NOW, Choice("a", "a")).serving == "a"


def test_a_clock_that_was_set_back_delays_the_return_by_no_more_than_the_rule() -> None:
    ahead = lights(-86_400, a="healthy", b="healthy")
    choice = choose("a", ("b",), ahead, NOW, Choice("a", "b"))
    assert choice.revisit_at == NOW + timedelta(seconds=RETURN_AFTER_S)
