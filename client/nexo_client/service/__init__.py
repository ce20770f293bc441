"""Runs nexod as a service of the user's session: a systemd user unit or a launchd agent.

`nexo_client.launch` starts the daemon without a service manager.
"""

import sys
from pathlib import Path

from nexo_client.service.manager import Manager, Standing, Unit, deviations

__all__ = ["Manager", "Standing", "Unit", "deviations", "manager", "responsible"]


def manager(platform: str = sys.platform) -> Manager | None:
    """The service manager of a platform; None if it has none that is supported."""
    if platform.startswith("linux"):
        from nexo_client.service.systemd import Systemd

        return Systemd()
    if platform == "darwin":
        from nexo_client.service.launchd import Launchd

        return Launchd()
    return None


def responsible(socket: Path) -> Manager | None:
    """The service manager, if it can be used and the daemon of this socket is installed as its service.

    None if the installed service has other directories than this process: a daemon that was moved with
    `NEXO_DATA_DIR` for an experiment is not the service.
    """
    found = manager()
    unit = found.installed() if found else None
    if found is None or unit is None or unit.environment != deviations(socket) or found.problem():
        return None
    return found
