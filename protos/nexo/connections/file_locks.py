"""Locks on open files: they last until the file is closed or the process ends.

The only module that uses flock(2) and fcntl(2) locks. Its import fails where Python has no `fcntl` (Windows).
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
    """As `take`, but wait until it is free."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def share(descriptor: int) -> None:
    """Take a shared lock.

    Raises:
        BlockingIOError: another process holds an exclusive lock.
        OSError: the file system does not support locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def share_byte(descriptor: int, place: int) -> None:
    """Take a shared lock on one byte with fcntl(2), as SQLite does; some file systems lack these locks.

    Raises:
        OSError: the file system does not support them, or another process holds the byte exclusively.
    """
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
