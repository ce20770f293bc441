"""Start, stop or restart the daemon, have it started at login, see whether it runs, or read its log.

Commands that need the daemon start it by themselves; it then runs until it is stopped or you log out.
With `install` the service manager of your session starts it at login and restarts it if it fails.
"""

import argparse

from nexo_client import errors, lock_note, paths
from nexo_client.cli import holder, tailing
from nexo_client.cli.cmds import service
from nexo_client.cli.errors import CommandFailed, Exit
from nexo_client.cli.format import Span, Style
from nexo_client.cli.session import Session

# A signal follows, which is an orderly stop as well.
_ASK_S = 3.0
# It promises 5 s, whatever hangs; what is not gone then cannot even read a signal.
_STOPS_WITHIN_S = 8.0


def configure(parser: argparse.ArgumentParser) -> None:
    """One subcommand a verb."""
    verbs = parser.add_subparsers(
        metavar="start|stop|restart|install|uninstall|status|logs", required=True, dest="verb"
    )
    start = verbs.add_parser("start", help="start it, if it is not running", description="Start the daemon.")
    start.set_defaults(run=_start)
    stop = verbs.add_parser("stop", help="stop it", description="Stop the daemon and wait until it is gone.")
    stop.set_defaults(run=_stop)
    restart = verbs.add_parser("restart", help="stop it and start it", description="Restart the daemon.")
    restart.set_defaults(run=_restart)
    install = verbs.add_parser("install", help="have it started at login and watched")
    service.add_install(install)
    uninstall = verbs.add_parser("uninstall", help="take it out of the service manager")
    service.add_uninstall(uninstall)
    for verb in (start, stop, restart, install):
        verb.add_argument(
            "--timeout", type=float, default=20.0, metavar="S", help="seconds to wait (default: 20)"
        )
    for verb in (stop, restart):
        verb.add_argument("--force", action="store_true", help="end it even if it does not answer")
    state = verbs.add_parser(
        "status",
        help="like `nexoctl status`, with the service",
        description="Show the state of the daemon and of its service.",
    )
    state.set_defaults(run=service.show)
    logs = verbs.add_parser("logs", help="print its log", description="Print the end of the log.")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="how many lines (default: 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
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
    old = stop_running(session, arguments.timeout, force=arguments.force)
    pid = session.start_daemon(session.socket, timeout_s=arguments.timeout, quiet=True)
    if session.json:
        session.printer.json({"running": True, "pid": pid, "previous_pid": old})
    else:
        session.printer.line(Span("Restarted nexod", Style.GOOD), f" (pid {pid})")
    return Exit.OK


def stop_running(session: Session, timeout_s: float, *, force: bool = False) -> int | None:
    """Stop the daemon and wait until it is gone; returns its pid, None if none was there.

    Args:
        force: end the process if it does not answer or does not stop.
    """
    try:
        with session.client(start=False, timeout_s=min(timeout_s, _ASK_S)) as client:
            pid = client.shutdown()
    except (errors.DaemonNotRunning, errors.DaemonUnsafe, errors.DeadlineExceeded) as problem:
        found = lock_note.living()
        if found is None:
            _require_nobody(problem)
            return None
        pid = found.pid
        holder.ask(pid)
        timeout_s = min(timeout_s, _STOPS_WITHIN_S)
    with session.terminal.progress("waiting for the daemon to stop"):
        if holder.gone_within(pid, timeout_s):
            return pid
    if force and holder.end(pid, patience_s=2.0):
        return pid
    raise CommandFailed(
        f"nexod (pid {pid}) has not stopped within {timeout_s:g} s",
        hint="nexoctl daemon stop --force ends it; nothing that it has acknowledged is lost",
        code=Exit.NO_DAEMON,
    )


def _require_nobody(problem: errors.NexoError) -> None:
    """No process is found that could be ended. That is fine only if nobody holds the lock either."""
    if lock_note.held():
        raise CommandFailed(
            f"a nexod that cannot be seen from here holds {paths.lock_file()}",
            hint="it runs in a container or under another user that shares this home: stop it there",
            code=Exit.NO_DAEMON,
        ) from None
    if not isinstance(problem, errors.DaemonNotRunning):
        raise problem


def _logs(arguments: argparse.Namespace, session: Session) -> int:
    path = paths.log_file()
    try:
        for line in tailing.tail(path, max(arguments.lines, 0), follow=arguments.follow):
            if session.json:
                session.printer.json({"line": line}, one_line=True)
            else:
                session.printer.line(line)
    except FileNotFoundError:
        raise CommandFailed(
            f"there is no log yet: {path}", hint="start the daemon: nexoctl daemon start", code=Exit.NOT_FOUND
        ) from None
    return Exit.OK
