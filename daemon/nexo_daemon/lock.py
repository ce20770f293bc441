"""One daemon for each user: an advisory lock held while the daemon runs; the file says who holds it."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from nexo.connections import file_locks, lock_note
from nexo.connections.files import leads_to
from nexo.connections.lock_note import Note
from nexo.connections.paths import UnsafePathError, private_directory
from nexo.connections.version import __version__
from nexo_daemon.store.files import NO_LOCKS, StoreUnusable

# Longer than `lock_note.held` takes to test the lock, and too short for a person to notice.
_TRY_S = 0.3


def _is_read_only(path: Path, error: OSError) -> bool:
    return error.errno == errno.EROFS or (
        error.errno in (errno.EACCES, errno.EPERM) and not os.access(path.parent, os.W_OK)
    )


def _not_regular(path: Path) -> UnsafePathError:
    return UnsafePathError(path, "is not a regular file", f"move it away: mv '{path}' '{path}.old'")


class AlreadyRunning(Exception):
    """Another daemon holds the lock.

    Attributes:
        holder: None while it is starting.
    """

    def __init__(self, path: Path, holder: Note | None) -> None:
        who = (
            f"nexod {holder.version} (pid {holder.pid}, socket {holder.socket})"
            if holder
            else "another nexod"
        )
        super().__init__(f"{who} is running already and holds {path}")
        self.holder = holder


class InstanceLock:
    """flock(2) on the lock file, which is never removed: otherwise two daemons could lock two files.

    If the home directory is read-only, the note is in a file beside the socket, and both files are locked.

    Attributes:
        problem: of the store, as it was noted last.
    """

    def __init__(self, path: Path, spare: Path) -> None:
        self._path = path
        self._spare = spare
        self._file: int | None = None
        self._read_only: int | None = None
        self.problem = ""

    def __enter__(self) -> "InstanceLock":
        """Take the lock.

        Raises:
            AlreadyRunning: says which daemon holds the lock.
            UnsafePathError: the directory of the lock is not private, or the lock not a regular file.
            StoreUnusable: the file system has no locks.
        """
        try:
            self._file = self._locked(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if not _is_read_only(self._path, error):
                raise
            with suppress(OSError):
                self._read_only = self._locked(self._path, os.O_RDONLY)
            self._path = self._spare
            self._file = self._locked(self._path, os.O_RDWR | os.O_CREAT)
        return self

    def _locked(self, path: Path, flags: int) -> int:
        private_directory(path.parent)
        try:
            file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR):
                raise
            raise _not_regular(path) from None
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise _not_regular(path)
            self._take(file)
        except BaseException:
            os.close(file)
            raise
        return file

    def keep(self, socket: Path) -> None:
        """Lock the file at the path again if the locked one was removed, so that no second daemon can start.

        Raises:
            AlreadyRunning: another daemon has started.
            OSError: the file cannot be created.
        """
        if self._file is None:
            return
        if leads_to(self._path, os.fstat(self._file)):
            return
        again = self._locked(self._path, os.O_RDWR | os.O_CREAT)
        os.close(self._file)
        self._file = again
        self.note(socket, ready=True)

    def _take(self, file: int) -> None:
        try:
            file_locks.take(file, within_s=_TRY_S)
        except BlockingIOError:
            text = os.pread(file, lock_note.LIMIT, 0)
            raise AlreadyRunning(self._path, lock_note.decode(text)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            raise StoreUnusable(
                f"{self._path} cannot be locked ({error.strerror}): its file system has no working "
                "locks, and two daemons would ruin a store",
                "choose a local disk for it: export NEXO_STATE_DIR=…",
            ) from None

    def note(self, socket: Path, *, ready: bool, problem: str | None = None) -> None:
        """Write the holder, the socket and the problem of the store (None: unchanged) to the lock file."""
        if problem is not None:
            self.problem = problem
        text = lock_note.encode(Note(os.getpid(), __version__, str(socket), ready, self.problem))
        if self._file is None:
            return
        try:
            # In this order the note is complete at every moment: spaces overwrite the end of a longer one.
            os.pwrite(self._file, text.ljust(os.fstat(self._file).st_size), 0)
            os.ftruncate(self._file, len(text))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
        if self._read_only is not None:
            os.close(self._read_only)
            self._read_only = None
