"""Locks open files, until the file is closed or the process ends.

No other module uses flock(2) or fcntl(2) locks. The import fails where Python has no `fcntl` (Windows).
"""

import fcntl
import time

WRITING_S = 10.0
"""Time limit in seconds for a lock that is held while a small file is written."""


def take(descriptor: int, *, within_s: float = 0.0) -> None:
    """Lock the file exclusively.

    Args:
        within_s: how long to wait until it is free, in seconds.

    Raises:
        BlockingIOError: another process holds a lock.
        OSError: the file system does not support locks.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def share(descriptor: int) -> None:
    """Take a shared lock.

    Raises:
        BlockingIOError: another process holds an exclusive lock.
        OSError: the file system does not support locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def share_byte(descriptor: int, place: int) -> None:
    """Take a shared lock on one byte with fcntl(2), as SQLite does.

    Raises:
        OSError: the file system does not support them, or another process holds the byte exclusively.
    """
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
