"""A connection to one SQLite file: its pragmas, and what SQLite's errors mean to a person."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexo.connections.errors import NameTaken, NexoError, StoreFailed, StoreFull, StoreReadOnly

# WAL: readers and the writer do not wait for each other. FULL: with NORMAL, a power cut takes back commits
# that were acknowledged. trusted_schema off: a schema planted in the file must not run functions.
_PRAGMAS = (
    "PRAGMA trusted_schema=OFF",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA synchronous=FULL",
    # On macOS fsync leaves the data in the drive's cache; elsewhere these two do nothing.
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cell_size_check=ON",
    "PRAGMA journal_size_limit=4194304",
)
_BUSY_TIMEOUT_S = 5.0
BEGIN = "BEGIN IMMEDIATE"
"""A deferred transaction that turns into a writer fails at once with BUSY_SNAPSHOT (seen)."""


def connect(path: Path, *, wal: bool = True) -> sqlite3.Connection:
    """Usable from any thread, one at a time.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    try:
        return _connection(path, "", wal=wal)
    except sqlite3.Error as error:
        if not lacks_shared_memory(error):
            raise
    # Without it the index of the log is kept in our own memory. That is safe, because the daemon's lock
    # keeps every other one of ours away, and no other program gets in.
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
        # Before any other: most of them look into the file, and so into its log.
        connection.execute(mode)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
            # Not before the first look at it does SQLite need its log, and what the log needs.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def lacks_shared_memory(error: sqlite3.Error) -> bool:
    """Whether the file system cannot share memory between programs: FUSE, sshfs, 9p, some NFS."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR_SHM")


def lacking(error: sqlite3.Error) -> str:
    """What the file system of a store does not have; empty if that is not the trouble."""
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
    """Turn SQLite's errors into the domain's. What is inside has to roll back by itself."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error) from None
    except (UnicodeDecodeError, OverflowError):
        # SQLite's message about a damaged file may quote its bytes, and Python fails to decode them (seen).
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
