"""Stops the daemon, whether it answers or not."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from nexo.connections import lock_note, paths
from nexo.connections.processes import alive
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.session import Session
from nexo_client import errors
from nexo_client.service import responsible

# A signal follows, which is an orderly stop, too.
_ASK_S = 3.0
# The daemon promises to stop within 5 s; a process that still runs then cannot even handle a signal.
_STOPS_WITHIN_S = 8.0


def stop_running(session: Session, timeout_s: float, *, force: bool = False) -> int | None:
    """Stop the daemon and wait until it is gone; returns its pid, None if it was not running.

    Args:
        force: kill the process if it does not answer or does not stop.
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
        _send(pid, signal.SIGTERM)
        timeout_s = min(timeout_s, _STOPS_WITHIN_S)
    with session.terminal.progress("waiting for the daemon to stop"):
        if _gone_within(pid, timeout_s):
            return pid
    if force and _ended(pid):
        return pid
    raise CommandFailed(
        f"nexod (pid {pid}) has not stopped within {timeout_s:g} s",
        hint="nexoctl daemon stop --force kills it; acknowledged changes are not lost",
        code=Exit.NO_DAEMON,
    )


def replace_running(socket: Path, timeout_s: float) -> int | None:
    """Let the service manager replace its daemon; returns the old pid, None if that is not possible.

    The daemon can then still be stopped and started, which reports why it fails.
    """
    service = responsible(socket)
    if service is None:
        return None
    try:
        pid = service.standing().pid
        return pid if pid is not None and service.restart(timeout_s=timeout_s) else None
    except errors.ServiceFailed:
        return None


def _require_nobody(problem: errors.NexoError) -> None:
    """Raise `problem` unless the lock is free: no process was found, so none may hold the lock either."""
    if lock_note.held():
        raise CommandFailed(
            f"a nexod that cannot be seen from here holds {paths.lock_file()}",
            hint="it runs in a container or under another user that shares this home: stop it there",
            code=Exit.NO_DAEMON,
        ) from None
    if not isinstance(problem, errors.DaemonNotRunning):
        raise problem


def _ended(pid: int) -> bool:
    """Ask the process to end, then kill it. Changes that the daemon has acknowledged survive that."""
    for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        _send(pid, number)
        if _gone_within(pid, seconds):
            return True
    return False


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
