"""`nexoctl daemon install`, `uninstall` and `status`: the daemon as a service of the login session.

Not a command; `daemon` lists these verbs.
"""

import argparse
import contextlib

from nexo.connections.values import frozen
from nexo_cli.cmds import status
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Cell, Span, Style
from nexo_cli.session import Session
from nexo_cli.stopping import replace_running, stop_running
from nexo_client import errors
from nexo_client.errors import ServiceFailed
from nexo_client.service import Manager, Standing, Unit, deviations, manager

_INSTALL = """\
Have the service manager start the daemon at login and restart it if it fails: a systemd user unit on
Linux, a launchd agent on macOS. Needs no administrator. Running it again brings the unit up to date and
restarts the daemon; connections and keys stay where they are.
"""
_UNINSTALL = """\
Stop the daemon and remove it from the service manager. Connections and keys stay where they are, and
commands that need the daemon start it themselves.
"""


def add_install(parser: argparse.ArgumentParser) -> None:
    """Options of install."""
    parser.description = _INSTALL
    parser.add_argument(
        "--no-now", action="store_true", help="start it from the next login on; leave a running daemon alone"
    )
    parser.set_defaults(run=install)


def add_uninstall(parser: argparse.ArgumentParser) -> None:
    """Options of uninstall."""
    parser.description = _UNINSTALL
    parser.set_defaults(run=uninstall)


def install(arguments: argparse.Namespace, session: Session) -> int:
    """Write the unit, then run the daemon under it."""
    found = _manager()
    unit = found.install(session.socket)
    pid = None
    if not arguments.no_now:
        _end_what_runs(session, arguments.timeout)
        pid = session.start_daemon(session.socket, timeout_s=arguments.timeout, quiet=True)
    standing = found.standing()
    if session.json:
        session.printer.json({"installed": True, "pid": pid, **_record(found, unit, standing)})
        return Exit.OK
    session.printer.line(Span("Installed", Style.GOOD), f" as a service of {found.name}: {unit.path}")
    for name, value in unit.environment.items():
        session.printer.line(Span(f"  with {name}={value}", Style.FAINT))
    if pid is not None:
        session.printer.line(f"nexod runs (pid {pid}), starts at login, and is restarted if it fails.")
    else:
        session.printer.line("nexod starts at the next login.")
    if found.name == "systemd" and not standing.outlives_logout:
        session.printer.line(
            Span("It stops when you log out; to keep it running: loginctl enable-linger", Style.FAINT)
        )
    return Exit.OK


def uninstall(arguments: argparse.Namespace, session: Session) -> int:
    """Stop the service and remove the files of `install`."""
    found = manager()
    # Without a unit, nothing has to be asked of a service manager, which may not be there.
    unit = _manager().uninstall() if found and found.installed() else None
    if session.json:
        session.printer.json({"installed": False, "removed": str(unit.path) if unit and unit.ours else None})
    elif unit is None:
        session.printer.line("The daemon is not installed as a service.")
    else:
        kept = "" if unit.ours else f" {unit.path} belongs to a package and stays; it is switched off."
        session.printer.line(Span("Uninstalled the service.", Style.GOOD), kept)
        session.printer.line("Your connections and keys were not changed.")
    return Exit.OK


def show(arguments: argparse.Namespace, session: Session) -> int:
    """Print the service, then the output of `nexoctl status`; exit code 3 if the daemon is not running."""
    service = _look(session)
    if not session.json:
        session.printer.fields([("Service", service.cell())])
    return status.show(session, {"service": service.record()})


@frozen
class _Service:
    manager: Manager | None
    unit: Unit | None
    standing: Standing
    problem: str
    foreign: bool

    def cell(self) -> Cell:
        if self.manager is None:
            return Span("no known service manager on this system", Style.FAINT)
        if self.unit is None:
            why = f" ({self.problem})" if self.problem else "; nexoctl daemon install"
            return Span(f"not installed{why}", Style.FAINT)
        if self.problem:
            return Span(f"installed, but {self.problem}", Style.WARNING)
        if self.foreign:
            return Span(f"{self.unit.path} is for another socket or other directories", Style.WARNING)
        state = self.standing
        good = state.state == "active"
        words = f"{state.state} under {self.manager.name}, " + (
            "at login" if state.enabled else "not at login"
        )
        if state.restarts:
            words += f", restarted {state.restarts}×"
        return (Span(words, Style.GOOD if good else Style.WARNING), Span(f"  {self.unit.path}", Style.FAINT))

    def record(self) -> dict[str, object] | None:
        if self.manager is None or self.unit is None:
            return None
        return _record(self.manager, self.unit, self.standing) | {"problem": self.problem or None}


def _look(session: Session) -> _Service:
    found = manager()
    if found is None:
        return _Service(None, None, Standing(), "", foreign=False)
    unit = found.installed()
    problem = found.problem()
    standing = Standing()
    if unit is not None and not problem:
        try:
            standing = found.standing()
        except ServiceFailed as failure:
            problem = failure.message
    foreign = unit is not None and unit.environment != deviations(session.socket)
    return _Service(found, unit, standing, problem, foreign)


def _record(found: Manager, unit: Unit, standing: Standing) -> dict[str, object]:
    return {
        "manager": found.name,
        "unit": str(unit.path),
        "packaged": not unit.ours,
        "environment": unit.environment,
        "state": standing.state or None,
        "at_login": standing.enabled,
        "service_pid": standing.pid,
        "restarts": standing.restarts,
        "outlives_logout": standing.outlives_logout,
    }


def _manager() -> Manager:
    found = manager()
    if found is None:
        raise CommandFailed(
            "this system has no service manager that nexoctl knows (systemd, launchd)",
            hint="nexoctl daemon start starts the daemon without one",
        )
    problem = found.problem()
    if problem:
        raise CommandFailed(
            f"the service manager can't be used: {problem}",
            hint="nexoctl daemon start starts the daemon without it",
        )
    return found


def _end_what_runs(session: Session, timeout_s: float) -> None:
    if replace_running(session.socket, timeout_s) is None:
        with contextlib.suppress(errors.ShuttingDown):
            stop_running(session, timeout_s)
