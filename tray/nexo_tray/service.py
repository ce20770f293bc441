"""Whose is the daemon that the tray has started? `nexo_client.launch` starts it; here is who may stop it.

There is never a second one: the daemon's own lock sees to it.
"""

import os
from pathlib import Path

from nexo.connections import processes
from nexo_client.launch import start_daemon

_COMMAND_S = 5.0


def start(socket: Path, *, timeout_s: float = 20.0) -> bool:
    """Start the daemon of a socket and wait until it answers; by the service manager where it is installed.

    Returns whether it is a process of this tray, and not the service manager's or of somebody who was faster.

    Raises:
        DaemonNotRunning, DeadlineExceeded: it did not start; the text says why.
    """
    return processes.parent(start_daemon(socket, timeout_s=timeout_s)) == os.getpid()
