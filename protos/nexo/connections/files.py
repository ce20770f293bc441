"""Replaces files as a whole, and tells whether a name still leads to the same file."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nexo.connections import file_locks

Identity = tuple[int, int]
"""Device and inode number of a file."""


def identity(path: Path) -> Identity:
    """The identity of the file with this name.

    Raises:
        OSError: the file does not exist or cannot be accessed.
    """
    info = path.lstat()
    return info.st_dev, info.st_ino


def leads_to(path: Path, known: os.stat_result) -> bool:
    """Whether a file that was opened, or looked at, still has this name.

    Raises:
        OSError: the name cannot be accessed, although it may exist.
    """
    try:
        return os.path.samestat(path.lstat(), known)
    except FileNotFoundError:
        return False


def replace(path: Path, content: bytes, mode: int = 0o600, check: Callable[[], None] = lambda: None) -> None:
    """Create or replace a file: with all of its content, or not at all.

    The content is on the disk when it returns; the new name is once the directory is synced.

    Args:
        mode: the mode of the file, whatever the umask.
        check: called before the file is replaced; if it raises, the file is not changed.

    Raises:
        OSError: not written; the file is unchanged.
    """
    with _unfinished(path) as (descriptor, new):
        # A killed writer may have set another mode already.
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        check()
        new.replace(path)


def discard_unfinished(path: Path) -> None:
    """Remove what a writer of this file left when it was killed. `replace` does it, too."""
    if os.path.lexists(_new(path)):
        with _unfinished(path):
            pass


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a directory, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new(path: Path) -> Path:
    # Always the same name: a killed writer leaves one file at most, and the next writer finds it.
    return path.with_name(f".{path.name}.nexo-new")


@contextmanager
def _unfinished(path: Path) -> Iterator[tuple[int, Path]]:
    """Create and lock the file for the new content; at the end it is removed if it still has this name."""
    new = _new(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        descriptor = os.open(new, flags, 0o600)
        try:
            try:
                file_locks.take(descriptor, within_s=file_locks.WRITING_S)
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another program is writing it", str(path)) from None
            except OSError:
                # Without locks, only two writers at the same moment disturb each other.
                pass
            if not leads_to(new, os.fstat(descriptor)):
                # The writer that held the lock has moved it.
                continue
            try:
                yield descriptor, new
            finally:
                if leads_to(new, os.fstat(descriptor)):
                    new.unlink()
            return
        finally:
            os.close(descriptor)
