"""A daemon's life as an operating system sees it: locks, signals, kill -9, and what is left afterwards."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import nexo_client
from nexo.connections import processes
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import SLOW, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft, Header
from surroundings import PATIENCE_S, Surroundings, wait_for


def draft(name: str, provider: ExampleProvider, key: str = WORK.key) -> ConnectionDraft:
    return ConnectionDraft(
        name=name,
        provider="openai",
        base_url=provider.base_url(Provider.OPENAI),
        api_key=key,
        headers=(Header("X-Team", "blue"),),
        default_model="example-small",
    )


def test_what_was_acknowledged_survives_kill_9(surroundings: Surroundings, provider: ExampleProvider) -> None:
    first = surroundings.start_nexod()
    with first.client() as client:
        for number in range(5):
            client.create_connection(draft(f"number {number}", provider))
        client.delete_connection("number 3")
        client.set_default("number 4")
        client.bind("a-project", "number 1")
        revision = client.status().revision
    # The last call has been answered; from here on nothing may be lost.
    first.kill()
    assert surroundings.socket.exists(), (
        "kill -9 leaves the socket file behind, or this test proves less than it says"
    )

    second = surroundings.start_nexod()
    with second.client() as client:
        assert [one.name for one in client.list_connections()] == [f"number {n}" for n in (0, 1, 2, 4)]
        assert client.status().revision == revision
        resolved = client.resolve()
        assert (resolved.name, resolved.api_key, dict(resolved.headers)) == (
            "number 4",
            WORK.key,
            {"X-Team": "blue"},
        )
        assert client.resolve(workspace="a-project").name == "number 1"
    assert second.stop() == 0


def test_kill_9_in_the_middle_of_writing_leaves_whole_changes(
    surroundings: Surroundings, provider: ExampleProvider
) -> None:
    first = surroundings.start_nexod()
    acknowledged: list[str] = []

    def write() -> None:
        with first.client() as client:
            for number in range(10_000):
                try:
                    client.create_connection(draft(f"number {number}", provider))
                except nexo_client.NexoError:
                    return
                acknowledged.append(f"number {number}")

    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(acknowledged) >= 10, "ten connections are acknowledged")
    first.kill()
    writer.join(PATIENCE_S)
    assert not writer.is_alive()

    with surroundings.start_nexod().client() as client:
        found = [one.name for one in client.list_connections()]
        # One more than acknowledged may be there: committed, and killed before it could answer.
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) - len(acknowledged) in (0, 1)
        for name in found:
            assert client.resolve(name).api_key == WORK.key


def test_a_second_daemon_names_the_holder_of_the_lock_and_leaves_the_first_alone(
    surroundings: Surroundings,
) -> None:
    first = surroundings.start_nexod()
    second = surroundings.spawn_nexod()
    assert second.wait() == 1
    assert str(first.pid) in second.output
    assert "Traceback" not in second.output
    with first.client() as client:
        assert client.status().pid == first.pid
    # A third one with another socket still shares the data, so the lock holds it off too.
    third = surroundings.spawn_nexod("--socket", str(surroundings.home / "run" / "other.sock"))
    assert third.wait() == 1
    assert str(first.pid) in third.output


def test_a_file_that_is_no_socket_is_not_removed(surroundings: Surroundings) -> None:
    surroundings.socket.parent.mkdir(mode=0o700)
    surroundings.socket.write_text("somebody's notes")
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    assert str(surroundings.socket) in daemon.output
    assert surroundings.socket.read_text() == "somebody's notes"


def test_a_stale_socket_is_no_obstacle(surroundings: Surroundings) -> None:
    surroundings.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(surroundings.socket))
    daemon = surroundings.start_nexod()
    assert daemon.stop() == 0


def test_only_this_user_may_enter(surroundings: Surroundings) -> None:
    daemon = surroundings.start_nexod()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) & 0o077 == 0
    for directory in (
        daemon.socket.parent,
        surroundings.data_dir,
        surroundings.config_dir,
        surroundings.state_dir,
    ):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory
    for directory in (surroundings.data_dir, surroundings.config_dir, surroundings.state_dir):
        for path in directory.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_directory_that_others_may_enter_is_refused(surroundings: Surroundings) -> None:
    surroundings.socket.parent.mkdir()
    surroundings.socket.parent.chmod(0o755)
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    assert "chmod 700" in daemon.output
    assert "Traceback" not in daemon.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order_with_a_watcher_and_a_running_check(
    surroundings: Surroundings, provider: ExampleProvider, number: signal.Signals
) -> None:
    daemon = surroundings.start_nexod()
    ends: list[str] = []
    with daemon.client() as client:
        # The slow account answers long after: the check is still running when the signal comes.
        client.create_connection(draft("slow", provider, SLOW.key))
        with client.watch() as events:
            assert next(events).snapshot

            def read() -> None:
                ends.extend(event.ended for event in events if event.ended)

            reader = threading.Thread(target=read)
            reader.start()
            with threading_check(daemon.socket):
                wait_for(lambda: provider.waiting, "a check is running")
                daemon.signal(number)
                assert daemon.wait() == 0
                # It did not wait for the check: the provider has not answered yet.
                assert provider.waiting
            reader.join(PATIENCE_S)
            assert not reader.is_alive()
    assert ends == ["shutting_down"]
    assert not surroundings.socket.exists()
    assert "Traceback" not in daemon.output


class threading_check:  # noqa: N801 - used as a statement
    """`check_now` in a thread; whatever the daemon's end makes of it is fine, hanging is not."""

    def __init__(self, path: os.PathLike[str]) -> None:
        self._thread = threading.Thread(target=self._check, args=(path,))

    def _check(self, path: os.PathLike[str]) -> None:
        try:
            with nexo_client.connect(path) as client:
                client.check_now()
        except nexo_client.NexoError:
            pass

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def test_the_second_signal_ends_it_at_once(surroundings: Surroundings, provider: ExampleProvider) -> None:
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        client.create_connection(draft("slow", provider, SLOW.key))
    # Both arrive before it can have finished; which of them it sees first does not matter.
    daemon.process.send_signal(signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    daemon.process.send_signal(signal.SIGCONT)
    daemon.wait()
    with surroundings.start_nexod().client() as client:
        assert [one.name for one in client.list_connections()] == ["slow"]


@pytest.mark.parametrize("delay_s", [0.0, 0.15, 0.3, 0.45, 0.6, 0.9])
def test_a_stop_during_the_start_leaves_nothing_half_done(surroundings: Surroundings, delay_s: float) -> None:
    daemon = surroundings.spawn_nexod()
    # Moments of the start that nobody can wait for from outside: hence the clock.
    time.sleep(delay_s)
    daemon.signal(signal.SIGTERM)
    code = daemon.wait()
    # Before Python has come to our first line, the signal ends it the way it ends every program.
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in daemon.output
    assert surroundings.start_nexod().stop() == 0


TOLD_WHERE_EXCEPTIONS_ARE_LOST = """
import os, signal, sys, weakref
from nexo_daemon import __main__ as nexod

class Told:
    def find_spec(self, name, *_):
        if name == "nexo_daemon.main":
            gone = weakref.ref(Told(), lambda _: signal.raise_signal(signal.SIGTERM))

sys.meta_path.insert(0, Told())
sys.argv[1:] = ["--foreground"]
sys.exit(nexod.main())
"""


def test_a_stop_is_heard_where_python_loses_exceptions(surroundings: Surroundings) -> None:
    assert surroundings.run([sys.executable, "-c", TOLD_WHERE_EXCEPTIONS_ARE_LOST]).err == ""


def test_shutdown_by_call(surroundings: Surroundings) -> None:
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        assert client.shutdown() == daemon.pid
    assert daemon.wait() == 0
    assert not surroundings.socket.exists()


def test_nexoctl_stops_and_starts_it(surroundings: Surroundings) -> None:
    run = [sys.executable, "-m", "nexo_cli"]
    surroundings.run([*run, "daemon", "start"])
    try:
        first = surroundings.run([*run, "--json", "status"]).json["pid"]
        surroundings.run([*run, "daemon", "restart"])
        second = surroundings.run([*run, "--json", "status"]).json["pid"]
        assert first != second
    finally:
        surroundings.run([*run, "daemon", "stop"])
    assert surroundings.run([*run, "--no-start", "status"], expect=3).code == 3


def test_it_says_where_everything_is_without_starting(surroundings: Surroundings) -> None:
    said = surroundings.run([sys.executable, "-m", "nexo_daemon", "--help"]).out
    for place in ("NEXO_SOCKET", "NEXO_DATA_DIR", str(surroundings.socket), str(surroundings.data_dir)):
        assert place in said
    assert (
        surroundings.run([sys.executable, "-m", "nexo_daemon", "--version"])
        .out.strip()
        .endswith(nexo_client.__version__)
    )
    assert not surroundings.data_dir.exists()


def test_a_path_that_is_too_long_is_a_sentence(surroundings: Surroundings) -> None:
    daemon = surroundings.spawn_nexod("--socket", str(surroundings.home / ("x" * 120) / "nexod.sock"))
    assert daemon.wait() == 1
    assert "NEXO_SOCKET" in daemon.output
    assert "Traceback" not in daemon.output


def test_a_daemon_dies_with_the_tests_that_started_it(surroundings: Surroundings) -> None:
    """The surroundings keep their promise, or a crashed test run leaves daemons behind."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "from surroundings import Surroundings;"
        "print(Surroundings().start_nexod().pid, flush=True); os.kill(os.getpid(), 9)"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("prctl(2) is Linux's")
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent.parent)],
        env=surroundings.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    pid = int(done.stdout)
    wait_for(lambda: not processes.alive(pid), f"process {pid} is gone")
