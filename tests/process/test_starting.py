"""`connect(start=True)`: the daemon comes up by itself, once, and says why if it can't."""

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

import nexo_client
from nexo.connections import processes, python
from nexo_client import launch
from nexo_client.errors import DaemonNotRunning
from surroundings import PATIENCE_S, Surroundings, wait_for


@pytest.fixture
def here(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    """This process itself belongs to the surroundings; the daemon that it starts is stopped."""
    for name, value in surroundings.env.items():
        monkeypatch.setenv(name, value)
    yield surroundings
    try:
        with nexo_client.connect() as client:
            pid = client.shutdown()
    except DaemonNotRunning:
        return
    wait_for(lambda: not processes.alive(pid), "the daemon ends")


def test_without_start_the_error_names_socket_and_command(here: Surroundings) -> None:
    with pytest.raises(DaemonNotRunning) as away:
        nexo_client.connect()
    assert str(here.socket) in str(away.value)
    assert away.value.hint == "start it with: nexoctl daemon start"


def test_it_starts_a_process_of_its_own(here: Surroundings) -> None:
    with nexo_client.connect(start=True, timeout_s=PATIENCE_S) as client:
        status = client.status()
    assert status.pid != os.getpid()
    assert os.getsid(status.pid) == status.pid
    with nexo_client.connect(start=True) as again:
        assert again.status().pid == status.pid


def test_several_programs_that_start_it_at_once_get_the_same_one(here: Surroundings) -> None:
    pids: list[int] = []
    failures: list[Exception] = []

    def start() -> None:
        try:
            pids.append(launch.start_daemon(here.socket, timeout_s=PATIENCE_S))
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_a_socket_of_a_daemon_that_was_killed_is_no_obstacle(here: Surroundings) -> None:
    first = launch.start_daemon(str(here.socket), timeout_s=PATIENCE_S)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not processes.alive(first), "it is gone")
    assert here.socket.exists()
    second = launch.start_daemon(here.socket, timeout_s=PATIENCE_S)
    assert second != first


def test_why_it_could_not_start_is_one_sentence(here: Surroundings) -> None:
    here.data_dir.write_text("in the way")
    with pytest.raises(DaemonNotRunning) as failed:
        nexo_client.connect(start=True, timeout_s=PATIENCE_S)
    assert str(failed.value).startswith("nexod could not start: ")
    assert str(here.data_dir) in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert "\n" not in str(failed.value)
    assert failed.value.hint.startswith(f"move it away: mv '{here.data_dir}'")


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "DAEMON_NEEDS", ("nexo_daemon", "a_package_that_nobody_has"))
    with pytest.raises(DaemonNotRunning, match="a_package_that_nobody_has") as missing:
        nexo_client.connect(start=True)
    assert "nexo-connections[daemon]" in missing.value.hint


_UNTIL_READY = """
import os, sys
from nexo_daemon import notify

def ready(state):
    os.write(1, " ".join(sys.modules).encode())
    os._exit(0)

notify.notify = ready
from nexo_daemon.__main__ import main
main()
"""


def test_what_writes_and_asks_providers_is_loaded_after_the_first_answer(surroundings: Surroundings) -> None:
    nexod = surroundings.start_nexod()
    surroundings.nexoctl("add", "work", "--provider", "ollama", "--no-test")
    surroundings.nexoctl("workspace", "bind", "--workspace", "here", "work")
    surroundings.nexoctl("token", "add", "laptop")
    nexod.stop()
    loaded = set(surroundings.run([sys.executable, "-c", _UNTIL_READY]).out.split())
    assert "nexo_daemon.store.tables" in loaded
    later = (
        "sqlalchemy",
        "alembic",
        "keyring",
        "httpx",
        "httpcore2",
        "h11",
        "anyio",
        "uvicorn",
        "statistics",
    )
    assert loaded & {*later, "nexo_daemon.store.schema", "nexo_daemon.providers.tester"} == set()


_WRITES_NEVER = """
import sys, time

class Hangs:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "nexo_daemon.store.writing":
            print("hangs", flush=True)
            time.sleep(600)

sys.meta_path.insert(0, Hangs)
from nexo_daemon.__main__ import main
main()
"""


def test_a_call_that_asks_the_store_does_not_wait_for_what_writes(surroundings: Surroundings) -> None:
    surroundings.start_nexod().stop()
    nexod = surroundings.spawn([sys.executable, "-c", _WRITES_NEVER])
    assert nexod.stdout is not None
    assert b"hangs\n" in iter(nexod.stdout.readline, b"")
    with nexo_client.connect(surroundings.socket) as client:
        assert client.handouts() == ()
