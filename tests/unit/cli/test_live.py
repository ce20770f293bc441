"""Lines that are redrawn while something runs, on a real pseudo-terminal."""

import contextlib
import os
import pty
import sys
import threading

import pytest

from nexo_cli.terminal import Terminal
from surroundings import wait_for


def test_a_terminal_that_goes_away_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with Terminal().block(lambda: ["under way"]) as block:
        shown = b""
        while b"under way" not in shown:
            shown += os.read(master, 1024)
        os.close(master)
        done: list[str] = []
        block.above(lambda: done.append("result"))
    assert done == ["result"]
    wait_for(lambda: set(threading.enumerate()) <= before, "nothing draws any more")
    with contextlib.suppress(OSError):
        stream.close()
