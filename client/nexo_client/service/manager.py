"""What a service manager can do for us, and which places a unit has to be told.

A unit is started with another environment than a shell's. So whatever place differs from the default is
written into it, and a unit is used only by those who mean the same places.
"""

import os
from pathlib import Path
from typing import Protocol

from nexo.connections import paths, python
from nexo.connections.values import frozen

LABEL = "connections.nexo.nexod"


class ServiceFailed(Exception):
    """The service manager refused or could not be asked.

    Attributes:
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@frozen
class Unit:
    """The file that describes the service.

    Attributes:
        ours: `nexoctl daemon install` wrote it; otherwise a package did, and removes it.
        environment: the places that it tells the daemon.
        program: what it starts; empty if that can't be read.
        outdated: it is ours, and another one than would be written now.
    """

    path: Path
    ours: bool
    environment: dict[str, str]
    program: str = ""
    outdated: bool = False


@frozen
class Standing:
    """What the service manager knows of the daemon.

    Attributes:
        state: its own word for it: "active", "inactive", "failed" … ; empty if it can't be asked.
        enabled: it starts at login.
        outlives_logout: it goes on when the last session of the person ends.
    """

    state: str = ""
    enabled: bool = False
    pid: int | None = None
    restarts: int = 0
    outlives_logout: bool = False


class Manager(Protocol):
    """A service manager of the person's own session. Every call has a deadline.

    Attributes:
        name: "systemd" or "launchd".
    """

    name: str

    def problem(self) -> str:
        """Why it cannot be asked right now; empty if it can."""

    def installed(self) -> Unit | None:
        """The unit in force; only looks at files."""

    def standing(self) -> Standing:
        """What it knows of the daemon."""

    def install(self, socket: Path) -> Unit:
        """Write the unit, load it, and have it started at login. Does not start it now.

        Raises:
            ServiceFailed: it refused.
        """

    def uninstall(self) -> Unit | None:
        """Stop the service, and take back what `install` did; returns the unit that was there."""

    def start(self, *, timeout_s: float) -> None:
        """Start the service and wait until it is ready.

        Raises:
            ServiceFailed: it did not become ready; the text says where the reason stands.
        """

    def restart(self, *, timeout_s: float) -> bool:
        """Replace the daemon that runs, while callers of the gateway wait; False if it can't do that.

        Raises:
            ServiceFailed: as `start`.
        """


def command() -> list[str]:
    """What starts this very installation of the daemon."""
    return python.of_ours("nexo_daemon", "--foreground")


def deviations(socket: Path) -> dict[str, str]:
    """The places of this process that differ from those that a fresh session computes, by variable."""
    home = paths.home()
    state = home / ".local/state/nexo"
    runtime = Path(f"/run/user/{os.geteuid()}")
    usual = {
        "NEXO_SOCKET": (runtime / "nexo" if paths.is_private(runtime) else state / "run") / paths.SOCKET_NAME,
        "NEXO_CONFIG_DIR": home / ".config/nexo",
        "NEXO_DATA_DIR": home / ".local/share/nexo",
        "NEXO_STATE_DIR": state,
    }
    actual = {
        "NEXO_SOCKET": socket,
        "NEXO_CONFIG_DIR": paths.config_dir(),
        "NEXO_DATA_DIR": paths.data_dir(),
        "NEXO_STATE_DIR": paths.state_dir(),
    }
    return {name: str(place) for name, place in actual.items() if place != usual[name]}
