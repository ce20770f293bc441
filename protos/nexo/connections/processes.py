"""Tells whether other processes are alive, their start times and command lines, and kills process groups.

No other module reads the process table (`/proc/PID`, or `ps`) or handles process groups.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    # Read first, because one that is collected in between is not alive either.
    with suppress(OSError, IndexError):
        if _stat(pid)[0] == "Z":
            return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def born(pid: int) -> str:
    """The start time of the process, which tells it from a later one with the same pid. Empty if unknown."""
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {_stat(pid)[19]}"
    return ""


def command_line(pid: int) -> str:
    """The process's command line; empty if unknown."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        # No /proc on macOS.
        return _told_by_ps("command=", pid)


def parent(pid: int) -> int:
    """The parent of a process; 0 if unknown."""
    said = _told_by_ps("ppid=", pid).strip()
    return int(said) if said.isdigit() else 0


def end_group(leader: int) -> None:
    """Kill the leader of a session and all processes in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def open_standard_files() -> None:
    """Open /dev/null as standard input, output and error of this process where they are closed.

    Otherwise the next files that it opens get these numbers: messages of libraries would be written into the
    lock file or into a socket.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` (proc(5)) after the program's name, which may contain any character."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()


def _told_by_ps(column: str, pid: int) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["ps", "-o", column, "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
