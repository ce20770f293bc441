"""The context of a command: the common options, the terminal, the printer and the channel to the daemon."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nexo.connections.ranges import START_S
from nexo_cli.printer import Printer
from nexo_cli.terminal import Terminal
from nexo_client import errors

if TYPE_CHECKING:
    from nexo.connections.lock_note import Note
    from nexo_client.client import Client


class Session:
    """One run of nexoctl.

    Attributes:
        json: print records for programs; never ask a question.
        interactive: a person can be asked.
    """

    def __init__(self, arguments: argparse.Namespace, terminal: Terminal) -> None:
        self.json: bool = getattr(arguments, "json", False)
        self.verbose: bool = getattr(arguments, "verbose", False)
        self.may_start: bool = not getattr(arguments, "no_start", False)
        self._socket: str | None = getattr(arguments, "socket", None)
        self.terminal = terminal
        self.interactive = terminal.interactive and not self.json
        self.printer = Printer(terminal, json_errors=self.json)

    @property
    def socket(self) -> Path:
        """The socket of the daemon, from the options and the environment."""
        from nexo_client.channel import locate

        return locate(self._socket)

    @property
    def now(self) -> datetime:
        """The present time, for ages."""
        return datetime.now(UTC)

    @contextmanager
    def client(
        self, *, start: bool = True, timeout_s: float = 10.0, wait: bool = False, quiet: bool = False
    ) -> "Iterator[Client]":
        """A connected client, closed at exit.

        Args:
            start: start the daemon if it is not running, unless the person said `--no-start`.
            wait: show a spinner while waiting for the daemon; nothing may be printed meanwhile.
            quiet: do not print that the daemon was started, or has another version.

        Raises:
            DaemonNotRunning: it is not running, and was not started.
        """
        from nexo_client.client import connect

        socket = self.socket
        if self.verbose:
            self.printer.note(f"socket: {socket}")
        try:
            client = connect(socket, timeout_s=timeout_s)
        except errors.DaemonNotRunning as problem:
            if not (start and self.may_start):
                raise
            if self.verbose:
                self.printer.note(problem.message)
            self.start_daemon(socket, quiet=quiet)
            client = connect(self.socket, timeout_s=timeout_s)
        silent = self.json or quiet
        if not silent:
            self._say_skew()
        waiting = self.terminal.progress("waiting for the daemon") if wait else nullcontext()
        with client, waiting:
            yield client
        # Not earlier: if the command fails because of it, the error says the same.
        if not silent:
            self._say_trouble()

    def _say_skew(self) -> None:
        from nexo_cli.skew import untold_skew

        note = self._note()
        told = untold_skew(note) if note else ""
        if told:
            self.printer.warn(told)

    def _say_trouble(self) -> None:
        note = self._note()
        if note and note.problem:
            self.printer.warn(note.problem)

    def _note(self) -> "Note | None":
        from nexo.connections import lock_note

        note = lock_note.read()
        return note if note and note.socket == str(self.socket) else None

    def start_daemon(self, socket: Path, *, timeout_s: float = START_S, quiet: bool = False) -> int:
        """Start the daemon, print that (unless `quiet`), and return its process id."""
        from nexo.connections import lock_note
        from nexo_client.launch import start_daemon

        before = lock_note.living()
        with self.terminal.progress("starting the daemon"):
            pid = start_daemon(socket, timeout_s=timeout_s)
        if not quiet and before and before.pid == pid:
            self.printer.note(f"The daemon (nexod, pid {pid}) had lost its socket, and has created it again.")
        elif not quiet:
            self.printer.note(f"The daemon was not running; started nexod (pid {pid}).")
        return pid
