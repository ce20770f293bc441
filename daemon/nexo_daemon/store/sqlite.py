"""Opens a SQLite file with our pragmas, and translates SQLite's errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexo.connections.errors import NameTaken, NexoError, StoreFailed, StoreFull, StoreReadOnly

# WAL: readers and the writer do not wait for each other. FULL: with NORMAL, a power failure undoes commits
# that were acknowledged. trusted_schema off: a schema planted in the file must not run functions.
_PRAGMAS = (
    "PRAGMA trusted_schema=OFF",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA synchronous=FULL",
    # On macOS, fsync leaves data in the drive's cache; on other systems these two have no effect.
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cell_size_check=ON",
    "PRAGMA journal_size_limit=4194304",
)
_BUSY_TIMEOUT_S = 5.0
BEGIN = "BEGIN IMMEDIATE"
"""A deferred transaction that starts to write fails at once with BUSY_SNAPSHOT (seen)."""


def connect(path: Path, *, wal: bool = True) -> sqlite3.Connection:
    """Open a connection that any thread may use, one at a time.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    try:
        return _connection(path, "", wal=wal)
    except sqlite3.Error as error:
        if not lacks_shared_memory(error):
            raise
    # SQLite then keeps the index of the log in process memory. That is safe, because the daemon's lock keeps
    # other daemons away, and the exclusive lock all other programs.
    return _connection(path, "PRAGMA locking_mode=EXCLUSIVE", wal=wal)


def _connection(path: Path, mode: str, *, wal: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # First, because most pragmas read the file, and so its log.
        connection.execute(mode)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
            # SQLite opens the log, and needs shared memory for it, only at the first read.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def lacks_shared_memory(error: sqlite3.Error) -> bool:
    """Whether the file system lacks memory shared between processes: FUSE, sshfs, 9p, some NFS."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR_SHM")


def lacking(error: sqlite3.Error) -> str:
    """What the file system of a store lacks; empty if the error has another cause."""
    name = getattr(error, "sqlite_errorname", "")
    if lacks_shared_memory(error):
        return f"has no shared memory ({name})"
    if name in _NO_LOCKS:
        return f"has no working locks ({name})"
    return ""


_NO_LOCKS = frozenset(
    f"SQLITE_{name}"
    for name in (
        "IOERR_LOCK",
        "IOERR_RDLOCK",
        "IOERR_UNLOCK",
        "IOERR_CHECKRESERVEDLOCK",
        "PROTOCOL",
        "NOLFS",
    )
)


@contextmanager
def explained() -> Iterator[None]:
    """Translate SQLite's errors. The code inside has to roll back itself."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error) from None
    except (UnicodeDecodeError, OverflowError):
        # SQLite's message may quote bytes of a damaged file that Python cannot decode (seen).
        raise StoreFailed("the store is damaged", hint="nexoctl store restore brings back a backup") from None


def _explain(error: sqlite3.Error) -> NexoError:
    if isinstance(error, sqlite3.IntegrityError) and "connections.name_folded" in str(error):
        return NameTaken("name: another connection has this name", hint="choose another name")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StoreFull(
            "the disk is full: the change was not saved and everything is as before",
            hint="free some space and try again",
        )
    if primary == sqlite3.SQLITE_READONLY:
        return StoreReadOnly(
            "the store became read-only: the change was not saved",
            hint="check the file system of the store (see nexoctl status), then restart the daemon",
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreFailed(
            f"the store is damaged ({name}): the change was not saved",
            hint="nexoctl store check; nexoctl store restore brings back a backup",
        )
    if primary == sqlite3.SQLITE_BUSY:
        return StoreFailed(
            "another program is using the store: the change was not saved",
            hint="close it and try again",
        )
    return StoreFailed(
        f"the change was not saved, and everything is as before ({name})",
        hint="check the disk (dmesg, df) and try again",
    )
