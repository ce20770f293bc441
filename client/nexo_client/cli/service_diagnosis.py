"""Is the daemon's service in order? One line for `nexoctl doctor`."""

from collections.abc import Iterator
from pathlib import Path

from nexo_client.cli.diagnosis import Finding, Level
from nexo_client.service import ServiceFailed, Standing, Unit, deviations, manager

_TOPIC = "service"


def service_findings(socket: Path) -> Iterator[Finding]:
    """How the service manager sees the daemon; nothing where there is no service manager that we know."""
    found = manager()
    if found is None:
        return
    unit = found.installed()
    if unit is None:
        yield Finding(_TOPIC, Level.OK, "not installed; the daemon is started by what needs it")
        return
    problem = found.problem()
    if problem:
        yield Finding(_TOPIC, Level.WARNING, f"installed, but {problem}", "log in to the desktop, or by ssh")
        return
    try:
        standing = found.standing()
    except ServiceFailed as failure:
        yield Finding(_TOPIC, Level.WARNING, failure.message, failure.hint)
        return
    yield _judged(unit, standing, socket)


def _judged(unit: Unit, standing: Standing, socket: Path) -> Finding:
    if unit.program and not Path(unit.program).exists():
        text = f"{unit.path} starts {unit.program}, which is not there any more"
        return Finding(_TOPIC, Level.BROKEN, text, "nexoctl daemon install")
    if unit.environment != deviations(socket):
        text = f"{unit.path} is for another socket or other directories than this shell"
        return Finding(_TOPIC, Level.WARNING, text, "unset the NEXO_… variables, or nexoctl daemon install")
    if unit.outdated:
        text = f"{unit.path} was written by another version or installation of Nexo Connections"
        return Finding(_TOPIC, Level.WARNING, text, "nexoctl daemon install")
    if standing.state == "failed":
        text = "the service manager gave up on the daemon"
        return Finding(_TOPIC, Level.BROKEN, text, "journalctl --user -u nexod, then nexoctl daemon start")
    if not standing.enabled:
        return Finding(_TOPIC, Level.WARNING, "it does not start at login", "nexoctl daemon install")
    restarts = f", restarted {standing.restarts}×" if standing.restarts else ""
    return Finding(_TOPIC, Level.OK, f"{standing.state or 'known'}{restarts} ({unit.path})")
