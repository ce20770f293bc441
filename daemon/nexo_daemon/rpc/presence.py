"""Can programs find the daemon? Its socket is looked at, and made again where it was lost.

The end of the last session removes /run/user/UID, systemd-tmpfiles and `rm` remove files, a mount hides them:
a daemon that does not notice holds its lock, and nobody finds it.
"""

import logging
import os
import socket as sockets
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from nexo.connections.paths import (
    UnsafePathError,
    check_private_directory,
    check_socket_path,
    private_directory,
)
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.lanes import Lane
from nexo_daemon.lock import AlreadyRunning, InstanceLock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.store.files import Identity

log = logging.getLogger("nexod")

EVERY_S = 2.0
_LANE = Lane("socket", most=1, deadline_s=10.0)


class Bound(Protocol):
    """A socket that was bound."""

    @property
    def socket(self) -> Path: ...
    @property
    def identity(self) -> Identity: ...


class PresenceListener(Protocol):
    """What is bound, and binds again."""

    @property
    def door(self) -> Bound: ...
    async def start(self, socket: Path) -> None: ...


def check_free(socket: Path, ours: Collection[Identity] = ()) -> None:
    """Make the directory of a socket, and make sure that the name may be taken there.

    Raises:
        UnsafePathError: the path is too long, or its directory is not private.
        OSError: something that is no dead socket has the name.
    """
    check_socket_path(socket)
    private_directory(socket.parent)
    try:
        info = socket.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode):
        raise OSError(f"{socket} exists and is not a socket")
    if (info.st_dev, info.st_ino) not in ours and _somebody_listens(socket):
        raise OSError(f"another program listens on {socket}")


def _somebody_listens(socket: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as line:
        line.setblocking(False)
        try:
            line.connect(os.fspath(socket))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def loss(door: Bound) -> str:
    """Why programs do not find the door; empty if they do.

    Raises:
        UnsafePathError: it is there, and its directory is none that they trust.
    """
    try:
        info = door.socket.lstat()
        if (info.st_dev, info.st_ino) != door.identity:
            return "another file has its name"
        if stat.S_IMODE(info.st_mode) & 0o600 != 0o600:
            return "its permissions were taken away"
        check_private_directory(door.socket.parent)
    except OSError as error:
        return error.strerror or "it cannot be looked at"
    return ""


async def stay_present(
    server: PresenceListener,
    lock: InstanceLock,
    wanted: Callable[[], Path],
    moved: Callable[[Path], None],
    clock: Clock,
) -> None:
    """Until cancelled: bind again where the socket was lost, or where programs look for it by now.

    Ends when another daemon has taken the lock, whose file was removed: two would write one store.

    Args:
        wanted: where they look.
        moved: told where they find it.
    """
    failure = StandingFailure(log, "programs do not find the daemon")
    while True:
        await clock.sleep(EVERY_S)
        try:
            await _LANE.join("lock", lambda: lock.keep(server.door.socket))
            target, why = await _LANE.join("look", lambda: (wanted(), loss(server.door)))
            if target != server.door.socket:
                why = f"programs look for it at {target} now"
            if why:
                await server.start(target)
                moved(target)
                log.warning("the socket was lost (%s); bound again: %s", why, target)
            failure.is_over()
        except AlreadyRunning as error:
            log.critical("the lock was removed, and another daemon has it by now: %s", error)
            return
        except UnsafePathError as error:
            failure.came(f"{error}; {error.hint}")
        except TimeoutError:
            failure.came(f"the file system of {server.door.socket} does not answer")
        except OSError as error:
            failure.came(f"the socket {server.door.socket}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - grpc may raise anything; the daemon is lost without us
            failure.came(f"the socket {server.door.socket}: {type(error).__name__}")
