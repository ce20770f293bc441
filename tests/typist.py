"""Acts as a person at a terminal: runs a program in a real pseudo-terminal, reads its output and types.

`text` is the output without colours and cursor movements; `raw` has them. Tests wait for text to appear, with
a deadline.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from surroundings import PATIENCE_S

# setsid and TIOCSCTTY make the terminal the controlling one: Ctrl-C becomes SIGINT, and /dev/tty works.
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


def on_screen(raw: str, rows: int = 1000) -> str:
    """What a terminal of that height shows at the end of an output, after what has scrolled out of it."""
    lines, at = [""], 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n)", raw.replace("\r", "")):
        up = re.fullmatch(r"\x1b\[(\d*)A", piece)
        if piece == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif up:
            at = max(at - int(up[1] or 1), len(lines) - rows, 0)
        elif piece == "\x1b[2K":
            lines[at] = ""
        elif not piece.startswith("\x1b"):
            lines[at] += piece
    while len(lines) > at + 1 and not lines[-1]:
        lines.pop()
    return "\n".join(line.rstrip() for line in lines)


class Typist:
    """One program in a pseudo-terminal; a context manager that leaves no process behind."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
            cwd=cwd,
        )
        os.close(slave)
        self.raw = ""
        self._bytes = b""
        self._seen = 0

    @property
    def text(self) -> str:
        """The output so far, without escape sequences."""
        return _ESCAPES.sub("", self.raw)

    def expect(self, wanted: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until `wanted` appears after what was expected before; returns what stood in between."""
        deadline = time.monotonic() + patience_s
        while True:
            position = self.text.find(wanted, self._seen)
            if position >= 0:
                before = self.text[self._seen : position]
                self._seen = position + len(wanted)
                return before
            assert self._read(deadline), f"{wanted!r} never came; the terminal shows:\n{self.text}"

    def shows(self, wanted: str) -> bool:
        """Whether the text is there by now; does not wait."""
        while select.select([self._master], [], [], 0)[0]:
            if not self._read(time.monotonic() + 1):
                break
        return wanted in self.text

    def program_pid(self) -> int:
        """The pid of the program (it takes the place of what took the terminal)."""
        return self.process.pid

    def modes(self) -> list[Any]:
        """The modes of the terminal, from tcgetattr."""
        return termios.tcgetattr(self._master)

    def type_in(self, text: str) -> None:
        """Press keys; the line break is Enter."""
        os.write(self._master, text.encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C, which the terminal turns into SIGINT."""
        self.type_in("\x03")

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + patience_s
        while self._read(deadline):
            pass
        return self.process.wait(patience_s)

    def _read(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:
            # Linux says EIO when the last program has closed its side.
            return False
        self._bytes += chunk
        self.raw = self._bytes.decode("utf-8", "replace")
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        os.close(self._master)
