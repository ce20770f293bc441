"""Keeps the daemon reachable: watches its socket, and creates it again when it was lost.

The end of the last session removes /run/user/UID, systemd-tmpfiles and `rm` remove files, and a mount may
hide them. A daemon without its socket would hold the lock, so that no other daemon could start.
"""

import logging
import stat
from collections.abc import Callable
from pathlib import Path

from nexo.connections.paths import UnsafePathError, check_private_directory
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.lock import AlreadyRunning, InstanceLock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.rpc.server import ServedSocket, Server

log = logging.getLogger("nexod")

EVERY_S = 2.0
_THREADS = ThreadPool("socket", most=1, deadline_s=10.0)


def loss(served: ServedSocket) -> str:
    """Why programs cannot reach the socket; empty if they can.

    Raises:
        UnsafePathError: its directory is not trusted by programs.
    """
    try:
        info = served.socket.lstat()
        if (info.st_dev, info.st_ino) != served.identity:
            return "another file has its name"
        if stat.S_IMODE(info.st_mode) & 0o600 != 0o600:
            return "its permissions were removed"
        check_private_directory(served.socket.parent)
    except OSError as error:
        return error.strerror or "it cannot be read"
    return ""


async def stay_present(
    server: Server,
    lock: InstanceLock,
    wanted: Callable[[], Path],
    moved: Callable[[Path], None],
    clock: Clock,
) -> None:
    """Until cancelled, bind again when the socket was lost, or when programs expect it elsewhere.

    Ends when another daemon holds the lock, because the lock file was removed: both would write the store.

    Args:
        wanted: returns the path where programs look for the socket.
        moved: called with the new path.
    """
    failure = StandingFailure(log, "programs do not find the daemon")

    def look() -> tuple[Path, str]:
        lock.keep(server.served.socket)
        return wanted(), loss(server.served)

    while True:
        await clock.sleep(EVERY_S)
        try:
            target, why = await _THREADS.join("look", look)
            if target != server.served.socket:
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
            failure.came(f"the file system of {server.served.socket} does not answer")
        except OSError as error:
            failure.came(f"the socket {server.served.socket}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - grpcio may raise anything, and this task must go on
            failure.came(f"the socket {server.served.socket}: {type(error).__name__}")
