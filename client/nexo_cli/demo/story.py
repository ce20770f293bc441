"""The steps of `nexoctl demo`, in their order.

Only real parts: a separate daemon, nexoctl as a person would type it, a workspace in a separate process, the
example provider on loopback. Every claim is checked before it is printed; a step that fails ends the demo
with exit status 1. All files are in one temporary directory, which is removed at the end, also after Ctrl-C
or SIGTERM.
"""

import contextlib
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Self

from nexo.connections import python
from nexo.connections.terms import Provider
from nexo_cli.demo.faces import DemoAccount
from nexo_cli.demo.provider import BUSY, HOME, REVOKED, SLOW, WORK, ExampleProvider
from nexo_cli.format import Span, Style
from nexo_cli.terminal import Terminal

_PATIENCE_S = 20.0
_MODEL = "example-small"


class DemoError(Exception):
    """A step of the demo had another result than the demo claims; the text names the step and the result."""


def tell() -> int:
    """Runs the demo; returns 0, 1 if a step failed, 130 after Ctrl-C."""
    missing = python.missing(python.DAEMON_NEEDS)
    if missing:
        sys.stderr.write(
            f"The demo runs the real daemon, and {missing[0]} is not installed.\n"
            "Install it with: pip install 'nexo-connections[daemon]'\n"
        )
        return 1
    began = time.monotonic()
    try:
        with Interrupts() as interrupts, Stage(interrupts) as stage:
            _play(stage)
    except DemoError as problem:
        sys.stdout.flush()
        sys.stderr.write(f"\nThe demo stopped: {problem}\nAll its files were removed.\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.flush()
        sys.stderr.write("\nStopped. All files of the demo were removed.\n")
        return 130
    _say(
        f"Done in {time.monotonic() - began:.0f} s. The daemon has stopped, the directory is gone, and your "
        "own connections were never touched.",
        "Your turn: `nexoctl add` adds a connection, `nexoctl --help` lists the other commands.",
    )
    return 0


def _play(stage: "Stage") -> None:
    url = {provider: stage.provider.base_url(provider) for provider in Provider}
    _say(
        "Nexo Connections: one place for the LLM connections of all your programs.",
        f"Everything below is real and happens in {stage.directory}; your own data is not touched.",
    )

    _title("A provider to talk to")
    _say(
        f"A small example provider answers on {stage.provider.origin}, on this computer only. It knows a few "
        "keys: two good ones, one that was revoked, one that is over its rate limit, one that is slow."
    )

    _title("The daemon, which owns the connections")
    stage.start_daemon()
    stage.nexoctl("status")

    _title("Add connections; each is tested first")
    openai = ("--provider", "openai", "--base-url", url[Provider.OPENAI], "--model", _MODEL)
    anthropic = ("--provider", "anthropic", "--base-url", url[Provider.ANTHROPIC], "--model", _MODEL)
    stage.nexoctl("add", "work", *openai, key=WORK)
    stage.nexoctl("add", "home", *anthropic, key=HOME)
    stage.nexoctl("add", "far-away", *openai, key=SLOW)

    _title("A key that does not work says why, before anything is saved")
    stage.nexoctl("test", "--draft", *openai, key=REVOKED, expect=6)
    _say("A key over its rate limit is reported as limited, not as broken:")
    stage.nexoctl("test", "--draft", *anthropic, key=BUSY, expect=6)
    stage.nexoctl("list")

    _title("Choose the default; a program gets it")
    stage.nexoctl("default", "work")
    workspace = stage.start_workspace()
    _say(
        "A separate process (nexo_cli/demo/workspace.py) asked for its connection, and used it. It never "
        "saw a configuration file. It keeps running:"
    )
    workspace.expect(WORK)

    _title("Switch, and the running program follows")
    stage.nexoctl("default", "home")
    workspace.expect(HOME)
    _say("Another provider, another key, another wire format, and nobody restarted anything. Back again:")
    stage.nexoctl("default", "--undo")
    workspace.expect(WORK)
    workspace.stop()

    _title("A program that knows nothing of Nexo follows, too")
    stranger = stage.start_stranger()
    _say(
        "This one (nexo_cli/demo/stranger.py) read OPENAI_BASE_URL and OPENAI_API_KEY when it started, and "
        "never looks again. They lead to the local gateway, with a token that is worth nothing elsewhere:"
    )
    stranger.asks()
    stranger.expect(WORK)
    stage.nexoctl("default", "home")
    stranger.asks()
    stranger.expect(HOME)
    stage.nexoctl("usage", "--by", "connection", "--by", "program")
    stage.check_with_provider()

    _title("Clean up")


class DemoWorkspace:
    """A process that follows, and its output lines."""

    def __init__(self, command: list[str], env: dict[str, str], directory: Path) -> None:
        self.process = subprocess.Popen(
            command,
            env=env,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C goes to the demo, which then ends this process.
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue(maxsize=1000)
        assert self.process.stdout  # noqa: S101 - a pipe was asked for
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._lines.put(line.rstrip("\n"))
        self._lines.put("")

    def asks(self) -> None:
        """Make it ask a question."""
        assert self.process.stdin  # noqa: S101 - a pipe was asked for
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def expect(self, account: DemoAccount) -> None:
        """Wait until it prints that the provider billed `account`, and print that line."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, give_up - time.monotonic()))
            except queue.Empty:
                raise DemoError(
                    f"the workspace process did not switch to the account {account.name!r}"
                ) from None
            if not line:
                raise DemoError("the workspace process ended")
            print(f"  process {self.process.pid} | {line}", flush=True)
            if f"billed to the account {account.name!r}" in line:
                return

    def stop(self) -> None:
        """End the process; it gets two seconds to end by itself."""
        _end(self.process)
        self._reader.join(2)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


class Stage:
    """The temporary directory and everything that runs in it; leaving the context removes everything."""

    def __init__(self, interrupts: "Interrupts") -> None:
        self._interrupts = interrupts
        self.provider = ExampleProvider(slow_s=0.5)
        self.directory = Path(tempfile.mkdtemp(prefix="nexo-demo-"))
        self._daemon: subprocess.Popen[str] | None = None
        self._workspaces: list[DemoWorkspace] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of the demo's programs; no variable leads to the user's own data."""
        steering = ("NEXO_", "XDG_")
        proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(steering) and name.lower() not in proxies
        }
        return kept | {
            "HOME": str(self.directory),
            "NEXO_SOCKET": str(self.directory / "run" / "nexod.sock"),
            "NEXO_CONFIG_DIR": str(self.directory / "config"),
            "NEXO_DATA_DIR": str(self.directory / "data"),
            "NEXO_STATE_DIR": str(self.directory / "state"),
            # The demo must not use the person's keyring, so the demo's store has its key in a file.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }

    def start_daemon(self) -> None:
        """Start nexod and wait until it answers."""
        from nexo_client import connect
        from nexo_client.errors import NexoError

        _command("nexod --foreground &")
        env = self.env
        output = self.directory / "nexod.out"
        with output.open("wb") as file, self._interrupts.held():
            self._daemon = subprocess.Popen(
                python.of_ours("nexo_daemon", "--foreground"),
                env=env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with connect(env["NEXO_SOCKET"]) as client:
                    client.status()
                    return
            except NexoError:
                if self._daemon.poll() is None and time.monotonic() < give_up:
                    time.sleep(0.02)
                    continue
            said = output.read_text(errors="replace").strip().splitlines()
            raise DemoError(f"the daemon did not start: {said[-1] if said else 'it said nothing'}")

    def nexoctl(self, *words: str, key: DemoAccount | None = None, expect: int = 0) -> None:
        """Print a command, run it, and show its output.

        Args:
            key: given to the command in an environment variable, never in its arguments.
            expect: the demo stops if the exit status is another one.
        """
        shown, env = list(words), self.env
        if key:
            variable = f"{key.name.upper()}_KEY"
            env[variable] = key.key
            shown += ["--api-key-env", variable]
        _command(shlex.join(["nexoctl", *shown]))
        sys.stdout.flush()
        with self._interrupts.held():
            process = subprocess.Popen(
                python.of_ours("nexo_cli", "--no-start", *shown),
                env=env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
            )
        try:
            code = process.wait(_PATIENCE_S)
        finally:
            process.kill()
            process.wait()
        if code != expect:
            raise DemoError(f"`nexoctl {words[0]}` ended with exit status {code}, not {expect}")

    def start_workspace(self) -> DemoWorkspace:
        """Starts the program that follows."""
        return self._start(python.of_ours("nexo_cli.demo.workspace"))

    def start_stranger(self) -> DemoWorkspace:
        """Start the program that does not know about Nexo."""
        _command("nexoctl run -- python stranger.py")
        program = python.of_ours("nexo_cli.demo.stranger")
        return self._start(python.of_ours("nexo_cli", "--no-start", "run", "--", *program))

    def _start(self, command: list[str]) -> DemoWorkspace:
        with self._interrupts.held():
            self._workspaces.append(DemoWorkspace(command, self.env, self.directory))
        return self._workspaces[-1]

    def check_with_provider(self) -> None:
        """Check with the example provider which accounts the chat requests used, in their order."""
        billed = [
            one.account
            for one in self.provider.requests()
            if one.request.path.endswith(("completions", "messages"))
        ]
        if billed != [WORK.name, HOME.name, WORK.name, WORK.name, HOME.name]:
            raise DemoError(f"the provider billed {billed}")
        _say(f"The provider agrees; it billed: {', '.join(billed)}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of it behind; the cleanup takes a moment at most.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for workspace in self._workspaces:
            workspace.stop()
        if self._daemon:
            _end(self._daemon)
        self.provider.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Interrupts:
    """Make SIGTERM and a closed terminal clean up like Ctrl-C; on exit, restores the handlers."""

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._holding = False
        self._came = False

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        if not self._holding:
            raise KeyboardInterrupt
        self._came = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Delay interrupts, because one during the start of a process would leave an orphan."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._came:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in self._NUMBERS}
        for number in self._NUMBERS:
            signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _title(text: str) -> None:
    _strong(f"── {text}")


def _say(*paragraphs: str) -> None:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    for paragraph in paragraphs:
        print(textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False), flush=True)


def _command(text: str) -> None:
    _strong(f"$ {text}")


def _strong(line: str) -> None:
    print(flush=True)
    Terminal().out.line(Span(line, Style.STRONG))
