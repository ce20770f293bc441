"""The connection to the database, and the access to it. Transactions are started here.

Readers get SQLite's connection; writers get SQLAlchemy's, which wraps the same one.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nexo.connections.errors import StoreFailed, StoreReadOnly
from nexo.connections.files import Identity, identity
from nexo_daemon.store.files import StoreUnusable, unfit_for
from nexo_daemon.store.sqlite import BEGIN, connect, explained, lacking

if TYPE_CHECKING:
    import sqlalchemy as sa

    from nexo_daemon.store.writing import SqlAlchemyConnection, Writing

RESTORE_HINT = "nexoctl store restore brings back a backup"
GONE_ADVICE = (
    "move it back; or save what the daemon has in memory (nexoctl store backup), and then put it in place "
    "(nexoctl store restore)"
)
REPLACED_ADVICE = (
    "save what the daemon has in memory (nexoctl store backup); then take the file that is there "
    "(nexoctl daemon restart), or put back what you saved (nexoctl store restore)"
)
LOG_ADVICE = "nexoctl daemon restart: the daemon writes what is in the log into the store when it ends"


class Loss(NamedTuple):
    """The path of the store leads to another file than the open one, or to none."""

    problem: str
    advice: str


class _File:
    """Identifies the opened files. Data in a file without a name is lost when the daemon ends."""

    def __init__(self, path: Path, opened: Identity) -> None:
        self._path = path
        self._opened = opened
        self._log_path = Path(f"{path}-wal")
        self._log: Identity | None = None

    def loss(self) -> Loss | None:
        try:
            if identity(self._path) != self._opened:
                return Loss(f"{self._path} is another file than the one that was opened", REPLACED_ADVICE)
        except FileNotFoundError:
            return Loss(f"{self._path} was removed or moved", GONE_ADVICE)
        except OSError as error:
            advice = f"check its permissions (ls -ld '{self._path.parent}'); if it is yours: chmod 700"
            return Loss(f"{self._path} cannot be read: {error.strerror}", advice)
        try:
            log = identity(self._log_path)
        except OSError:
            log = None
        if self._log is not None and log != self._log:
            return Loss(f"{self._log_path} was removed or moved", LOG_ADVICE)
        self._log = log
        return None


class Database:
    """A database that is closed, open, or open as a private copy that is never written.

    May be called on any thread; calls wait for each other, at most for one transaction.
    """

    def __init__(self) -> None:
        self.read_only = ""
        """Why changes are impossible; empty if they are possible."""
        self.advice = RESTORE_HINT
        self._connection: sqlite3.Connection | None = None
        self._writer: SqlAlchemyConnection | None = None
        self._lock = threading.RLock()
        self._file: _File | None = None

    def open(self, path: Path) -> None:
        """Open the connection.

        Raises:
            StoreFailed, StoreReadOnly: it cannot be opened.
            StoreUnusable: the file system lacks working locks, or shared memory and exclusive locks.
        """
        with self._lock, explained():
            try:
                self._connection = connect(path)
            except sqlite3.Error as error:
                unfit = lacking(error)
                if unfit:
                    raise StoreUnusable(*unfit_for(path, unfit)) from None
                raise
            self._file = _File(path, identity(path))

    def close(self) -> None:
        """Write the log back into the file and disconnect. May be called twice."""
        with self._lock:
            if self._connection is not None:
                self._roll_back()
                # A log whose name was removed is written back as well: that saves its content.
                if not self.read_only or self.loss() is not None:
                    self.write_back()
                if self._writer is not None:
                    self._writer.close()
                self._connection.close()
            self._connection = self._writer = self._file = None

    def write_back(self) -> bool:
        """Write the log back into the file and empty it; returns whether that succeeded.

        It fails while another program reads the store, or if the disk is full.
        """
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
        return False

    @property
    def is_open(self) -> bool:
        """Whether there is a database to read."""
        return self._connection is not None

    @contextmanager
    def begin(self) -> "Iterator[Writing]":
        """Begin a writing transaction: committed at the end of the block, rolled back on any error.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved; everything is as before.
        """
        with self._lock:
            if self.read_only or self._connection is None:
                raise StoreReadOnly(f"the store is read-only: {self.read_only}", hint=self.advice)
            self._require_its_file()
            with explained():
                try:
                    with self._written(self._connection).transaction() as writing:
                        yield writing
                    # If the file was removed in between, the change would be lost.
                    self._require_its_file()
                except BaseException:
                    self._roll_back()
                    raise

    def loss(self) -> Loss | None:
        """Why the open file is not the one at the store's path; None if it is. Reads no content."""
        file = self._file
        return file.loss() if file is not None else None

    def _require_its_file(self) -> None:
        loss = self.loss()
        if loss is not None:
            raise StoreReadOnly(f"the change was not saved: {loss.problem}", hint=loss.advice)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Begin a read-only transaction.

        Raises:
            StoreFailed: nothing is open, or it cannot be read.
        """
        with self.bare() as connection:
            connection.execute(BEGIN)
            yield connection

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """SQLite's connection outside any transaction, for backup, checks and pragmas.

        Raises:
            StoreFull, StoreFailed: nothing is open, or SQLite reports an error.
        """
        with self._lock, explained():
            connection = self._require_open()
            try:
                yield connection
            finally:
                # After a damaged page was read, a commit would fail and hide what could be read (seen).
                self._roll_back()

    @contextmanager
    def outside_transactions(self) -> "Iterator[sa.Connection]":
        """The connection for code that begins its own transactions: the migrations."""
        with self._lock:
            yield self._written(self._require_open()).connection

    def prepare(self) -> None:
        """Connect SQLAlchemy, so that the first change does not wait for that.

        Raises:
            StoreFailed: SQLite reports an error.
        """
        with self._lock, explained():
            if self._connection is not None:
                self._written(self._connection)

    def _require_open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreFailed(f"the store cannot be read: {self.read_only}", hint=self.advice)
        return self._connection

    def _written(self, connection: sqlite3.Connection) -> "SqlAlchemyConnection":
        if self._writer is None:
            from nexo_daemon.store.writing import SqlAlchemyConnection

            self._writer = SqlAlchemyConnection(connection)
        return self._writer

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._writer is not None:
                self._writer.roll_back()
        # After a COMMIT that failed (disk full, a deferred foreign key), SQLAlchemy regards the transaction
        # as finished, while SQLite still holds it open (seen).
        with suppress(sqlite3.Error):
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
