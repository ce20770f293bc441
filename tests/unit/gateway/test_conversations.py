"""A conversation is identified as programs mark it, and keeps its first connection while it continues."""

from datetime import timedelta

import pytest

from nexo_daemon.domain.model import WorkspaceKey, WorkspaceKind
from nexo_daemon.gateway import conversations
from nexo_daemon.gateway.conversations import Conversations
from nexo_gateway.conversation import conversation_of
from store_parts import HandClock, connection

HERE = WorkspaceKey(WorkspaceKind.NAME, "here")
HOUR = 3600.0
A, B = connection(1), connection(2)


@pytest.mark.parametrize(
    ("header", "same"),
    [
        ((b"x-claude-code-session-id", b"7"), True),
        ((b"thread-id", b"7"), True),
        ((b"session-id", b"7"), True),
        ((b"x-session-id", b"7"), False),
        ((b"session-id", b""), False),
    ],
)
def test_programs_name_it_in_a_header(header: tuple[bytes, bytes], same: bool) -> None:
    found = conversation_of([(b"host", b"x"), header], b'{"prompt_cache_key": 1}')
    assert bool(found) is same
    assert found != conversation_of([(header[0], b"8")], None) or not same


def test_else_in_the_body_at_the_top_of_it() -> None:
    one = conversation_of([], b'{"model":"m","input":[{"prompt_cache_key":"x"}],"prompt_cache_key":"one"}')
    assert one == conversation_of([], b'{"prompt_cache_key":"one"}')
    assert one != conversation_of([], b'{"prompt_cache_key":"two"}')
    for body in (
        None,
        b"",
        b"{}",
        b'{"a":{"prompt_cache_key":"one"}}',
        b'{"prompt_cache_key":""}',
        b'"prompt_cache_key"',
    ):
        assert conversation_of([], body) == ""


def test_the_first_good_answer_decides_and_rest_ends_it() -> None:
    clock = HandClock()
    known = Conversations(clock)
    assert known.begun(HERE, "c", HOUR) is None
    known.answered(HERE, "c", A)
    known.answered(HERE, "c", B)
    for _ in range(3):
        clock.turn(timedelta(minutes=59))
        begun = known.begun(HERE, "c", HOUR)
        assert begun is not None
        assert begun.connection_id == A.id
    assert known.begun(WorkspaceKey(WorkspaceKind.PATH, "here"), "c", HOUR) is None
    clock.turn(timedelta(minutes=61))
    assert known.begun(HERE, "c", HOUR) is None
    known.answered(HERE, "c", B)
    begun = known.begun(HERE, "c", HOUR)
    assert begun is not None
    assert begun.connection_id == B.id
    known.forget(HERE, "c")
    assert known.begun(HERE, "c", HOUR) is None


class WrongClock(HandClock):
    """A wall clock that a time server sets."""

    def monotonic(self) -> float:
        return 100.0


@pytest.mark.parametrize("by", [timedelta(days=20_000), timedelta(days=-20_000)])
def test_a_clock_that_is_set_does_not_move_a_conversation_to_another_account(by: timedelta) -> None:
    clock = WrongClock()
    known = Conversations(clock)
    known.answered(HERE, "c", A)
    clock.turn(by)
    assert known.begun(HERE, "c", HOUR) is not None


def test_the_one_that_rests_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "LIMIT", 2)
    known = Conversations(HandClock())
    for name in ("a", "b"):
        known.answered(HERE, name, A)
    known.begun(HERE, "a", HOUR)
    known.answered(HERE, "c", A)
    assert [name for name in "abc" if known.begun(HERE, name, HOUR)] == ["a", "c"]
