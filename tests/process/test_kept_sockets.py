"""The gateway's port and socket outlive the daemon in the hands of a service manager, which is played here.

A real systemd plays it in `packaging/deb/inside`.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Caller, add, ask
from nexo_client.types import Gateway
from ports import free_port
from surroundings import PATIENCE_S, Nexod, Surroundings

pytestmark = pytest.mark.needs("linux")

# sd_listen_fds(3): from 3 on, and the number of the process that they are for, which exec does not change.
_HAND_OVER = """
import fcntl, os, sys
count = int(sys.argv[1])
given = [int(number) for number in sys.argv[2:2 + count]]
aside = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 200) for number in given]
for number in given:
    os.set_inheritable(number, False)
for place, number in enumerate(aside):
    os.dup2(number, 3 + place)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ["LISTEN_FDS"] = str(count)
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


class ServiceManager:
    """Keeps what a daemon gives it (sd_notify(3), FDSTORE), and hands it to the next one."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._path = surroundings.home / "notify"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(self._path))
        self._channel.setblocking(False)
        self._kept: dict[str, list[int]] = {}

    @property
    def kept(self) -> dict[str, list[int]]:
        """File descriptors by name, once all that was said is read."""
        while True:
            try:
                said, file_descriptors, _, _ = socket.recv_fds(self._channel, 4096, 4)
            except BlockingIOError:
                return self._kept
            told = dict(line.split("=", 1) for line in said.decode().splitlines())
            if "FDSTORE" in told:
                self._kept.setdefault(told["FDNAME"], []).extend(file_descriptors)
            if "FDSTOREREMOVE" in told:
                self._close(self._kept.pop(told["FDNAME"], []))

    def start(self, *more: int, env: Mapping[str, str] | None = None) -> Nexod:
        """A daemon that is handed what was kept, and more."""
        names = [name for name, numbers in self.kept.items() for _ in numbers]
        numbers = [*(number for numbers in self.kept.values() for number in numbers), *more]
        said = {"NOTIFY_SOCKET": str(self._path), "LISTEN_FDNAMES": ":".join(names + ["more"] * len(more))}
        self._surroundings.prefix = (
            sys.executable,
            "-c",
            _HAND_OVER,
            str(len(numbers)),
            *map(str, numbers),
        )
        try:
            return self._surroundings.start_nexod(env=said | dict(env or {}), pass_fds=numbers)
        finally:
            self._surroundings.prefix = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for numbers in self.kept.values():
            self._close(numbers)
        self._channel.close()

    def _close(self, numbers: list[int]) -> None:
        for number in numbers:
            os.close(number)


@pytest.fixture
def manager(surroundings: Surroundings) -> Iterator[ServiceManager]:
    with ServiceManager(surroundings) as playing:
        yield playing


@pytest.fixture
def provider() -> Iterator[AnsweringServer]:
    def script(request: Request, _: socket.socket) -> bytes:
        return answer(200, b'{"object":"list","data":[]}')

    with AnsweringServer(script) as server:
        yield server


def in_use(nexod: Nexod, provider: AnsweringServer) -> tuple[Gateway, str]:
    """The gateway with a connection behind it, and a token that outlives a daemon."""
    with nexod.client() as client:
        add(client, "a", provider.origin + "/v1")
        named = client.gateway.create_token("editor")
        return client.gateway.switch(True), named.secret


def log(surroundings: Surroundings) -> str:
    return (surroundings.state_dir / "nexod.log").read_text()


def can_be_taken(port: int) -> bool:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            squatter.bind(("127.0.0.1", port))
            squatter.listen()
        except OSError:
            return False
        return True


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_programs_wait_while_it_restarts_and_nobody_takes_the_port(
    manager: ServiceManager, provider: AnsweringServer, end: str
) -> None:
    nexod = manager.start()
    gate, token = in_use(nexod, provider)
    path = Path(gate.socket_path)
    made = path.stat().st_ino
    for _ in range(2):
        nexod.stop() if end == "stop" else nexod.kill()
        assert sorted(manager.kept) == [f"gateway-{gate.port}", "gateway-socket"]
        assert not can_be_taken(gate.port)
        by_port = Caller(gate.port)
        by_port.request("POST", "/openai/v1/x", token, b"{}")
        by_path = subprocess.Popen(
            [
                "curl",
                "-sS",
                "--max-time",
                "30",
                "--unix-socket",
                path,
                f"http://localhost/t/{token}/openai/v1/models",
            ],
            stdout=subprocess.PIPE,
        )
        nexod = manager.start()
        assert by_port.reply().status == 200
        assert by_path.communicate(timeout=PATIENCE_S)[0] == b'{"object":"list","data":[]}'
        by_port.close()
        assert path.stat().st_ino == made
        assert ask(gate.port, "/openai/v1/x", token).status == 200


def test_switched_off_it_is_kept_by_nobody(manager: ServiceManager, provider: AnsweringServer) -> None:
    nexod = manager.start()
    gate, _ = in_use(nexod, provider)
    nexod.stop()
    nexod = manager.start()
    with nexod.client() as client:
        client.gateway.switch(False)
    assert manager.kept == {}
    assert can_be_taken(gate.port)
    assert not Path(gate.socket_path).exists()
    with nexod.client() as client:
        moved = client.gateway.switch(True, port=free_port())
        client.gateway.switch(True, port=gate.port)
    assert moved.listening
    assert sorted(manager.kept) == [f"gateway-{gate.port}", "gateway-socket"]
    assert can_be_taken(moved.port)


def test_callers_are_refused_where_the_gateway_does_not_go_on(
    manager: ServiceManager, surroundings: Surroundings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        port = waiting.getsockname()[1]
        caller = socket.create_connection(("127.0.0.1", port), timeout=30)
        manager.start(waiting.fileno())
    with caller, pytest.raises(ConnectionResetError):
        caller.recv(1)
    assert f"handed over a socket at 127.0.0.1:{port}, where the gateway does not listen" in log(surroundings)


def test_what_is_no_socket_of_the_gateway_is_named_and_it_listens_by_itself(
    manager: ServiceManager, provider: AnsweringServer, surroundings: Surroundings
) -> None:
    nexod = surroundings.start_nexod()
    gate, token = in_use(nexod, provider)
    nexod.stop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket() as bound,
        Path(os.devnull).open() as file,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
    ):
        datagrams.bind(("127.0.0.1", gate.port))
        bound.bind(("127.0.0.1", 0))
        nexod = manager.start(*(one.fileno() for one in (datagrams, bound, file, elsewhere)))
    assert ask(gate.port, "/openai/v1/x", token).status == 200
    for said in (
        "3 ('more') of the service manager is neither a TCP socket",
        "4 ('more') of the service manager does not listen",
        "5 ('more') of the service manager is not a socket",
        "where the gateway does not listen: closed",
    ):
        assert said in log(surroundings)
    assert sorted(manager.kept) == [f"gateway-{gate.port}", "gateway-socket"]


def test_sockets_that_are_for_another_process_are_left_alone(
    manager: ServiceManager, surroundings: Surroundings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        nexod = manager.start(theirs.fileno(), env={"LISTEN_PID": "1"})
    assert "LISTEN_FDS='1' is for process '1', not for this one: ignored" in log(surroundings)
    with nexod.client() as client:
        assert client.gateway.switch(True).listening
