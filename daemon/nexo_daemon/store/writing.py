"""Changes rows with SQLAlchemy, on the connection that SQLite has open.

SQLAlchemy takes longer to import than a thousand connections to read. So it is imported by the first write,
or by `Store.load_what_writes` after the daemon has answered its first call.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool

from nexo_daemon.store import schema, tables
from nexo_daemon.store.sqlite import BEGIN
from nexo_daemon.store.tables import StoredTable

# Used by every change. It runs on SQLite's own connection, because SQLAlchemy's overhead was a third of the
# cost of a transaction apart from the disk (2026-11-27).
_UPDATE_SETTINGS = str(sa.update(schema.settings).compile(dialect=sqlite.dialect(paramstyle="named")))


class SqlAlchemyConnection:
    """A SQLAlchemy connection that wraps this SQLite connection. Errors are those of SQLite."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        engine = sa.create_engine(
            "sqlite://", creator=lambda: driver, poolclass=StaticPool, hide_parameters=True
        )

        @sa.event.listens_for(engine, "begin")
        def begin(_: sa.Connection) -> None:
            # On SQLite's own connection, because SQLAlchemy's overhead is larger than the statement's cost.
            try:
                driver.execute(BEGIN)
            except sqlite3.Error as error:
                raise OperationalError(BEGIN, None, error) from None

        with _as_sqlite_says():
            self.connection = engine.connect()

    @contextmanager
    def transaction(self) -> "Iterator[Writing]":
        """A transaction that is committed at the end of the block; after an error call `roll_back`."""
        with _as_sqlite_says():
            self.connection.begin()
            yield Writing(self.connection, self._driver)
            self.connection.commit()

    def roll_back(self) -> None:
        """Roll the transaction back."""
        with _as_sqlite_says():
            self.connection.rollback()

    def close(self) -> None:
        """Close it, and SQLite's connection."""
        self.connection.close()
        self.connection.engine.dispose()


class Writing:
    """A transaction that writes."""

    def __init__(self, connection: sa.Connection, driver: sqlite3.Connection) -> None:
        self._connection = connection
        self.sqlite = driver

    def select(
        self, table: StoredTable, where: str = "1", values: tuple[object, ...] = ()
    ) -> list[dict[str, Any]]:
        """See `tables.select`."""
        return list(tables.select(self.sqlite, table, where, values))

    def insert(self, table: StoredTable, *rows: Mapping[str, object]) -> None:
        """Add rows."""
        if rows:
            self.execute(sa.insert(_named(table)), rows[0] if len(rows) == 1 else list(rows))

    def update(self, table: StoredTable, values: Mapping[str, object], **which: object) -> int:
        """Change the rows with these values; returns their number."""
        return self.execute(sa.update(_named(table)).where(*_same(table, which)), values).rowcount

    def delete(self, table: StoredTable, **which: object) -> None:
        """Remove the rows with these values; without any, all rows."""
        self.execute(sa.delete(_named(table)).where(*_same(table, which)))

    def update_settings(self, row: Mapping[str, object]) -> None:
        """Replace the single row of the settings."""
        self.sqlite.execute(_UPDATE_SETTINGS, row)

    def execute(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:
        """Execute another statement."""
        return self._connection.execute(statement, values)


@contextmanager
def _as_sqlite_says() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise error.orig or error from None


def _named(table: StoredTable) -> sa.Table:
    return schema.metadata.tables[table.name]


def _same(table: StoredTable, which: Mapping[str, object]) -> Iterator[sa.ColumnElement[bool]]:
    columns = _named(table).c
    return (columns[name] == value for name, value in which.items())
