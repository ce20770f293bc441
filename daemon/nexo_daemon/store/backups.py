"""Backups of the store: made by SQLite's backup API, checked, private, and rotated.

The file is not copied as a file, because without its write-ahead log data would be lost. Backups have mode
0600; SQLite would create them 0644.
"""

import re
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nexo.connections import schemas
from nexo.connections.errors import InvalidField, StoreFailed, StoreFull
from nexo.connections.files import sync
from nexo.connections.paths import UnsafePathError, private_directory
from nexo.connections.values import frozen
from nexo_daemon.store import reading, tables
from nexo_daemon.store.database import Database
from nexo_daemon.store.files import create_private
from nexo_daemon.store.sqlite import explained

DAILY = timedelta(days=1)
KEPT = {"daily": 7, "migration": 3, "request": 10, "rotation": 2, "rescue": 5}
"""The number of backups that are kept, by reason."""

_NAME = re.compile(r"connections-(\d{8}T\d{6}Z)(?:-(\d+))?-([a-z]+)\.db")
_STAMP = "%Y%m%dT%H%M%SZ"


@frozen
class BackupFile:
    """One backup file.

    Attributes:
        reason: daily, migration, request, rotation (of the data key), or rescue (the store was lost).
    """

    path: Path
    at: datetime
    reason: str
    size: int

    @property
    def name(self) -> str:
        """The name by which `nexoctl store restore` finds it."""
        return self.path.name


class Backups:
    """The directory of backups."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def list(self) -> tuple[BackupFile, ...]:
        """All backups, the newest first."""
        found = []
        with suppress(OSError):
            for path in self.directory.iterdir():
                match = _NAME.fullmatch(path.name)
                at = _moment(match[1]) if match else None
                if match and at and path.is_file() and not path.is_symlink():
                    # One that is removed at this moment must not hide the others.
                    with suppress(FileNotFoundError):
                        size = path.stat().st_size
                        found.append((at, int(match[2] or 0), BackupFile(path, at, match[3], size)))
        return tuple(backup for _, _, backup in sorted(found, key=lambda one: one[:2], reverse=True))

    def due(self, now: datetime) -> bool:
        """Whether the newest daily one is older than a day."""
        # A backup dated in the future was made while the clock was wrong; it must not delay the next one.
        past = (backup.at for backup in self.list() if backup.reason == "daily" and backup.at <= now)
        newest = next(past, None)
        return newest is None or now - newest >= DAILY

    def make(self, database: Database, reason: str, now: datetime) -> BackupFile:
        """Copy the open store, check the copy and sync it to the disk; then remove old backups of its kind.

        Raises:
            StoreFull, StoreFailed: no backup was made; the store is as it was.
        """
        path = self._free_name(reason, now)
        temporary = path.with_name(f".{path.name}.part")
        try:
            with suppress(FileNotFoundError):
                temporary.unlink()
            create_private(temporary)
            with explained(), database.bare() as source, closing(_connect(temporary)) as copy:
                source.backup(copy)
                # The backup must be a single file, without a write-ahead log.
                copy.execute("PRAGMA journal_mode=DELETE")
                problems = reading.check(copy)
            if problems:
                raise StoreFailed(f"the backup is not sound: {problems[0]}", hint="nexoctl store check")
            sync(temporary)
            temporary.replace(path)
            sync(self.directory)
            made = BackupFile(path, now.astimezone(UTC).replace(microsecond=0), reason, path.stat().st_size)
        except StoreFull:
            raise _full() from None
        except OSError as error:
            raise _file_error(path, error) from None
        finally:
            for side in ("", "-wal", "-shm", "-journal"):
                with suppress(OSError):
                    Path(f"{temporary}{side}").unlink()
        self._rotate(made)
        return made

    def find(self, name: str, now: datetime) -> Path:
        """The file of a backup, by name or path; "" for the newest.

        A backup dated in the future counts as the newest only if there is no other: the clock was wrong.

        Raises:
            InvalidField: there is no such backup.
        """
        known = self.list()
        if not name:
            if not known:
                raise InvalidField.of(
                    "backup",
                    f"there is no backup in {self.directory}",
                    "give the path of a copy of the store",
                )
            return next((backup for backup in known if backup.at <= now), known[0]).path
        for backup in known:
            if backup.name == name:
                return backup.path
        path = Path(name).expanduser()
        if path.is_absolute() and path.is_file():
            return path
        raise InvalidField.of(
            "backup",
            f"no backup '{name}'",
            "nexoctl store backups lists them; another file needs its whole path",
        )

    def _free_name(self, reason: str, now: datetime) -> Path:
        stamp = now.astimezone(UTC).strftime(_STAMP)
        try:
            private_directory(self.directory)
            taken = [
                int(match[2] or 0)
                for path in self.directory.iterdir()
                if (match := _NAME.fullmatch(path.name)) and match[1] == stamp
            ]
        except UnsafePathError as error:
            raise StoreFailed(f"the directory of the backups: {error}", hint=error.hint) from None
        except OSError as error:
            raise _file_error(self.directory, error) from None
        # A number freed by rotation is not used again, so that the names sort by time.
        counter = f"-{max(taken) + 1}" if taken else ""
        return self.directory / f"connections-{stamp}{counter}-{reason}.db"

    def _rotate(self, made: BackupFile) -> None:
        others = [one for one in self.list() if one.reason == made.reason and one.path != made.path]
        # If the clock was set back, backups dated in the future are removed first.
        others.sort(key=lambda one: one.at <= made.at, reverse=True)
        for backup in others[KEPT.get(made.reason, 10) - 1 :]:
            with suppress(OSError):
                backup.path.unlink()


def _moment(stamp: str) -> datetime | None:
    """The time in a file name; None if the file is not a backup of ours."""
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def examine(path: Path) -> tuple[str, ...]:
    """Why a file cannot be restored; empty if it can. Does not write to the file."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        return (f"cannot be read: {error.strerror}",)
    if (
        not head.startswith(b"SQLite format 3\0")
        or int.from_bytes(head[68:72], "big") != tables.APPLICATION_ID
    ):
        return ("is not a store of Nexo Connections",)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        problems = tuple(reading.check(db))
        if problems:
            return problems
        found = db.execute("SELECT version_num FROM alembic_version").fetchone()
    if not found or found[0] not in schemas.REVISIONS:
        return ("was written by a newer version of Nexo Connections",)
    return ()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    # The file is ours alone, and without this SQLite would need shared memory to open its log.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _full() -> StoreFull:
    return StoreFull("the disk is full: no backup was made", hint="free some space and try again")


def _file_error(path: Path, error: OSError) -> StoreFull | StoreFailed:
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return _full()
    return StoreFailed(
        f"no backup was made: {path}: {error.strerror}", hint="check permissions and free space there"
    )
