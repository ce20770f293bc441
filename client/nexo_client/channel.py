"""How the SDK reaches the daemon: which socket is trusted, why nobody answers, and the channel options.

grpcio shows no credentials of a peer, so the private directory of the socket is the whole trust: it is
checked before a channel is made, and again when a call finds nobody.
"""

import os
import socket as sockets
import stat
from pathlib import Path

from nexo.connections import lock_note, paths
from nexo.connections.errors import REMEDIES
from nexo.connections.terms import Action
from nexo_client.errors import DaemonNotRunning, DaemonUnsafe, InvalidField, NexoError

START_HINT = f"start it with: {REMEDIES[Action.START_DAEMON].command}"
RESTART_HINT = "it looks for its socket every two seconds: try again; if it stays so: nexoctl daemon restart"

OPTIONS: tuple[tuple[str, int | str], ...] = (
    # A proxy of the environment would be asked for the Unix socket.
    ("grpc.enable_http_proxy", 0),
    ("grpc.default_authority", "localhost"),
    # A default channel needs seconds to find a daemon that was away for seconds; trying costs little here.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Whatever its name says, the time that one attempt may take, from connecting to the first frame: on a
    # machine where 64 programs start at once that can be half a second (seen), and a refusal comes at once.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # Subchannels are shared between the channels of a process, and a forked child would get its parent's.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def locate(override: str | os.PathLike[str] | None = None) -> Path:
    """The socket of the daemon: as `paths.socket_path`, and where nobody listens there, as its lock says.

    A shell of cron, `su` or a container has another XDG_RUNTIME_DIR than the one that the daemon was started
    in. Whoever names a socket, by `override` or `NEXO_SOCKET`, gets that one.
    """
    try:
        socket = paths.socket_path(override)
    except paths.UnsafePathError as error:
        raise DaemonUnsafe(str(error), hint=error.hint, metadata={"path": str(error.path)}) from None
    if override or os.environ.get("NEXO_SOCKET") or diagnose(socket) is None:
        return socket
    note = lock_note.living()
    if note is None or diagnose(Path(note.socket)) is not None:
        return socket
    return Path(note.socket)


def target(socket: Path) -> str:
    """The name of the socket for grpc."""
    return paths.grpc_name(socket)


def check(socket: Path) -> None:
    """Return if the socket is ours alone; says nothing about who listens.

    Raises:
        InvalidField: the path is too long for this system.
        DaemonUnsafe: the directory or the socket is open to others, or belongs to them.
        DaemonNotRunning: there is no such socket.
    """
    try:
        paths.check_socket_path(socket)
    except paths.UnsafePathError as error:
        raise InvalidField(str(error), hint=error.hint, metadata={"field": "socket"}) from None
    try:
        paths.check_private_directory(socket.parent)
        info = socket.stat()
    except paths.UnsafePathError as error:
        raise DaemonUnsafe(str(error), hint=error.hint, metadata={"path": str(error.path)}) from None
    except (FileNotFoundError, NotADirectoryError):
        raise not_running(socket, "there is no such socket") from None
    except PermissionError:
        raise DaemonUnsafe(
            f"{socket}: permission denied: you may not look into that directory",
            hint=f"chmod 700 '{socket.parent}', if it is yours; else choose another place with NEXO_SOCKET",
            metadata={"path": str(socket)},
        ) from None
    if not stat.S_ISSOCK(info.st_mode):
        raise DaemonUnsafe(
            f"{socket}: is not a socket", hint=f"move it away: mv '{socket}' '{socket}.old'"
        ) from None
    if info.st_uid != os.geteuid():
        raise DaemonUnsafe(
            f"{socket}: belongs to user {info.st_uid}, not to you ({os.geteuid()})",
            hint="choose another place with NEXO_SOCKET",
        )


def probe(socket: Path) -> None:
    """Return if a process of this user accepts connections on the socket.

    Raises:
        InvalidField, DaemonUnsafe, DaemonNotRunning: as `check`; nobody listens.
    """
    check(socket)
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as link:
        # A listener whose queue is full answers EAGAIN at once: alive, and busy.
        link.setblocking(False)
        try:
            link.connect(os.fspath(socket))
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            raise not_running(
                socket, "a socket is there, but nothing listens on it (the daemon was killed)"
            ) from None
        except FileNotFoundError:
            raise not_running(socket, "there is no such socket") from None
        except PermissionError:
            raise DaemonUnsafe(
                f"{socket}: permission denied: this process may not connect to it",
                hint=f"look who may: ls -l '{socket}'; SELinux and AppArmor have a say, too",
                metadata={"path": str(socket)},
            ) from None
        except OSError as error:
            raise not_running(socket, error.strerror or "cannot connect") from None


def not_running(socket: Path, why: str) -> DaemonNotRunning:
    """The error of a daemon that does not answer, although it may live."""
    note = lock_note.living()
    if note is not None and note.ready:
        if note.socket != os.fspath(socket) and Path(note.socket).exists():
            place = f"it listens on {note.socket}, not on {socket}"
            hint = f"use that one (--socket '{note.socket}'), or end it: nexoctl daemon stop"
        else:
            place, hint = f"programs cannot find it at {socket}: {why}", RESTART_HINT
        return DaemonNotRunning(
            f"nexod (pid {note.pid}) lives, but {place}",
            hint=hint,
            metadata={"socket": str(socket), "pid": str(note.pid), "listens_on": note.socket},
        )
    return DaemonNotRunning(
        f"nexod is not running: {socket}: {why}", hint=START_HINT, metadata={"socket": str(socket)}
    )


def diagnose(socket: Path) -> NexoError | None:
    """Why nobody answers; None if somebody listens after all."""
    try:
        probe(socket)
    except NexoError as error:
        return error
    return None
