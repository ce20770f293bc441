"""A process that has ended is not alive, whether or not somebody has waited for it."""

import os
import subprocess

import pytest

from nexo.connections import processes

pytestmark = pytest.mark.needs("linux")


def ended() -> "subprocess.Popen[bytes]":
    """A process that has ended, for which nobody has waited."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


def test_one_for_which_nobody_has_waited_is_not_alive() -> None:
    process = ended()
    assert not processes.alive(process.pid)
    process.wait()
    assert not processes.alive(process.pid)
    assert processes.alive(os.getpid())


def test_one_that_is_collected_during_the_question_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    process, kill = ended(), os.kill

    def collected(pid: int, number: int) -> None:
        kill(pid, number)
        process.wait()

    monkeypatch.setattr(os, "kill", collected)
    assert not processes.alive(process.pid)
    process.wait()
