"""Start, stop or restart the daemon, start it at login, see whether it runs, or read its log.

Commands that need the daemon start it by themselves; it then runs until it is stopped or you log out.
With `install`, the service manager of your session starts it at login and restarts it if it fails.
"""

import argparse

from nexo.connections import paths
from nexo.connections.ranges import LONGEST_S, START_S
from nexo_cli import tailing
from nexo_cli.cmds import service
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import number
from nexo_cli.session import Session
from nexo_cli.stopping import replace_running, stop_running
from nexo_client import errors


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(
        metavar="start|stop|restart|install|uninstall|status|logs", required=True, dest="verb"
    )
    start = verbs.add_parser("start", help="start it, if it is not running", description="Start the daemon.")
    start.set_defaults(run=_start)
    stop = verbs.add_parser("stop", help="stop it", description="Stop the daemon and wait until it is gone.")
    stop.set_defaults(run=_stop)
    restart = verbs.add_parser("restart", help="stop it and start it", description="Restart the daemon.")
    restart.set_defaults(run=_restart)
    install = verbs.add_parser("install", help="start it at login, and restart it if it fails")
    service.add_install(install)
    uninstall = verbs.add_parser("uninstall", help="remove it from the service manager")
    service.add_uninstall(uninstall)
    for verb in (start, stop, restart, install):
        verb.add_argument(
            "--timeout",
            type=number(float, 0.001, LONGEST_S),
            default=START_S,
            metavar="S",
            help="seconds to wait (default: %(default)g)",
        )
    for verb in (stop, restart):
        verb.add_argument("--force", action="store_true", help="kill it if it does not stop in time")
    state = verbs.add_parser(
        "status",
        help="like `nexoctl status`, with the service",
        description="Show the state of the daemon and of its service.",
    )
    state.set_defaults(run=service.show)
    logs = verbs.add_parser("logs", help="print its log", description="Print the end of the log.")
    logs.add_argument(
        "-n", "--lines", type=number(int, 0), default=50, metavar="N", help="how many lines (default: 50)"
    )
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines")
    logs.set_defaults(run=_logs)


def _running(session: Session) -> int | None:
    """The pid of the daemon that answers; None if none does."""
    try:
        with session.client(start=False) as client:
            return client.status().pid
    except errors.DaemonNotRunning:
        return None


def _start(arguments: argparse.Namespace, session: Session) -> int:
    pid = _running(session)
    started = pid is None
    if pid is None:
        pid = session.start_daemon(session.socket, timeout_s=arguments.timeout, quiet=True)
    if session.json:
        session.printer.json({"running": True, "pid": pid, "started": started, "socket": str(session.socket)})
    elif started:
        session.printer.line(Span("Started nexod", Style.GOOD), f" (pid {pid}) on {session.socket}")
    else:
        session.printer.line(f"nexod is running already (pid {pid}).")
    return Exit.OK


def _stop(arguments: argparse.Namespace, session: Session) -> int:
    pid = stop_running(session, arguments.timeout, force=arguments.force)
    if session.json:
        session.printer.json({"running": False, "pid": pid, "stopped": pid is not None})
    else:
        session.printer.line(f"Stopped nexod (pid {pid})." if pid is not None else "nexod was not running.")
    return Exit.OK


def _restart(arguments: argparse.Namespace, session: Session) -> int:
    old = replace_running(session.socket, arguments.timeout)
    if old is None:
        old = stop_running(session, arguments.timeout, force=arguments.force)
    pid = session.start_daemon(session.socket, timeout_s=arguments.timeout, quiet=True)
    if session.json:
        session.printer.json({"running": True, "pid": pid, "previous_pid": old})
    else:
        session.printer.line(Span("Restarted nexod", Style.GOOD), f" (pid {pid})")
    return Exit.OK


def _logs(arguments: argparse.Namespace, session: Session) -> int:
    path = paths.log_file()
    try:
        for line in tailing.tail(path, arguments.lines, follow=arguments.follow):
            if session.json:
                session.printer.json({"line": line}, one_line=True)
            else:
                session.printer.line(line)
    except FileNotFoundError:
        raise CommandFailed(
            f"there is no log yet: {path}", hint="start the daemon: nexoctl daemon start", code=Exit.NOT_FOUND
        ) from None
    return Exit.OK
