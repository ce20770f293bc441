"""Locks on open files: who holds one excludes the others until it is closed, or the process has ended.

The one module that knows flock(2) and fcntl(2) locks. Its import fails where Python has no `fcntl` (Windows).
"""

import fcntl


def take(descriptor: int) -> None:
    """Lock it for this process alone.

    Raises:
        BlockingIOError: somebody else has it.
        OSError: the file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for(descriptor: int) -> None:
    """As `take`, but wait until it is free."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def share(descriptor: int) -> None:
    """Lock it against those who want it alone.

    Raises:
        BlockingIOError: somebody has it alone.
        OSError: the file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def share_byte(descriptor: int, place: int) -> None:
    """Lock one byte as SQLite locks its own, by fcntl(2), which some file systems have not.

    Raises:
        OSError: the file system has no such locks, or somebody has the byte alone.
    """
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
