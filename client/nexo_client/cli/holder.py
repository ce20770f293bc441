"""Which process is the daemon, even if it does not answer? Read from its lock file, and made sure of.

The lock itself is not tried: whoever takes it for a moment, if only to look, can make a starting daemon give
up.
"""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from nexo_client import paths


@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon, as its lock file says."""

    pid: int
    socket: str


def find() -> Holder | None:
    """The daemon of this user; None if there is none, or if its pid belongs to another program by now."""
    try:
        note = json.loads(paths.lock_file().read_bytes()[:4096])
        holder = Holder(int(note["pid"]), str(note["socket"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return holder if alive(holder.pid) and "nexo" in _command_line(holder.pid) else None


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][:1]
        )
    except OSError:
        return True
    return state != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    """Wait until the process has ended; False if it has not in that time."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(pid: int, patience_s: float) -> bool:
    """Ask the process to end, then make it. What the daemon has acknowledged survives that."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if gone_within(pid, patience_s if number is signal.SIGTERM else 5.0):
            return True
    return False


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        # No /proc on macOS.
        done = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
        )
        return done.stdout
