"""Starts the daemon and reports why it could not start.

If the daemon is installed as a service, the service manager starts it; otherwise it is started as a process.
`nexo_client.service` installs it.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from nexo.connections import limits, lock_note, paths, python, refusal
from nexo.connections.ranges import START_S
from nexo_client import background, channel
from nexo_client.errors import DaemonNotRunning, DeadlineExceeded, NexoError, ServiceFailed
from nexo_client.service import Manager, responsible

# How much of nexod's stderr is read; the reason for giving up is in its last lines.
_TAIL_BYTES = 4000

FOUND_AGAIN_S = 6.0
"""How long to wait for a running daemon that has lost its socket; it restores it every two seconds."""


def start_daemon(socket: str | os.PathLike[str], *, timeout_s: float = START_S) -> int:
    """Starts `nexod` and waits until it answers; returns its pid.

    The daemon outlives the caller. If two programs start it at the same time, one daemon remains, and both
    callers get its pid.

    Raises:
        DaemonNotRunning: the `daemon` extra is missing, or the daemon gave up; the message says why.
        DeadlineExceeded: it did not answer in time; it may still be starting.
        DaemonUnsafe, InvalidField: as for `connect`.
    """
    socket = channel.locate(socket)
    if paths.borrowed_home()[0] and lock_note.living():
        # The daemon of the person whose home it is: ours would wait for it, and then be refused.
        raise channel.not_running(socket, "there is no such socket")
    try:
        service = responsible(socket)
    except paths.UnsafePathError as error:
        raise channel.unsafe(error) from None
    if service is not None:
        return _start_service(service, socket, timeout_s)
    missing = python.missing(python.DAEMON_NEEDS)
    if missing:
        raise DaemonNotRunning(
            f"nexod is not running, and cannot be started from here: {missing[0]} is not installed",
            hint="install it with: pip install 'nexo-connections[daemon]'",
            metadata={"socket": str(socket)},
        )
    deadline = time.monotonic() + timeout_s
    # The default path is not passed on: the daemon computes it itself, as it can change with the session.
    place = [] if socket == paths.socket_path() else ["--socket", os.fspath(socket)]
    with _file_without_name() as said:
        try:
            process = background.start("nexo_daemon", "--background", *place, stderr=said)
        except OSError as problem:
            why = limits.refusal(problem)
            raise DaemonNotRunning(
                f"nexod cannot be started: {why.problem}", hint=why.hint, metadata={"socket": str(socket)}
            ) from None
        return _wait(process, socket, said, deadline, timeout_s)


def _file_without_name() -> IO[bytes]:
    """A file for nexod's stderr: a pipe would break when the caller ends, a name would have to be removed."""
    if hasattr(os, "memfd_create"):
        # In memory, because the disks may be full or read-only.
        return os.fdopen(os.memfd_create("nexod"), "w+b")
    return tempfile.TemporaryFile()


def _start_service(service: Manager, socket: Path, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    try:
        service.start(timeout_s=timeout_s)
    except ServiceFailed as failure:
        raise DaemonNotRunning(failure.message, hint=failure.hint, metadata={"socket": str(socket)}) from None
    while (pid := _answering(socket, deadline)) is None:
        if time.monotonic() + 0.05 > deadline:
            raise DeadlineExceeded(
                f"{service.name} has started nexod, and it did not answer on {socket} within {timeout_s:g} s",
                hint="its log says more: nexoctl daemon logs",
            )
        time.sleep(0.05)
    return pid


def _answering(socket: Path, deadline: float) -> int | None:
    try:
        channel.probe(socket)
        return _pid_of(socket, max(0.1, deadline - time.monotonic()))
    except DaemonNotRunning:
        return None


def _pid_of(socket: Path, timeout_s: float) -> int:
    import grpc

    from nexo.connections.v1 import daemon_pb2
    from nexo_client import calls, failures

    request = daemon_pb2.GetStatusRequest()
    method = calls.method(request)
    with grpc.insecure_channel(channel.target(socket), options=channel.OPTIONS) as line:
        try:
            answer = calls.sender(method, line.unary_unary)(request, timeout=timeout_s)
        except grpc.RpcError as failure:
            raise failures.translate(failure, socket, method.name) from None
    return int(answer.status.pid)


def _wait(
    process: "subprocess.Popen[bytes]", socket: Path, said: IO[bytes], deadline: float, timeout_s: float
) -> int:
    pause = 0.02
    place = None if socket == paths.socket_path() else socket
    lost_since = time.monotonic()
    while True:
        ended = process.poll()
        try:
            # The default path may have changed since, for example with a new session.
            pid = _answering(socket if ended is None else channel.locate(place), deadline)
        except DeadlineExceeded:
            break
        if pid is not None:
            if pid != process.pid:
                # Another daemon was faster. Ours would take over the lock when that one is stopped.
                process.terminate()
            return pid
        if ended is not None:
            other = lock_note.living()
            if other is None:
                raise _gave_up(socket, ended, said)
            if other.socket != os.fspath(socket) and place is not None:
                raise channel.not_running(socket, "there is no such socket")
            if other.ready:
                # The other daemon is not starting: it has lost its socket and will restore it.
                deadline = min(deadline, lost_since + FOUND_AGAIN_S)
        if time.monotonic() + pause > deadline:
            break
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    if ended is not None:
        raise channel.diagnose(socket) or channel.not_running(socket, "it did not answer in time")
    raise DeadlineExceeded(
        f"nexod (pid {process.pid}) was started and did not answer on {socket} within {timeout_s:g} s",
        hint="its log says more: nexoctl daemon logs",
    )


def _gave_up(socket: Path, code: int, said: IO[bytes]) -> NexoError:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _TAIL_BYTES))
    text = said.read().decode("utf-8", "replace")
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    why, hint = refusal.of_lines(text) or (last or f"it ended with code {code} and no message", "")
    return DaemonNotRunning(
        f"nexod could not start: {why}",
        hint=hint or "its log says more: nexoctl daemon logs",
        metadata={"socket": str(socket), "exit_code": str(code)},
    )
