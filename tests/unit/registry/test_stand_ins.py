"""Who stands in while the winner is down, and when programs are moved back."""

from datetime import UTC, datetime, timedelta

from nexo.connections.terms import HealthState
from nexo_daemon.domain.model import Health
from nexo_daemon.registry.resolution import StandIn
from nexo_daemon.registry.stand_ins import RETURN_AFTER_S, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def health_board(since: float = 0.0, **states: str) -> dict[str, Health]:
    moment = NOW - timedelta(seconds=since)
    return {id_: Health(HealthState(state), "timeout", since=moment) for id_, state in states.items()}


def serves(
    winner: str,
    fallback: tuple[str, ...],
    health: dict[str, Health],
    now: datetime,
    previous: StandIn | None = None,
) -> str:
    return choose(winner, fallback, health, now, previous).connection_id


def test_off_by_default() -> None:
    assert choose("a", (), health_board(a="unhealthy", b="healthy"), NOW) == StandIn("a")


def test_a_well_winner_serves_itself() -> None:
    for state in ("healthy", "limited", "unknown"):
        assert serves("a", ("b",), health_board(a=state, b="healthy"), NOW) == "a"


def test_the_first_healthy_one_stands_in_and_says_why() -> None:
    choice = choose("a", ("a", "b", "c"), health_board(a="unhealthy", b="unknown", c="healthy"), NOW)
    assert choice.connection_id == "c"
    assert "unhealthy (timeout)" in choice.why


def test_a_limited_one_stands_in_only_if_none_is_healthy() -> None:
    assert serves("a", ("b", "c"), health_board(a="unhealthy", b="limited", c="healthy"), NOW) == "c"
    assert serves("a", ("b", "c"), health_board(a="unhealthy", b="limited", c="unhealthy"), NOW) == "b"


def test_if_all_are_down_the_original_serves_and_is_marked() -> None:
    choice = choose("a", ("b",), health_board(a="unhealthy", b="unhealthy"), NOW)
    assert choice.connection_id == "a"
    assert "every stand-in" in choice.why


def test_a_stand_in_that_is_well_is_kept() -> None:
    before = StandIn("c")
    assert serves("a", ("b", "c"), health_board(a="unhealthy", b="healthy", c="healthy"), NOW, before) == "c"
    assert (
        serves("a", ("b", "c"), health_board(a="unhealthy", b="healthy", c="unhealthy"), NOW, before) == "b"
    )
    assert serves("a", ("b",), health_board(a="unhealthy", b="healthy", c="healthy"), NOW, before) == "b"


def test_the_winner_returns_after_it_was_well_for_a_while() -> None:
    before = StandIn("b")
    early = choose("a", ("b",), health_board(RETURN_AFTER_S - 10, a="healthy", b="healthy"), NOW, before)
    assert early.connection_id == "b"
    assert early.revisit_at == NOW + timedelta(seconds=10)
    late = choose("a", ("b",), health_board(RETURN_AFTER_S, a="healthy", b="healthy"), NOW, early)
    assert late == StandIn("a")


def test_the_winner_returns_at_once_when_the_stand_in_fails() -> None:
    assert serves("a", ("b",), health_board(1, a="healthy", b="unhealthy"), NOW, StandIn("b")) == "a"


def test_being_off_line_moves_nobody() -> None:
    offline = health_board(a="unknown", b="unknown")
    assert serves("a", ("b",), offline, NOW, StandIn("b")) == "b"
    assert serves("a", ("b",), offline, NOW, StandIn("a")) == "a"


def test_a_clock_that_was_set_back_delays_the_return_by_no_more_than_the_rule() -> None:
    ahead = health_board(-86_400, a="healthy", b="healthy")
    choice = choose("a", ("b",), ahead, NOW, StandIn("b"))
    assert choice.revisit_at == NOW + timedelta(seconds=RETURN_AFTER_S)
