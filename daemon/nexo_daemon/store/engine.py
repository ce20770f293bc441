"""One SQLAlchemy connection to one SQLite file: its pragmas, and what its errors mean to a person."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import StaticPool

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
_BEGIN = "BEGIN IMMEDIATE"


def open_engine(path: Path, *, wal: bool = True) -> Engine:
    """An engine whose pool is one connection, usable from any thread, one at a time."""

    def connect() -> sqlite3.Connection:
        try:
            return connection_of("")
        except sqlite3.Error as error:
            if not lacks_shared_memory(error):
                raise
        # Without it the index of the log is kept in our own memory. That is safe, because the daemon's lock
        # keeps every other one of ours away, and no other program gets in.
        return connection_of("PRAGMA locking_mode=EXCLUSIVE")

    def connection_of(mode: str) -> sqlite3.Connection:
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

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True)

    # A deferred transaction that turns into a writer fails at once with BUSY_SNAPSHOT (seen).
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # By SQLite's own connection: SQLAlchemy's way to a statement takes longer than this one.
        driver = connection.connection.driver_connection
        if driver is None:
            raise StoreFailed("the store is closed")
        try:
            driver.execute(_BEGIN)
        except sqlite3.Error as error:
            raise OperationalError(_BEGIN, None, error) from None

    return engine


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
    except DBAPIError as error:
        raise explain(error) from None
    except sqlite3.Error as error:
        raise _explain_code(error) from None
    except (UnicodeDecodeError, OverflowError):
        # SQLite's message about a damaged file may quote its bytes, and Python fails to decode them (seen).
        raise StoreFailed("the store is damaged", hint="nexoctl store restore brings back a backup") from None


def explain(error: DBAPIError) -> NexoError:
    """What a database error means to a person; nothing of the statement is in the text."""
    cause = error.orig
    if isinstance(error, IntegrityError) and "connections.name_folded" in str(cause):
        return NameTaken("name: another connection has this name", hint="choose another name")
    if isinstance(cause, sqlite3.Error):
        return _explain_code(cause)
    return StoreFailed("the change was not saved", hint="look at the log: nexoctl daemon logs")


def _explain_code(error: sqlite3.Error) -> NexoError:
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
