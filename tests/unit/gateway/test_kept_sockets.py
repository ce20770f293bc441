"""The sockets that are taken from a service manager, and the notifications to it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nexo_daemon.kept_sockets import KeptSockets

Hand = Callable[..., KeptSockets]
FIRST = 500
"""Of a process that runs tests, 3 is taken."""


class Told(list[str]):
    def __call__(self, state: str, *file_descriptors: int) -> bool:
        self.append(state.replace("\n", " "))
        return True


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def hand(told: Told) -> Iterator[Hand]:
    """Hands over copies of file descriptors as systemd does: inheritable, in a row."""
    numbers: list[int] = []

    def handing(*given: int, **changes: str) -> KeptSockets:
        for place, number in enumerate(given):
            numbers.append(os.dup2(number, FIRST + place))
        environment = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(given)),
            "LISTEN_FDNAMES": ":".join(f"name{place}" for place in range(len(given))),
            "HOME": "/home/ann",
        } | changes
        kept = KeptSockets(environment, told, FIRST)
        assert environment == {"HOME": "/home/ann"}
        return kept

    yield handing
    for number in numbers:
        try:
            os.close(number)
        except OSError:
            continue


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_and_a_path_are_taken_and_no_child_inherits_them(
    hand: Hand, listening: socket.socket, tmp_path: Path
) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        kept = hand(listening.fileno(), unix.fileno())
    assert kept.problems == []
    for address in (listening.getsockname(), path):
        taken = kept.take(address)
        assert taken is not None
        with taken:
            assert taken.getsockname() == address
            assert not taken.get_inheritable()
        assert kept.take(address) is None


def test_what_is_handed_over_twice_is_one(hand: Hand, listening: socket.socket) -> None:
    kept = hand(listening.fileno(), listening.fileno())
    assert is_open(FIRST)
    assert not is_open(FIRST + 1)
    taken = kept.take(listening.getsockname())
    assert taken is not None
    taken.close()


def opened(what: str, stack: ExitStack) -> int:
    if what == "a file":
        return os.open(os.devnull, os.O_RDONLY)
    family = socket.AF_INET6 if what == "IPv6" else socket.AF_INET
    kind = socket.SOCK_DGRAM if what == "UDP" else socket.SOCK_STREAM
    one = stack.enter_context(socket.socket(family, kind, 262 if what == "MPTCP" else 0))
    one.bind(("::1" if what == "IPv6" else "127.0.0.1", 0))
    if what in ("IPv6", "MPTCP"):
        one.listen()
    return os.dup(one.fileno())


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("a file", "is not a socket"),
        ("UDP", "is neither a TCP socket"),
        ("IPv6", "is neither a TCP socket"),
        ("MPTCP", "is neither a TCP socket"),
        ("bound only", "does not listen"),
    ],
)
def test_anything_else_is_closed_and_named(hand: Hand, listening: socket.socket, what: str, why: str) -> None:
    with ExitStack() as stack:
        try:
            number = opened(what, stack)
        except OSError as error:
            pytest.skip(f"no {what} here: {error.strerror}")
        kept = hand(number, listening.fileno())
        os.close(number)
    (problem,) = kept.problems
    assert f"({'name0'!r})" in problem
    assert why in problem
    assert not is_open(FIRST)
    taken = kept.take(listening.getsockname())
    assert taken is not None
    taken.close()


def test_a_socket_that_another_account_made_is_closed(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.seteuid(4242)
        try:
            server = socket.create_server(("127.0.0.1", 0))
        finally:
            os.seteuid(0)
    else:
        server = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with server:
        kept = hand(server.fileno())
        assert kept.take(server.getsockname()) is None
    assert "was made by the account with uid" in kept.problems[0]
    assert not is_open(FIRST)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"LISTEN_PID": "1"}, "is for process '1'"),
        ({"LISTEN_PID": ""}, "is for process ''"),
        ({"LISTEN_FDS": "-1"}, "is not a number"),
        ({"LISTEN_FDS": "1000000000"}, "is not a number up to"),
        ({"LISTEN_FDS": ""}, ""),
    ],
)
def test_file_descriptors_that_are_not_for_this_process_are_left_alone(
    hand: Hand, listening: socket.socket, changes: dict[str, str], why: str
) -> None:
    kept = hand(listening.fileno(), **changes)
    assert [why in problem for problem in kept.problems] == ([True] if why else [])
    assert kept.take(listening.getsockname()) is None
    assert is_open(FIRST)


def test_a_number_behind_which_nothing_is_open_is_named(hand: Hand, listening: socket.socket) -> None:
    kept = hand(listening.fileno(), LISTEN_FDS="2", LISTEN_FDNAMES="")
    assert kept.problems == [f"file descriptor {FIRST + 1} ('') of the service manager is not open"]
    kept.let_go()


def test_what_nobody_takes_is_closed_and_not_kept(
    hand: Hand, listening: socket.socket, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    kept = hand(listening.fileno())
    port = listening.getsockname()[1]
    assert kept.take(("127.0.0.1", port + 1)) is None
    kept.refuse_rest()
    assert not is_open(FIRST)
    assert f"a socket at 127.0.0.1:{port}, where the gateway does not listen" in caplog.text
    assert told == ["FDSTOREREMOVE=1 FDNAME=name0"]


def test_what_is_kept_replaces_its_namesake_and_is_let_go_with_what_was_taken(
    hand: Hand, listening: socket.socket, told: Told
) -> None:
    kept = hand(listening.fileno())
    taken = kept.take(listening.getsockname())
    assert taken is not None
    taken.close()
    assert kept.keep("gateway-1", listening)
    assert told == ["FDSTOREREMOVE=1 FDNAME=gateway-1", "FDSTORE=1 FDNAME=gateway-1"]
    told.clear()
    kept.let_go()
    assert sorted(told) == ["FDSTOREREMOVE=1 FDNAME=gateway-1", "FDSTOREREMOVE=1 FDNAME=name0"]
    told.clear()
    kept.let_go()
    assert told == []
