"""Creates a new store: complete, under a temporary name, and then renamed in one step.

An empty file at the place of the store is therefore never an unfinished store of ours.
"""

import errno
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa

from nexo.connections.files import sync
from nexo.connections.paths import UnsafePathError, check_database_path
from nexo_daemon.domain.model import Settings
from nexo_daemon.store import rows, schema, tables
from nexo_daemon.store.files import StoreUnusable, create_private, require_locks, unfit_for
from nexo_daemon.store.sqlite import connect, lacking
from nexo_daemon.store.writing import SqlAlchemyConnection


def create(path: Path) -> None:
    """Create an empty store at `path`, which must not exist.

    Raises:
        StoreUnusable: it cannot be created there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        check_database_path(path, len(temporary.name) - len(path.name))
        create_private(temporary)
        require_locks(temporary)
        _fill(temporary)
        _name(temporary, path)
        sync(path.parent)
    except UnsafePathError as error:
        raise StoreUnusable(str(error), error.hint) from None
    except (OSError, sqlite3.Error) as error:
        unfit = lacking(error) if isinstance(error, sqlite3.Error) else ""
        if unfit:
            raise StoreUnusable(*unfit_for(path, unfit)) from None
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreUnusable(
            f"the store {path} cannot be created: {reason}",
            "check free space and permissions there, or choose another place with NEXO_DATA_DIR",
        ) from None
    finally:
        for side in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{temporary}{side}").unlink()


def _name(temporary: Path, path: Path) -> None:
    # Unlike a rename, a hard link does not replace a file that was created there meanwhile.
    try:
        os.link(temporary, path)
    except OSError as error:
        # File systems without hard links; the daemon's lock keeps a second daemon away.
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
