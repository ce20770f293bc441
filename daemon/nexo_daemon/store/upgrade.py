"""Runs the migrations in process, in one transaction. Imported only if the schema is not the newest."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"


class MigrationFailedError(Exception):
    """The migrated store would be invalid; the migration was rolled back."""


def upgrade(db: sa.Connection, target: str, *, versions: Sequence[Path] = (_SCRIPTS / "versions",)) -> None:
    """Migrate to the revision `target`.

    Raises:
        MigrationFailedError: foreign keys would be violated; rolled back.
        sqlalchemy.exc.DBAPIError: rolled back.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, versions)).replace("%", "%%"))
    config.attributes["connection"] = db
    # Alembic's batch mode drops and renames tables; with foreign keys enabled that deletes the rows of child
    # tables (seen). The pragma has no effect inside a transaction, so it has to come first.
    _foreign_keys(db, on=False)
    try:
        with db.begin():
            command.upgrade(config, target)
            orphans = db.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(3)
            if orphans:
                tables = ", ".join(sorted({str(row[0]) for row in orphans}))
                raise MigrationFailedError(f"rows of {tables} would violate foreign keys")
    finally:
        _foreign_keys(db, on=True)


def _foreign_keys(db: sa.Connection, *, on: bool) -> None:
    driver = db.connection.driver_connection
    if driver is None:
        raise MigrationFailedError("the connection is closed")
    driver.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
