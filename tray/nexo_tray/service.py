"""Whose is the daemon that the tray has started? `nexo_client.launch` starts it; here is who may stop it.

There is never a second one: the daemon's own lock sees to it.
"""

import os
import subprocess
from pathlib import Path

from nexo_client.launch import start_daemon

_COMMAND_S = 5.0


def start(socket: Path, *, timeout_s: float = 20.0) -> bool:
    """Start the daemon of a socket and wait until it answers; by the service manager where it is installed.

    Returns whether it is a process of this tray, and not the service manager's or of somebody who was faster.

    Raises:
        DaemonNotRunning, DeadlineExceeded: it did not start; the text says why.
    """
    return _parent(start_daemon(socket, timeout_s=timeout_s)) == os.getpid()


def _parent(pid: int) -> int:
    """The parent of a process; 0 if that can't be learned. `ps` is POSIX, /proc is not."""
    try:
        said = subprocess.run(
            ["ps", "-o", "ppid=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return 0
    return int(said) if said.isdigit() else 0
