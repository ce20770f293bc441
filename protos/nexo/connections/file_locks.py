"""Locks open files, until the file is closed or the process ends.

No other module uses flock(2) or fcntl(2) locks. The import fails where Python has no `fcntl` (Windows).
"""

import fcntl


def take(descriptor: int) -> None:
    """Lock the file exclusively.

    Raises:
        BlockingIOError: another process holds a lock.
        OSError: the file system does not support locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for(descriptor: int) -> None:
    """Lock the file exclusively, and wait until it is free."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


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
