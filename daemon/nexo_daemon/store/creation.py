"""How a new store comes to be: complete, under another name, and then named in one step.

So that a file of no bytes where the store should be is never one of ours that was cut short.
"""

import errno
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa

from nexo.connections.paths import UnsafePathError, check_database_path
from nexo_daemon.domain.model import Settings
from nexo_daemon.store import rows, schema, tables
from nexo_daemon.store.files import StoreUnusable, create_private, require_locks, sync_directory, unfit_for
from nexo_daemon.store.sqlite import connect, lacking
from nexo_daemon.store.writing import SqlAlchemyConnection


def create(path: Path) -> None:
    """Make an empty store at `path`, where nothing is.

    Raises:
        StoreUnusable: it cannot be made there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        check_database_path(path, len(temporary.name) - len(path.name))
        create_private(temporary)
        require_locks(temporary)
        _fill(temporary)
        _name(temporary, path)
        sync_directory(path.parent)
    except UnsafePathError as error:
        raise StoreUnusable(str(error), error.hint) from None
    except (OSError, sqlite3.Error) as error:
        unfit = lacking(error) if isinstance(error, sqlite3.Error) else ""
        if unfit:
            raise StoreUnusable(*unfit_for(path, unfit)) from None
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreUnusable(
            f"the store {path} cannot be made: {reason}",
            "check free space and permissions there, or choose another place with NEXO_DATA_DIR",
        ) from None
    finally:
        for side in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{temporary}{side}").unlink()


def _name(temporary: Path, path: Path) -> None:
    # A link does not replace what appeared there meanwhile, as a rename would.
    try:
        os.link(temporary, path)
    except OSError as error:
        # File systems without links; the lock of the daemon keeps a second one away.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP) or path.exists():
            raise
        temporary.rename(path)


def _fill(path: Path) -> None:
    with closing(connect(path, wal=False)) as connection:
        connection.execute(f"PRAGMA application_id={tables.APPLICATION_ID}")
        with closing(SqlAlchemyConnection(connection)) as writer, writer.transaction() as db:
            schema.metadata.create_all(writer.connection)
            db.execute(sa.insert(schema.version), {"version_num": tables.HEAD})
            db.insert(tables.settings, rows.settings_to_row(Settings(), rows.NO_BINDINGS))
