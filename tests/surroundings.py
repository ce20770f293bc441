"""A temporary home in which tests run the real daemon and the real nexoctl.

Nothing in it outlives the test: the directories are removed, and the kernel kills a daemon whose test process
died. Tests wait for conditions, each with a deadline.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import nexo_client
import nursery
from nexo.connections import lock_note

T = TypeVar("T")

PATIENCE_S = 120.0
"""Longest time for anything on a busy machine before a test fails; not a statement about speed."""
SOON_S = 30.0
"""The same for what a running daemon does by itself every two seconds."""

# PR_SET_PDEATHSIG of prctl(2) survives exec, so the daemon itself need not do anything.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


def wait_for(condition: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """The first truthy value of `condition`; an AssertionError that names `what` after the deadline."""
    give_up = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up, f"waited {patience_s:.0f} s in vain: {what}"
        time.sleep(0.01)


class Finished:
    """A program that has ended."""

    def __init__(self, arguments: Sequence[str], code: int, out: str, err: str) -> None:
        self.arguments, self.code, self.out, self.err = list(arguments), code, out, err

    def __repr__(self) -> str:
        return f"{' '.join(self.arguments)} -> {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        """What it printed on standard output, parsed."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The `error` object that `nexoctl --json` prints on standard error."""
        lines = [line for line in self.err.splitlines() if line.startswith("{")]
        assert lines, f"no JSON on standard error: {self!r}"
        error = json.loads(lines[-1])["error"]
        assert isinstance(error, dict)
        return error


class Nexod:
    """A daemon process in its surroundings."""

    def __init__(self, surroundings: "Surroundings", process: subprocess.Popen[bytes], output: Path) -> None:
        self.surroundings, self.process, self._output = surroundings, process, output

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def socket(self) -> Path:
        return self.surroundings.socket

    @property
    def output(self) -> str:
        """What it wrote on standard output and standard error."""
        return self._output.read_text(errors="replace")

    def client(self) -> nexo_client.Client:
        """A new client of it, whose calls have time on a busy machine; the caller closes it."""
        return nexo_client.connect(self.socket, timeout_s=PATIENCE_S)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(patience_s)

    def stop(self) -> int:
        """SIGTERM, then its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL, so that it cannot clean up."""
        self.process.kill()
        self.wait()


class Surroundings:
    """A home with the daemon's directories; a context manager that leaves nothing behind.

    Attributes:
        prefix: command in front of every program, such as one that drops root.
        forks: whether nexod and nexoctl may be forked (see `nursery`); not in tests that use the command line
            or the initial environment that the kernel shows for a process.
    """

    prefix: Sequence[str] = ()
    forks = True

    def __init__(self) -> None:
        # Directly in /tmp, because a socket's path may have at most 107 bytes, and pytest's paths are longer.
        self.home = Path(tempfile.mkdtemp(prefix="nexo-test-"))
        self.socket = self.home / "run" / "nexod.sock"
        self.config_dir, self.data_dir, self.state_dir = (
            self.home / name for name in ("config", "data", "state")
        )
        self._daemons: list[Nexod] = []
        self._others: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment for programs in these surroundings."""
        return dict(os.environ) | {
            "HOME": str(self.home),
            "TMPDIR": str(self._directory("tmp")),
            "NEXO_SOCKET": str(self.socket),
            "NEXO_CONFIG_DIR": str(self.config_dir),
            "NEXO_DATA_DIR": str(self.data_dir),
            "NEXO_STATE_DIR": str(self.state_dir),
            # Without a keyring, the vault uses the key file. Tests of keyrings have their own session bus.
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }

    def _directory(self, name: str) -> Path:
        path = self.home / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def _start(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        *,
        wrapper: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        **how: Any,
    ) -> "subprocess.Popen[Any]":
        """Start a program here; `wrapper` is put in front of one that is not forked."""
        variables = self.env | dict(env or {})
        ours = list(command[2:]) if list(command[:2]) == [sys.executable, "-m"] else []
        if self.forks and not (self.prefix or pass_fds) and nursery.takes(ours, variables):
            return nursery.Forked(ours, env=variables, cwd=self.home, **how)
        whole = [*self.prefix, *wrapper, *command]
        return subprocess.Popen(whole, env=variables, cwd=self.home, pass_fds=pass_fds, **how)

    # -- the daemon

    def spawn_nexod(
        self, *flags: str, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> Nexod:
        """A daemon that has just been started; it may not answer yet, or ever."""
        output = self.home / f"nexod-{len(self._daemons)}.out"
        command = [sys.executable, "-m", "nexo_daemon", "--foreground", *flags]
        with output.open("wb") as file:
            process = self._start(
                command,
                env,
                wrapper=(sys.executable, "-c", _DIE_WITH_PARENT),
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        daemon = Nexod(self, process, output)
        self._daemons.append(daemon)
        return daemon

    def start_nexod(
        self, *flags: str, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> Nexod:
        """A daemon that answers."""
        daemon = self.spawn_nexod(*flags, env=env, pass_fds=pass_fds)

        def answers() -> bool:
            assert daemon.process.poll() is None, (
                f"nexod ended with {daemon.process.returncode}:\n{daemon.output}"
            )
            try:
                with daemon.client() as client:
                    return client.status().pid == daemon.pid
            except nexo_client.NexoError:
                return False

        wait_for(answers, "nexod answers")
        return daemon

    # -- other programs

    def nexoctl(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, expect: int | None = 0
    ) -> Finished:
        """Run nexoctl to its end; AssertionError unless it exits with `expect` (None: anything goes)."""
        command = [sys.executable, "-m", "nexo_cli", "--no-start", *arguments]
        return self.run(command, stdin=stdin, env=env, expect=expect)

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        expect: int | None = 0,
        patience_s: float = PATIENCE_S,
    ) -> Finished:
        """Run any program to its end."""
        with self._start(
            command, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout=patience_s)
            except BaseException:
                process.kill()
                raise
        finished = Finished(command, process.returncode, out, err)
        assert expect is None or finished.code == expect, f"expected exit status {expect}: {finished!r}"
        return finished

    def spawn(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start any program; it is killed with the surroundings. Its standard output is a pipe."""
        pipe = subprocess.PIPE
        process = self._start(command, env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        self._others.append(process)
        return process

    # -- its files and evidence

    def files(self) -> Iterator[Path]:
        """Every regular file in the home, including the daemon's output."""
        return (path for path in self.home.rglob("*") if path.is_file() and not path.is_symlink())

    def evidence(self) -> Iterator[tuple[str, str]]:
        """Titles and texts that help a person to understand a failure."""
        for number, daemon in enumerate(self._daemons):
            yield (
                f"nexod {number} (pid {daemon.pid}, exit status {daemon.process.poll()})",
                daemon.output[-20_000:],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [daemon.process for daemon in self._daemons] + self._others:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        self._kill_a_daemon_of_its_own()
        shutil.rmtree(self.home, ignore_errors=True)

    def _kill_a_daemon_of_its_own(self) -> None:
        """Kill a daemon that a program of the test started, as nexoctl, the tray and the page do."""
        with contextlib.suppress(OSError):
            note = lock_note.decode((self.state_dir / "nexod.lock").read_bytes())
            # Its pid may belong to another process by now.
            if note and os.fsencode(self.home) in Path(f"/proc/{note.pid}/environ").read_bytes():
                os.kill(note.pid, signal.SIGKILL)
