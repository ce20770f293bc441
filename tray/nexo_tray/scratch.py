"""Where does the tray put its pictures, and is it the only tray here? One private directory answers both.

Toolkits take icons as files, and pystray leaves some of its temporary ones behind; so they all go into a
directory that is emptied at the start and removed at the end. Its lock says that a tray runs.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from nexo.connections import paths


class TrayRunning(Exception):
    """Another tray of this user shows the icon on this display."""


def place(environment: Mapping[str, str]) -> Path:
    """The directory for the display of this session: each display may have a tray of its own."""
    display = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or "desktop"
    return paths.state_dir() / f"tray-{re.sub(r'[^A-Za-z0-9.]+', '_', display)}"


@contextlib.contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Make and lock the directory, have temporary files made in it, and remove it in the end.

    Raises:
        AlreadyRunning: the lock is held.
        nexo.connections.paths.UnsafePathError: the directory belongs to somebody else.
    """
    before = tempfile.tempdir
    # A parent that mkdir makes on the way has the mode of the umask, and the daemon would refuse it.
    paths.private_directory(directory.parent)
    lock = _locked(directory)
    try:
        for stale in directory.iterdir():
            stale.unlink()
        tempfile.tempdir = str(directory)
        yield directory
    finally:
        tempfile.tempdir = before
        shutil.rmtree(directory, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(directory: Path) -> int | None:
    try:
        from nexo.connections import file_locks
    except ImportError:
        # Windows: nothing that the tray needs to exclude there.
        paths.private_directory(directory)
        return None
    while True:
        paths.private_directory(directory)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            file_locks.take(lock)
        except BlockingIOError:
            os.close(lock)
            raise TrayRunning(str(directory)) from None
        # The tray that ended in between may have removed the directory that we have just locked.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), directory.stat()):
                return lock
        os.close(lock)
