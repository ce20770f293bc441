"""Lines that are redrawn while something runs, on a real pseudo-terminal."""

import contextlib
import io
import os
import pty
import sys
import threading

import pytest

from nexo_cli.live import LivePicture
from nexo_cli.screen import Screen
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


def test_nothing_is_drawn_while_the_window_is_being_narrowed() -> None:
    """A terminal that wraps lines anew would keep a part of each drawing."""
    steps = [100]
    drawn = []

    def size() -> os.terminal_size:
        width = steps.pop(0) if len(steps) > 1 else steps[0]
        return os.terminal_size((width, 24))

    screen = Screen(io.StringIO(), colour=False, size=size)

    def rows() -> list[str]:
        drawn.append(screen.console.width)
        return ["under way"]

    picture = LivePicture(screen, rows, ascii_only=True)
    picture.show()
    steps[:] = [90, 80, 70, 60, 50]
    wait_for(lambda: 50 in drawn, "it is drawn again")
    picture.end()
    # The first step may come between the last look and its drawing.
    assert set(drawn) <= {100, 90, 50}
