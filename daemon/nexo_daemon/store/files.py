"""Checks of the database file: ownership, mode, and kind of file. No SQL."""

import enum
import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from nexo.connections import account, file_locks, processes
from nexo.connections.paths import (
    UnsafePathError,
    check_database_path,
    hint_if_denied,
    private_directory,
    socket_path,
)

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
# Below the bytes that SQLite locks (at 2^30), beyond its header.
_A_BYTE_OF_NOBODY = 512

_MAGIC = b"SQLite format 3\0"
_COPY_PREFIX = "nexo-read-only-"
SIDE_FILES = ("-wal", "-shm", "-journal")


class StoreUnusable(Exception):
    """The daemon cannot start with this store; nothing was changed. `hint` says the next step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def require_locks(path: Path) -> None:
    """Lock and unlock a byte of a file that SQLite has not opened: SQLite treats ENOLCK as "locked".

    Raises:
        StoreUnusable: the file system has no locks.
    """
    with path.open("rb") as file:
        try:
            file_locks.share_byte(file.fileno(), _A_BYTE_OF_NOBODY)
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise StoreUnusable(*unfit_for(path, f"has no working locks ({error.strerror})")) from None


def unfit_for(path: Path, lacks: str) -> tuple[str, str]:
    """The message and hint of a `StoreUnusable` for a file system that `lacks` something."""
    return (
        f"the store {path} cannot be kept there: its file system {lacks}",
        "put it on a local disk: export NEXO_DATA_DIR=…",
    )


class FoundStore(enum.Enum):
    """Kinds of files at the path of the database."""

    NOTHING = enum.auto()
    EMPTY = enum.auto()
    SQLITE = enum.auto()
    SOMETHING_ELSE = enum.auto()


def inspect(path: Path) -> FoundStore:
    """Check ownership and mode, and find out what kind of file it is.

    Raises:
        StoreUnusable: the file or its directory is accessible by other users.
    """
    try:
        private_directory(path.parent)
        check_database_path(path)
    except UnsafePathError as error:
        raise StoreUnusable(str(error), error.hint) from None
    except OSError as error:
        raise StoreUnusable(
            f"the directory of the store cannot be created: {path.parent}: {error.strerror}",
            hint_if_denied(path.parent) or "choose another place with NEXO_DATA_DIR",
        ) from None
    for side in ("", *SIDE_FILES):
        _check_private(Path(f"{path}{side}"))
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError:
        return FoundStore.NOTHING
    except OSError as error:
        raise StoreUnusable(
            f"the store {path} cannot be read: {error.strerror}", f"chmod 600 '{path}'"
        ) from None
    if not start:
        return FoundStore.EMPTY
    return FoundStore.SQLITE if start == _MAGIC else FoundStore.SOMETHING_ELSE


def application_id(path: Path) -> int:
    """Read `PRAGMA application_id` from the header (offset 68), without SQLite."""
    with path.open("rb") as file:
        file.seek(68)
        return int.from_bytes(file.read(4), "big")


def _check_private(path: Path) -> None:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode):
        raise StoreUnusable(f"{path} is not a regular file", f"look at it and move it away: ls -l '{path}'")
    problem, hint = account.exposure(path, info)
    if problem:
        raise StoreUnusable(f"{path}: {problem}", hint)


def write_obstacle(path: Path) -> tuple[str, str]:
    """Why the file cannot be written, and the next step; two empty strings if it can.

    Raises:
        OSError: the file cannot be accessed.
    """
    if not path.lstat().st_mode & stat.S_IWUSR:
        return "the file is read-only", f"chmod 600 '{path}'"
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "its file system is read-only", "mount it writable, or choose another NEXO_DATA_DIR"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return "its directory is read-only", f"chmod 700 '{path.parent}'"
    if not os.access(path, os.W_OK):
        return "the system forbids writing to the file", f"look at its attributes: lsattr '{path}'"
    return "", ""


def create_private(path: Path) -> None:
    """Create an empty file with mode 0600, which must not exist. SQLite would create it 0644."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def private_copy(path: Path) -> Path:
    """Copy the database and its write-ahead log to a private temporary directory.

    A damaged or read-only store is read there, so that SQLite's recovery cannot change the original.
    """
    place = _place_for_copies()
    _remove_copies_of_the_dead(place)
    directory = Path(tempfile.mkdtemp(prefix=f"{_COPY_PREFIX}{os.getpid()}-", dir=place))
    for side in ("", "-wal", "-journal"):
        source = Path(f"{path}{side}")
        if source.exists():
            copy = directory / f"{path.name}{side}"
            create_private(copy)
            with source.open("rb") as reader, copy.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
    return directory / path.name


def _place_for_copies() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        # All disks are full or read-only, with the directory for temporary files; that of the socket is in
        # memory, and no daemon runs without it.
        return private_directory(socket_path().parent)


def _remove_copies_of_the_dead(place: Path) -> None:
    """Remove copies that a killed daemon has left."""
    for directory in place.glob(f"{_COPY_PREFIX}*-*"):
        pid = directory.name.removeprefix(_COPY_PREFIX).partition("-")[0]
        if pid.isdigit() and not processes.alive(int(pid)):
            with suppress(FileNotFoundError):
                if account.owns(directory.lstat()):
                    shutil.rmtree(directory, ignore_errors=True)
