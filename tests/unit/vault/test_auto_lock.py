"""The vault locks automatically: when idle, at suspend, and with the screen; on a real bus."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from nexo.connections.errors import InvalidField
from nexo.connections.terms import VaultState
from nexo_daemon.domain.model import AutoLock
from nexo_daemon.registry.auto_lock import AutoLocker
from nexo_daemon.store.store import Store
from store_parts import HandClock, StorePlace
from surroundings import PATIENCE_S

pytestmark = pytest.mark.needs("bus")

OURS, THEIRS = "/org/freedesktop/login1/session/_31", "/org/freedesktop/login1/session/_32"
PROPERTIES = "org.freedesktop.DBus.Properties"


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A private bus in the place of the system's."""
    config = tmp_path / "bus.conf"
    config.write_text(
        "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/>'
        '<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>'
    )
    process = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"], stdout=subprocess.PIPE
    )
    assert process.stdout
    address = process.stdout.readline().decode().strip()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    process.kill()
    process.wait()
    process.stdout.close()


class Logind:
    """Answers ListSessions and whether a session is locked, and says what a test wants it to say."""

    def __init__(self, line: MessageBus, locked: str) -> None:
        self._line = line
        self._locked = locked
        self.asked = 0
        line.add_message_handler(self._answer)

    @classmethod
    @asynccontextmanager
    async def on(cls, address: str, locked: str = "") -> AsyncIterator["Logind"]:
        line = await MessageBus(address, BusType.SYSTEM).connect()
        logind = cls(line, locked)
        await line.request_name("org.freedesktop.login1")
        try:
            yield logind
        finally:
            line.disconnect()
            await line.wait_for_disconnect()

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "Get":
            assert message.body == ["org.freedesktop.login1.Session", "LockedHint"]
            return Message.new_method_return(message, "v", [Variant("b", message.path == self._locked)])
        if message.member != "ListSessions":
            return None
        self.asked += 1
        sessions = [["1", os.getuid(), "me", "", OURS], ["2", os.getuid() + 1, "ann", "", THEIRS]]
        return Message.new_method_return(message, "a(susso)", [sessions])

    async def says(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        await self._line.send(Message.new_signal(path, interface, member, signature, list(body)))

    async def sleeps(self, going: bool) -> None:
        manager = "org.freedesktop.login1.Manager"
        await self.says("/org/freedesktop/login1", manager, "PrepareForSleep", "b", going)

    async def locks(self, session: str) -> None:
        await self.says(session, "org.freedesktop.login1.Session", "Lock", "")

    async def hints(self, session: str, locked: bool) -> None:
        changed = {"LockedHint": Variant("b", locked)}
        interface = "org.freedesktop.login1.Session"
        await self.says(session, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, changed, [])


class Owner:
    """What an `AutoLocker` needs of the writer."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told = 0

    def vault_changed(self) -> None:
        self.told += 1

    def require_writable(self) -> None:
        pass

    async def on_store_thread(self, work: Callable[[], Any]) -> Any:
        return work()


class SteppedClock(HandClock):
    """Time passes when the test says so; whoever sleeps wakes when it has passed."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = asyncio.Event()
        self._asleep_s = 0.0

    def elapsed(self) -> float:
        return self.monotonic() + self._asleep_s

    def suspend(self, seconds: float) -> None:
        """The computer sleeps: timers stand still."""
        self._asleep_s += seconds

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        while self.monotonic() < end:
            self._moved.clear()
            await self._moved.wait()

    async def pass_by(self, seconds: float) -> None:
        self.turn(timedelta(seconds=seconds))
        self._moved.set()
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def running(locker: AutoLocker) -> AsyncIterator[None]:
    task = asyncio.create_task(locker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def locked(store: Store) -> bool:
    return store.vault.state is VaultState.LOCKED


def test_after_a_while_without_a_hand_out_it_locks_and_each_use_begins_anew(store: Store) -> None:
    async def live() -> None:
        clock = SteppedClock()
        used = clock.monotonic()
        owner = Owner(store)
        locker = AutoLocker(owner, clock, lambda: used)  # type: ignore[arg-type]  # all that it needs
        await locker.set(AutoLock(idle_s=600))
        async with running(locker):
            await clock.pass_by(0)
            await clock.pass_by(599)
            assert not locked(store)
            used = clock.monotonic()
            await clock.pass_by(599)
            assert not locked(store)
            await clock.pass_by(1)
            assert locked(store)
            assert "10 minutes" in store.vault.problem
            assert owner.told == 1
            store.key_manager.unlock()
            locker.used()
            await clock.pass_by(599)
            assert not locked(store)
            await locker.set(AutoLock())
            await clock.pass_by(100_000)
            assert not locked(store)

    asyncio.run(live())


def test_the_time_that_the_computer_sleeps_counts(store: Store) -> None:
    async def live() -> None:
        clock = SteppedClock()
        used = clock.elapsed()
        locker = AutoLocker(Owner(store), clock, lambda: used)  # type: ignore[arg-type]  # all that it needs
        await locker.set(AutoLock(idle_s=1800))
        async with running(locker):
            await clock.pass_by(60)
            clock.suspend(8 * 3600)
            await clock.pass_by(5)
            assert locked(store)

    asyncio.run(live())


@pytest.mark.parametrize("wanted", [True, False])
def test_a_suspend_that_nobody_could_report_counts_on_waking(
    store: Store, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    """The bus is away, so logind tells nothing."""

    async def live() -> None:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        clock = SteppedClock()
        locker = AutoLocker(Owner(store), clock, lambda: 0.0)  # type: ignore[arg-type]  # all that it needs
        clock.suspend(3600)
        await locker.set(AutoLock(on_suspend=wanted, on_screen_lock=True))
        async with running(locker):
            await until(lambda: "--idle" in locker.problem)
            await clock.pass_by(5)
            assert not locked(store)
            clock.suspend(60)
            await clock.pass_by(5)
            assert locked(store) is wanted
            store.key_manager.unlock()
            locker.used()
            await clock.pass_by(60)
            assert not locked(store)
            # Unlocked by hand just after waking, before it was looked at again.
            clock.suspend(60)
            locker.used()
            await clock.pass_by(60)
            assert not locked(store)

    asyncio.run(live())


SAID: dict[str, Callable[[Logind], Any]] = {
    "suspend": lambda logind: logind.sleeps(True),
    "screen lock": lambda logind: logind.locks(OURS),
    "the hint of a desktop": lambda logind: logind.hints(OURS, True),
}


@pytest.mark.parametrize("said", SAID)
def test_it_locks_when_logind_says_so_and_not_for_anybody_else(store: Store, bus: str, said: str) -> None:
    async def live() -> None:
        locker = AutoLocker(Owner(store), SteppedClock(), lambda: 0.0)  # type: ignore[arg-type]
        await locker.set(AutoLock(on_suspend=True, on_screen_lock=True))
        async with Logind.on(bus) as logind, running(locker):
            # Asked for the first time when its rules are in place, then about each signal of a session.
            await until(lambda: logind.asked == 1)
            await logind.sleeps(False)
            await logind.hints(OURS, False)
            await logind.locks(THEIRS)
            await logind.hints(THEIRS, True)
            await until(lambda: logind.asked == 3)
            assert not locked(store)
            await SAID[said](logind)
            await until(lambda: locked(store))

    asyncio.run(live())


def test_a_screen_that_was_locked_while_nobody_listened_locks_it(store: Store, bus: str) -> None:
    async def live() -> None:
        clock = SteppedClock()
        locker = AutoLocker(Owner(store), clock, lambda: 0.0)  # type: ignore[arg-type]  # all that it needs
        await locker.set(AutoLock(on_screen_lock=True))
        async with running(locker):
            async with Logind.on(bus, locked=THEIRS) as logind:
                # Each signal of a session is looked at after the state of the screens.
                await until(lambda: locker.problem == "" and logind.asked == 1)
                await logind.locks(THEIRS)
                await until(lambda: logind.asked == 2)
                assert not locked(store)
            # The signal, when logind does not answer, is lost.
            other = await MessageBus(bus, BusType.SYSTEM).connect()
            interface = "org.freedesktop.login1.Session"
            await other.send(Message.new_signal(OURS, interface, "Lock", "", []))
            await until(lambda: "--idle" in locker.problem)
            other.disconnect()
            assert not locked(store)
            async with Logind.on(bus, locked=OURS):
                await clock.pass_by(60)
                await until(lambda: locked(store))
                assert "screen" in store.vault.problem

    asyncio.run(live())


def test_without_logind_it_says_so_and_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def live() -> None:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        clock = SteppedClock()
        locker = AutoLocker(Owner(store), clock, lambda: 0.0)  # type: ignore[arg-type]
        await locker.set(AutoLock(on_suspend=True))
        async with running(locker):
            await until(lambda: "--idle" in locker.problem)
            await locker.set(AutoLock())
            await until(lambda: locker.problem == "")
            assert not locked(store)

    asyncio.run(live())


def test_the_setting_survives_a_restart_and_wrong_times_are_refused(place: StorePlace) -> None:
    async def live() -> None:
        store = place.open()
        locker = AutoLocker(Owner(store), SteppedClock(), lambda: 0.0)  # type: ignore[arg-type]
        for wrong in (0.0, 59.0, 31 * 86_400.0):
            with pytest.raises(InvalidField, match="idle"):
                await locker.set(AutoLock(idle_s=wrong))
        wanted = AutoLock(900.0, on_suspend=True, on_screen_lock=False)
        await locker.set(wanted)
        store.close()
        again = place.open()
        other = AutoLocker(Owner(again), HandClock(), lambda: 0.0)  # type: ignore[arg-type]
        await other.load()
        assert other.setting == wanted
        again.close()

    asyncio.run(live())
