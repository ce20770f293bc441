"""The one connection to the database, and who may use it when. Transactions come from here."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nexo_daemon.domain.errors import DomainError, StoreFailed, StoreReadOnly
from nexo_daemon.store.engine import explained, open_engine

RESTORE_HINT = "nexoctl store restore brings back a backup"


class Database:
    """Closed, open, or open on a private copy that is never written.

    Any thread may call; they wait for each other, for as long as one transaction lasts.
    """

    def __init__(self) -> None:
        self.read_only = ""
        """Why nothing can be changed; empty when it can."""
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None
        self._lock = threading.RLock()

    def open(self, path: Path) -> None:
        """Connect.

        Raises:
            StoreFailed, StoreReadOnly: not possible.
        """
        with self._lock, explained():
            self._engine = open_engine(path)
            self._connection = self._engine.connect()

    def close(self) -> None:
        """Disconnect, the log written back into the file first. May be called twice."""
        with self._lock:
            if self._connection is not None:
                with suppress(DBAPIError, sqlite3.Error):
                    self._connection.rollback()
                    if not self.read_only:
                        self._driver().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._connection.close()
            if self._engine is not None:
                self._engine.dispose()
            self._connection = self._engine = None

    @property
    def is_open(self) -> bool:
        """Whether there is anything to read."""
        return self._connection is not None

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that writes: committed at the end of the block, rolled back on any error.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved; everything is as before.
        """
        with self._lock:
            if self.read_only or self._connection is None:
                raise StoreReadOnly(f"the store takes no changes: {self.read_only}", hint=RESTORE_HINT)
            with explained():
                try:
                    self._connection.begin()
                    yield self._connection
                    self._connection.commit()
                except BaseException:
                    self._roll_back()
                    raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads.

        Raises:
            StoreFailed: nothing is open, or it cannot be read.
        """
        with self._lock:
            if self._connection is None:
                raise StoreFailed(f"the store cannot be read: {self.read_only}", hint=RESTORE_HINT)
            with explained():
                try:
                    self._connection.begin()
                    yield self._connection
                finally:
                    # A commit after reading a damaged page fails and would hide what could be read (seen).
                    self._roll_back()

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """SQLite's own connection, outside of any transaction: backup, checks, pragmas.

        Raises:
            StoreFull, StoreFailed: as SQLite says.
        """
        with self._lock:
            if self._connection is None:
                raise StoreFailed(f"the store cannot be read: {self.read_only}", hint=RESTORE_HINT)
            with explained():
                try:
                    yield self._driver()
                finally:
                    self._connection.rollback()

    @contextmanager
    def outside_transactions(self) -> Iterator[sa.Connection]:
        """The connection for who begins by himself: the migrations."""
        with self._lock:
            if self._connection is None:
                raise StoreFailed(f"the store cannot be read: {self.read_only}", hint=RESTORE_HINT)
            yield self._connection

    def _roll_back(self) -> None:
        with suppress(DBAPIError, sqlite3.Error):
            if self._connection is not None:
                self._connection.rollback()
        # After a COMMIT that failed (disk full, a deferred foreign key), SQLAlchemy takes the transaction
        # for finished, while SQLite still holds it open (seen).
        with suppress(DomainError, sqlite3.Error):
            driver = self._driver()
            if driver.in_transaction:
                driver.rollback()

    def _driver(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreFailed("the store is closed")
        driver = self._connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise StoreFailed("the store is closed")
        return driver
