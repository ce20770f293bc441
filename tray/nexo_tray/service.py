"""How does the tray get a daemon? The service manager first, if it knows `nexod`; else a process of its own.

There is never a second one: the daemon's own lock sees to it. Not for stopping.
"""

import enum
import os
import subprocess
import sys
from pathlib import Path

from nexo_client.errors import DaemonNotRunning
from nexo_client.launch import start_daemon

UNIT = "nexod.service"
LABEL = "connections.nexo.nexod"
_COMMAND_S = 20.0
_OVERRIDES = ("NEXO_SOCKET", "NEXO_CONFIG_DIR", "NEXO_DATA_DIR", "NEXO_STATE_DIR")


class StartedBy(enum.Enum):
    """Who is responsible for the daemon now."""

    SERVICE_MANAGER = "service manager"
    TRAY = "tray"
    SOMEBODY = "somebody else"


def start(socket: Path, *, chosen_socket: bool, timeout_s: float = 15.0) -> StartedBy:
    """Start the daemon and wait until it answers.

    Args:
        chosen_socket: the socket was chosen by flag; the service manager would serve the usual one.

    Raises:
        DaemonNotRunning, DeadlineExceeded: it did not start; the text says why.
    """
    own_places = chosen_socket or any(os.environ.get(name) for name in _OVERRIDES)
    if not own_places and _ask_service_manager():
        return StartedBy.SERVICE_MANAGER
    pid = start_daemon(socket, timeout_s=timeout_s)
    return StartedBy.TRAY if _parent(pid) == os.getpid() else StartedBy.SOMEBODY


def _ask_service_manager(platform: str = sys.platform) -> bool:
    """Whether a service manager knows the daemon; if so it is running when this returns."""
    if platform.startswith("linux"):
        if _run("systemctl", "--user", "--quiet", "cat", UNIT) is None:
            return False
        if _run("systemctl", "--user", "start", UNIT) is None:
            raise DaemonNotRunning(
                "the service manager could not start nexod",
                hint=f"see why: systemctl --user status {UNIT}",
            )
        return True
    if platform == "darwin":
        service = f"gui/{os.getuid()}/{LABEL}"
        if _run("launchctl", "print", service) is None:
            return False
        if _run("launchctl", "kickstart", service) is None:
            raise DaemonNotRunning(
                "launchd could not start nexod", hint=f"see why: launchctl print {service}"
            )
        return True
    return False


def _parent(pid: int) -> int:
    said = _run("ps", "-o", "ppid=", "-p", str(pid))
    return int(said) if said and said.strip().isdigit() else 0


def _run(*command: str) -> str | None:
    """What a command prints; None if it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
