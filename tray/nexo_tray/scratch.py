"""A private directory for the tray's temporary files, whose lock also shows that a tray is running.

Toolkits take icons as files, and pystray leaves some of its temporary files behind. Therefore all of them go
into a directory that is emptied at the start and removed at the end.
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
    """This user already has a tray on this display."""


def place(environment: Mapping[str, str]) -> Path:
    """The directory for the display of this session; each display can have its own tray."""
    display = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or "desktop"
    return paths.state_dir() / f"tray-{re.sub(r'[^A-Za-z0-9.]+', '_', display)}"


@contextlib.contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Create and lock the directory, use it for temporary files, and remove it at the end.

    Raises:
        TrayRunning: another process holds the lock.
        nexo.connections.paths.UnsafePathError: the directory is not private to this user.
    """
    before = tempfile.tempdir
    # Created separately: mkdir would give a parent the mode of the umask, which the daemon refuses.
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
        # Windows has no file locks of this kind; a second tray is not detected.
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
        # A tray that ended meanwhile may have removed the directory that was just locked; then try again.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), directory.stat()):
                return lock
        os.close(lock)
