"""Nexod as a service of the person's own session: systemd user unit or launchd agent.

`manager()` is the service manager of this computer. Not for starting the daemon without one (see
`nexo_client.launch`), and not for the autostart of the tray.
"""

import sys
from pathlib import Path

from nexo_client.service.manager import Manager, ServiceFailed, Standing, Unit, deviations

__all__ = ["Manager", "ServiceFailed", "Standing", "Unit", "deviations", "manager", "responsible"]


def manager(platform: str = sys.platform) -> Manager | None:
    """The service manager of a platform (this one); None where there is none that we know."""
    if platform.startswith("linux"):
        from nexo_client.service.systemd import Systemd

        return Systemd()
    if platform == "darwin":
        from nexo_client.service.launchd import Launchd

        return Launchd()
    return None


def responsible(socket: Path) -> Manager | None:
    """The service manager, if the daemon of this socket is installed there and it can be asked.

    None as well when the installed service keeps its data elsewhere than this process would: a daemon that
    somebody moved with `NEXO_DATA_DIR` for an experiment is not the one of the session.
    """
    found = manager()
    unit = found.installed() if found else None
    if found is None or unit is None or unit.environment != deviations(socket) or found.problem():
        return None
    return found
