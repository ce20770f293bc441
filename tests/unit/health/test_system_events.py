"""The routes of this computer, from files like those of the kernel, and announcements on a socket."""

import asyncio
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo_daemon.health import system_events
from nexo_daemon.health.system_events import KernelEvents
from surroundings import PATIENCE_S

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
OTHER_GATEWAY = DEFAULT.replace("0100A8C0", "FE00A8C0")
SUBNET = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
HALF_OF_A_VPN = "tun0\t00000000\t0101080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
TUNNEL_SUBNET = "wg0\t0000080A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
DOWN = DEFAULT.replace("\t0003\t", "\t0002\t")
REJECTED = DEFAULT.replace("\t0003\t", "\t0203\t")
ZEROS = "0" * 32
DEFAULT6 = f"{ZEROS} 00 {ZEROS} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003     eth0\n"
NONE6 = f"{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200       lo\n"


@pytest.mark.parametrize(
    ("routes4", "routes6", "routed"),
    [
        (SUBNET + DEFAULT, "", True),
        (SUBNET, NONE6, False),
        ("", DEFAULT6, True),
        (HALF_OF_A_VPN, "", True),
        (TUNNEL_SUBNET, "", True),
        (DOWN, "", False),
        (REJECTED, "", False),
        ("short line\n", "short line\n", False),
    ],
)
def test_whether_there_is_a_way_out(tmp_path: Path, routes4: str, routes6: str, routed: bool) -> None:
    (tmp_path / "route").write_text(HEAD + routes4)
    (tmp_path / "ipv6_route").write_text(routes6)
    assert KernelEvents(tmp_path).routed() is routed


def test_without_the_files_nobody_can_tell(tmp_path: Path) -> None:
    assert KernelEvents(tmp_path).routed() is None


def test_a_kernel_without_ipv6_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(HEAD + DEFAULT)
    assert KernelEvents(tmp_path).routed() is True


class Kernel:
    """The other end of the routing socket: a test may not change the routes of the computer it runs on."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.theirs.setblocking(False)

    async def announces(self) -> None:
        """Send a message, and wait until it was read and dealt with (both happen in one callback)."""
        self._ours.send(b"any message")
        async with asyncio.timeout(PATIENCE_S):
            while select.select([self.theirs], [], [], 0)[0]:
                await asyncio.sleep(0.001)

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel()
    monkeypatch.setattr(system_events, "_routing_socket", lambda: kernel.theirs)
    yield kernel
    kernel.close()


def test_only_another_way_out_is_news(tmp_path: Path, kernel: Kernel) -> None:
    routes = tmp_path / "route"
    told: list[str] = []

    async def scenario() -> None:
        computer = KernelEvents(tmp_path)
        routes.write_text(HEAD + SUBNET + DEFAULT)
        computer.start(lambda: told.append(routes.read_text().removeprefix(HEAD)), lambda: None)
        try:
            for now in (SUBNET + DEFAULT, DEFAULT, DEFAULT, OTHER_GATEWAY, "", OTHER_GATEWAY):
                routes.write_text(HEAD + now)
                await kernel.announces()
        finally:
            computer.stop()

    asyncio.run(scenario())
    assert told == [OTHER_GATEWAY, "", OTHER_GATEWAY]


def test_a_change_while_it_begins_to_listen_is_not_missed(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = tmp_path / "route"
    told: list[bool] = []

    def bind() -> socket.socket:
        routes.write_text(HEAD)
        return kernel.theirs

    async def scenario() -> None:
        routes.write_text(HEAD + DEFAULT)
        monkeypatch.setattr(system_events, "_routing_socket", bind)
        computer = KernelEvents(tmp_path)
        computer.start(lambda: told.append(computer.routed() is True), lambda: None)
        try:
            routes.write_text(HEAD + DEFAULT)
            await kernel.announces()
        finally:
            computer.stop()

    asyncio.run(scenario())
    assert told == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own announcements are Linux's")
def test_on_linux_nothing_polls_and_stopping_closes_what_was_opened() -> None:
    async def scenario() -> tuple[float | None, float | None, set[str], set[str]]:
        before = {entry.name for entry in Path("/proc/self/fd").iterdir()}
        computer = KernelEvents()
        computer.start(lambda: None, lambda: None)
        poll_s, asleep = computer.poll_every_s(), computer.asleep_s()
        computer.stop()
        return poll_s, asleep, before, {entry.name for entry in Path("/proc/self/fd").iterdir()}

    poll_s, asleep, before, after = asyncio.run(scenario())
    assert poll_s is None
    assert asleep is not None
    assert asleep > -0.1, "two clocks that are read one after the other"
    assert after == before
