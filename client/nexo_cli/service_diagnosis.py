"""Is the daemon's service in order? One line for `nexoctl doctor`."""

from collections.abc import Iterator
from pathlib import Path

from nexo_cli.findings import DoctorFinding, Level
from nexo_client.errors import ServiceFailed
from nexo_client.service import Standing, Unit, deviations, manager, systemd
from nexo_client.types import Gateway

_TOPIC = "service"


def service_findings(socket: Path) -> Iterator[DoctorFinding]:
    """The service manager's view of the daemon; nothing if there is no known service manager."""
    found = manager()
    if found is None:
        return
    unit = found.installed()
    if unit is None:
        yield DoctorFinding(_TOPIC, Level.OK, "not installed; commands that need the daemon start it")
        return
    problem = found.problem()
    if problem and not unit.ours:
        yield DoctorFinding(_TOPIC, Level.OK, f"{problem}; commands that need the daemon start it")
        return
    if problem:
        fix = "log in to the desktop, or by ssh; without it, nexoctl daemon start starts the daemon"
        yield DoctorFinding(_TOPIC, Level.WARNING, f"installed, but {problem}", fix)
        return
    try:
        standing = found.standing()
    except ServiceFailed as failure:
        yield DoctorFinding(_TOPIC, Level.WARNING, failure.message, failure.hint)
        return
    yield _judged(unit, standing, socket)


def socket_unit_findings(gateway: Gateway) -> Iterator[DoctorFinding]:
    """Does systemd listen on another port than the gateway? A client that connects there would wait for
    ever.
    """
    found = systemd.ports_of_socket_unit()
    if found is None:
        return
    path, named = found
    here = f"127.0.0.1:{gateway.port}"
    if not gateway.on:
        yield DoctorFinding(
            "gateway",
            Level.WARNING,
            f"is not on, and {path} has systemd listen for it",
            f"nexoctl gateway on, or: systemctl --user disable --now {systemd.SOCKET_UNIT}",
        )
    elif named != [here]:
        yield DoctorFinding(
            "gateway",
            Level.WARNING,
            f"is at {here}, and {path} has systemd listen at {', '.join(named) or 'no port'}",
            f"write ListenStream={here} there; then: systemctl --user daemon-reload; nexoctl daemon stop; "
            f"systemctl --user restart {systemd.SOCKET_UNIT}",
        )


def _judged(unit: Unit, standing: Standing, socket: Path) -> DoctorFinding:
    if unit.program and not Path(unit.program).exists():
        text = f"{unit.path} starts {unit.program}, which is not there any more"
        return DoctorFinding(_TOPIC, Level.BROKEN, text, "nexoctl daemon install")
    if unit.environment != deviations(socket):
        text = f"{unit.path} has another socket or other directories than this shell"
        return DoctorFinding(
            _TOPIC, Level.WARNING, text, "unset the NEXO_… variables, or nexoctl daemon install"
        )
    if unit.outdated:
        text = f"{unit.path} was written by another version or installation of Nexo Connections"
        return DoctorFinding(_TOPIC, Level.WARNING, text, "nexoctl daemon install")
    if standing.state == "failed":
        text = "the service manager gave up on the daemon"
        return DoctorFinding(
            _TOPIC, Level.BROKEN, text, "journalctl --user -u nexod, then nexoctl daemon start"
        )
    if not standing.enabled:
        return DoctorFinding(_TOPIC, Level.WARNING, "it does not start at login", "nexoctl daemon install")
    restarts = f", restarted {standing.restarts}×" if standing.restarts else ""
    return DoctorFinding(_TOPIC, Level.OK, f"{standing.state or 'known'}{restarts} ({unit.path})")
