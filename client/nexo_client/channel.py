"""Finds and checks the socket of the daemon, explains why it cannot be reached, and has the channel options.

grpcio cannot show the credentials of a peer. The only protection is the private directory of the socket,
which is checked before a channel is created and again when a call reaches nobody.
"""

import os
import socket as sockets
import stat
from pathlib import Path

from nexo.connections import account, lock_note, paths
from nexo.connections.errors import REMEDIES
from nexo.connections.terms import Action
from nexo_client.errors import DaemonNotRunning, DaemonUnsafe, InvalidField, NexoError

START_HINT = f"start it with: {REMEDIES[Action.START_DAEMON].command}"
RESTART_HINT = (
    "it restores its socket within seconds: try again; if that does not help: nexoctl daemon restart"
)

OPTIONS: tuple[tuple[str, int | str], ...] = (
    # Otherwise grpc would use an HTTP proxy from the environment for the Unix socket.
    ("grpc.enable_http_proxy", 0),
    ("grpc.default_authority", "localhost"),
    # With the defaults, a channel needs seconds to find a restarted daemon. Attempts are cheap here.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Despite its name, this is the time limit of one attempt, from connecting to the first frame. It was half
    # a second when 64 programs started at once; a refused attempt ends immediately.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # Otherwise channels share subchannels, and a forked child would use those of its parent.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def unsafe(error: paths.UnsafePathError) -> DaemonUnsafe:
    """The error of the SDK for a path that cannot be used."""
    return DaemonUnsafe(str(error), hint=error.hint, metadata={"path": str(error.path)})


def locate(override: str | os.PathLike[str] | None = None) -> Path:
    """The socket of the daemon: `paths.socket_path`, or the one in its lock file if nobody listens there.

    XDG_RUNTIME_DIR in cron, `su` or a container may differ from that of the daemon. The lock file is not used
    if `override` or `NEXO_SOCKET` names a socket.

    Raises:
        DaemonUnsafe: there is no home directory for the default path.
        InvalidField: the path begins with the home of an unknown user, or is relative to a removed directory.
    """
    try:
        socket = paths.socket_path(override)
    except RuntimeError:
        raise InvalidField.of("socket", "there is no such home directory", "give the whole path") from None
    except FileNotFoundError:
        raise InvalidField.of("socket", "the current directory is gone", "give the whole path") from None
    except paths.UnsafePathError as error:
        raise unsafe(error) from None
    if override or os.environ.get("NEXO_SOCKET") or diagnose(socket) is None:
        return socket
    note = lock_note.living()
    if note is None or diagnose(Path(note.socket)) is not None:
        return socket
    return Path(note.socket)


def target(socket: Path) -> str:
    """The gRPC target of the socket."""
    return paths.grpc_name(socket)


def check(socket: Path) -> None:
    """Check that the socket exists and is private to this user, not whether anybody listens.

    Raises:
        InvalidField: the path is too long for this system.
        DaemonUnsafe: the directory or the socket belongs to another user or is accessible to others.
        DaemonNotRunning: there is no such socket.
    """
    try:
        paths.check_socket_path(socket)
    except paths.UnsafePathError as error:
        raise InvalidField(str(error), hint=error.hint, metadata={"field": "socket"}) from None
    try:
        paths.check_private_directory(socket.parent)
        info = socket.stat()
    except ValueError:
        raise InvalidField.of("socket", "the path has a zero byte in it", "remove it") from None
    except paths.UnsafePathError as error:
        raise unsafe(error) from None
    except (FileNotFoundError, NotADirectoryError):
        raise not_running(socket, "there is no such socket") from None
    except PermissionError:
        raise DaemonUnsafe(
            f"{socket}: permission denied: you have no access to that directory",
            hint=paths.hint_if_denied(socket)
            or f"chmod 700 '{socket.parent}', if it is yours; else choose another place with NEXO_SOCKET",
            metadata={"path": str(socket)},
        ) from None
    if not stat.S_ISSOCK(info.st_mode):
        raise DaemonUnsafe(
            f"{socket}: is not a socket", hint=f"move it away: mv '{socket}' '{socket}.old'"
        ) from None
    if problem := account.other_owner(info):
        hint = paths.hint_if_denied(socket) or "choose another place with NEXO_SOCKET"
        raise DaemonUnsafe(f"{socket}: {problem}", hint=hint)


def probe(socket: Path) -> None:
    """Check that a process of this user accepts connections on the socket.

    Raises:
        InvalidField, DaemonUnsafe: as `check`.
        DaemonNotRunning: there is no such socket, or nobody listens on it.
    """
    check(socket)
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as link:
        # If the queue of a listener is full, connecting fails with EAGAIN: it is running, but busy.
        link.setblocking(False)
        try:
            link.connect(os.fspath(socket))
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            raise not_running(
                socket, "the socket exists, but nothing listens on it (the daemon was killed)"
            ) from None
        except FileNotFoundError:
            raise not_running(socket, "there is no such socket") from None
        except PermissionError:
            raise DaemonUnsafe(
                f"{socket}: permission denied: this process may not connect to it",
                hint=f"check its permissions: ls -l '{socket}'; SELinux or AppArmor may also deny access",
                metadata={"path": str(socket)},
            ) from None
        except OSError as error:
            raise not_running(socket, error.strerror or "cannot connect") from None


def not_running(socket: Path, why: str) -> DaemonNotRunning:
    """The error for a daemon that cannot be reached. It may still be running."""
    note = lock_note.living()
    if note is not None and note.ready:
        problem, way = paths.borrowed_home()
        if problem:
            place, hint = problem, way
        elif note.socket != os.fspath(socket) and Path(note.socket).exists():
            place = f"it listens on {note.socket}, not on {socket}"
            hint = f"use that one (--socket '{note.socket}'), or end it: nexoctl daemon stop"
        else:
            place, hint = f"programs cannot find it at {socket}: {why}", RESTART_HINT
        return DaemonNotRunning(
            f"nexod (pid {note.pid}) is running, but {place}",
            hint=hint,
            metadata={"socket": str(socket), "pid": str(note.pid), "listens_on": note.socket},
        )
    return DaemonNotRunning(
        f"nexod is not running: {socket}: {why}", hint=START_HINT, metadata={"socket": str(socket)}
    )


def diagnose(socket: Path) -> NexoError | None:
    """The error that `probe` raises; None if it raises none."""
    try:
        probe(socket)
    except NexoError as error:
        return error
    return None
