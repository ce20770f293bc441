"""One program that opens streams without end takes none from the others."""

import pytest

from nexo.connections.errors import LimitReached
from nexo_daemon.rpc.shares import Shares


def test_a_program_gets_its_share_and_the_others_get_theirs() -> None:
    shares = Shares("streams", most=10, of_a_program=4)
    for _ in range(4):
        shares.take(7)
    with pytest.raises(LimitReached, match="pid 7 has 4 of the 10 streams"):
        shares.take(7)
    for _ in range(4):
        shares.take(0)
    with pytest.raises(LimitReached, match="do not identify themselves"):
        shares.take(0)
    shares.take(8)
    shares.take(9)
    with pytest.raises(LimitReached, match="10 streams already"):
        shares.take(10)


def test_what_is_given_back_is_there_again_and_nothing_is_kept_of_who_left() -> None:
    shares = Shares("streams", most=2, of_a_program=1)
    for pid in range(10_000):
        with shares.one_of(pid), pytest.raises(LimitReached):
            shares.take(pid)
    assert not shares._open
