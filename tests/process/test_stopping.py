"""A stop always ends: within five seconds, whatever hangs. And what hangs keeps nobody else waiting."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import nexo_client
from nexo_client.errors import DaemonNotRunning, KeyReferenceFailed, ShuttingDown
from nexo_client.types import ConnectionDraft
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

PROMISE_S = 5.0
# A busy machine may be late; a stop that waits for what hangs would take far longer.
SLACK_S = 15.0


@contextmanager
def hanging(daemon: Nexod, calls: str, path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """From now on these system calls of the daemon on a path take minutes, as on a mount that is away."""
    command = ["strace", "-f", "-p", str(daemon.pid), "-o", "/dev/null", "-P", str(path)]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter=300s"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            status = Path(f"/proc/{daemon.pid}/status")
            wait_for(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), "strace is attached")
            yield tracer
        finally:
            tracer.kill()


def ends_in_time(
    daemon: Nexod, number: int = signal.SIGTERM, tracer: "subprocess.Popen[bytes] | None" = None
) -> int:
    daemon.signal(number)
    state = Path(f"/proc/{daemon.pid}/stat")
    # A tracer that sleeps has not taken note of its threads' end, so the parent cannot collect it.
    wait_for(lambda: ") Z" in state.read_text(), "it has ended", patience_s=PROMISE_S + SLACK_S)
    if tracer is not None:
        tracer.kill()
    return daemon.wait()


def at_rest(surroundings: Surroundings, env: Mapping[str, str] | None = None) -> Nexod:
    """A daemon that no longer imports, which on a busy machine can take longer than a stop may."""
    daemon = surroundings.start_nexod(env=env)
    with nexo_client.connect(daemon.socket, timeout_s=PATIENCE_S) as client:
        client.create_connection(ConnectionDraft(name="a", provider="ollama"))
    return daemon


@pytest.mark.needs("linux", "strace")
def test_files_on_a_dead_mount_delay_nobody_and_no_stop(surroundings: Surroundings) -> None:
    dead = surroundings.home / "key"
    dead.write_text("sk-key-on-a-dead-mount\n")
    dead.chmod(0o600)
    alive = surroundings.home / "alive"
    alive.write_text("sk-key-on-a-live-disk\n")
    alive.chmod(0o600)
    daemon = surroundings.start_nexod()
    with (
        hanging(daemon, "openat", dead) as tracer,
        nexo_client.connect(daemon.socket, timeout_s=PATIENCE_S) as client,
    ):
        for number in range(8):
            client.create_connection(
                ConnectionDraft(name=f"dead {number}", provider="openai", api_key_ref=f"file:{dead}")
            )
        client.create_connection(
            ConnectionDraft(name="alive", provider="openai", api_key_ref=f"file:{alive}")
        )
        begun = time.monotonic()
        with pytest.raises(KeyReferenceFailed, match="could not be read within"):
            client.resolve("dead 0")
        assert time.monotonic() - begun < PATIENCE_S
        assert client.resolve("alive").api_key == "sk-key-on-a-live-disk"
        assert client.store.backups() == ()
        assert ends_in_time(daemon, tracer=tracer) == 0


@pytest.mark.needs("linux", "strace")
def test_a_disk_that_does_not_answer_does_not_keep_it_from_ending(surroundings: Surroundings) -> None:
    daemon = surroundings.start_nexod()
    log = surroundings.data_dir / "connections.db-wal"
    with (
        hanging(daemon, "fdatasync,fsync", log) as tracer,
        nexo_client.connect(daemon.socket, timeout_s=1.0) as client,
    ):
        with pytest.raises(nexo_client.NexoError):
            client.create_connection(ConnectionDraft(name="a", provider="ollama"))
        assert ends_in_time(daemon, tracer=tracer) == 0
    assert "did not end within" in daemon.output
    assert "store" in daemon.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_event_loop_that_hangs_does_not_keep_it_from_ending(
    surroundings: Surroundings, number: signal.Signals
) -> None:
    # A module that the start imports and that takes the loop for itself once the daemon answers.
    site = surroundings.home / "blocker"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import asyncio, pathlib, sys, time\n"
        "real = asyncio.wait\n"
        "async def wait(*words, **options):\n"
        "    tasks = [getattr(one, 'get_name', str)() for one in words[0]]\n"
        "    if 'stop' in tasks:\n"
        f"        pathlib.Path({str(site / 'blocked')!r}).touch()\n"
        "        time.sleep(300)\n"
        "    return await real(*words, **options)\n"
        "asyncio.wait = wait\n"
    )
    daemon = surroundings.spawn_nexod(env={"PYTHONPATH": str(site)})
    wait_for((site / "blocked").exists, "the event loop is blocked")
    assert ends_in_time(daemon, number) == 0


def test_a_hang_up_is_an_orderly_stop(surroundings: Surroundings) -> None:
    daemon = at_rest(surroundings)
    daemon.signal(signal.SIGHUP)
    assert daemon.wait() == 0
    assert "nexod stopped" in daemon.output
    assert not surroundings.socket.exists()


def test_programs_that_ask_and_change_while_it_stops_hear_that_it_is_away(
    surroundings: Surroundings,
) -> None:
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        client.create_connection(ConnectionDraft(name="a", provider="ollama", checks_paused=True))
    heard: list[nexo_client.NexoError] = []

    def call_until_it_is_away(
        call: Callable[[nexo_client.Client], object], all_call: threading.Barrier
    ) -> None:
        with nexo_client.connect(surroundings.socket) as client:
            call(client)
            all_call.wait(PATIENCE_S)
            try:
                while True:
                    call(client)
            except nexo_client.NexoError as error:
                heard.append(error)

    calls: list[Callable[[nexo_client.Client], object]] = [
        lambda client: client.get_connection("a"),
        lambda client: client.update_connection("a", ConnectionDraft(default_model="m")),
    ]
    all_call = threading.Barrier(4 * len(calls) + 1)
    programs = [threading.Thread(target=call_until_it_is_away, args=(call, all_call)) for call in 4 * calls]
    for program in programs:
        program.start()
    all_call.wait(PATIENCE_S)
    assert ends_in_time(daemon) == 0
    for program in programs:
        program.join(PATIENCE_S)
    assert len(heard) == len(programs)
    assert {type(error) for error in heard} <= {DaemonNotRunning, ShuttingDown}, heard


def test_under_a_service_manager_a_hang_up_has_it_started_again(surroundings: Surroundings) -> None:
    daemon = at_rest(surroundings, {"NOTIFY_SOCKET": str(surroundings.home / "nobody")})
    daemon.signal(signal.SIGHUP)
    assert daemon.wait() == 128 + signal.SIGHUP
    assert "nexod stopped" in daemon.output
