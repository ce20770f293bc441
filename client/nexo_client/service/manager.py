"""The interface of service managers, and the environment of a unit.

A unit is not started with the environment of the user's shell. Therefore paths that differ from the defaults
are written into the unit, and a unit is used only by processes with the same paths.
"""

from pathlib import Path
from typing import Protocol

from nexo.connections import account, paths, python
from nexo.connections.values import frozen

LABEL = "connections.nexo.nexod"


@frozen
class Unit:
    """The file that describes the service.

    Attributes:
        ours: `nexoctl daemon install` wrote it; otherwise it belongs to a package.
        environment: the variables with paths that it sets, by name.
        program: the program that it starts; empty if unknown.
        outdated: it is ours and differs from the unit that would be written now.
    """

    path: Path
    ours: bool
    environment: dict[str, str]
    program: str = ""
    outdated: bool = False


@frozen
class Standing:
    """The service manager's state of the daemon.

    Attributes:
        state: as the service manager calls it: "active", "inactive", "failed" … ; empty if unknown.
        enabled: the service starts at login.
        restarts: the number of automatic restarts.
        outlives_logout: the service keeps running when the user's last session ends.
    """

    state: str = ""
    enabled: bool = False
    pid: int | None = None
    restarts: int = 0
    outlives_logout: bool = False


class Manager(Protocol):
    """A service manager of the user's session. Every call has a deadline.

    Attributes:
        name: "systemd" or "launchd".
    """

    name: str

    def problem(self) -> str:
        """Why it cannot be used now; empty if it can."""

    def installed(self) -> Unit | None:
        """The installed unit; only reads files."""

    def standing(self) -> Standing:
        """The state of the daemon."""

    def install(self, socket: Path) -> Unit:
        """Write the unit, load it, and enable it at login. Does not start it now.

        Raises:
            ServiceFailed
        """

    def uninstall(self) -> Unit | None:
        """Stop the service and undo `install`; returns the unit that was installed."""

    def start(self, *, timeout_s: float) -> None:
        """Start the service and wait until it is ready.

        Raises:
            ServiceFailed: it did not become ready; the hint says where to find the reason.
        """

    def restart(self, *, timeout_s: float) -> bool:
        """Restart the daemon while clients of the gateway wait; False if this is not supported.

        Raises:
            ServiceFailed: as for `start`.
        """


def command() -> list[str]:
    """The command that starts this installation of the daemon."""
    return python.of_ours("nexo_daemon", "--foreground")


def deviations(socket: Path) -> dict[str, str]:
    """The paths of this process that differ from the defaults of a new session: variable -> path."""
    home = paths.home()
    state = home / ".local/state/nexo"
    runtime = Path(f"/run/user/{account.uid()}")
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
