"""Replaces the store by a backup: prepared beside it, then moved in; the old files are kept.

The prepared file is the point of no return: after a crash behind it the next start finishes the restore,
after a crash before it the store is unchanged. The old file and its log are kept among the backups, even if
damaged.
"""

import logging
import os
import re
import secrets
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nexo.connections.files import sync
from nexo_daemon.store import backups as backup_files
from nexo_daemon.store import rows, tables
from nexo_daemon.store.database import Database
from nexo_daemon.store.files import SIDE_FILES, create_private
from nexo_daemon.vault.slots import WrappedKey

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing

log = logging.getLogger(__name__)


def _prepared(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")


class Candidate:
    """A writable copy of a backup that is prepared to become the store. Close it."""

    def __init__(self, path: Path, source: Path) -> None:
        self._path = path
        self.file = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        create_private(self.file)
        with source.open("rb") as reader, self.file.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
        self.database = Database()

    def carry_over(self, slots: tuple[WrappedKey, ...], revision: int) -> None:
        """Write the present key slots into it, and a revision that no client has seen."""
        with self.database.begin() as db:
            db.delete(tables.key_slots)
            db.insert(tables.key_slots, *map(rows.slot_to_row, slots))
            self._settle(db, revision)

    def settle(self, revision: int) -> None:
        """Write a revision that no client has seen; its own key slots stay."""
        with self.database.begin() as db:
            self._settle(db, revision)

    @staticmethod
    def _settle(db: "Writing", revision: int) -> None:
        (row,) = db.select(tables.settings)
        settings = rows.settings_from_row(row, ())
        later = replace(settings, revision=max(settings.revision, revision) + 1)
        db.update_settings(rows.settings_to_row(later, row["bindings_digest"]))

    def commit(self) -> None:
        """Rename it to the prepared file; from here on the restore will be finished."""
        self.database.close()
        with closing(sqlite3.connect(self.file, isolation_level=None)) as db:
            # The file is ours alone; without shared memory its log can be opened in no other way.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=DELETE")
        self.file.replace(_prepared(self._path))
        sync(self._path.parent)

    def close(self) -> None:
        """Remove temporary files."""
        self.database.close()
        for side in ("", *SIDE_FILES):
            with suppress(OSError):
                Path(f"{self.file}{side}").unlink()


def finish(path: Path, backups: Path, now: datetime) -> bool:
    """Move a prepared file, if any, to the store's path; returns whether. The store must be closed.

    A file that was damaged since then is removed: the store must not be replaced by what cannot be read.
    """
    prepared = _prepared(path)
    if not os.path.lexists(prepared):
        return False
    problems = ("is a symbolic link",) if prepared.is_symlink() else backup_files.examine(prepared)
    if problems:
        log.warning("the store is not restored: %s %s; it was removed", prepared, problems[0])
        prepared.unlink()
        return False
    aside = backups / f"replaced-{now.strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(2)}"
    if path.exists():
        aside.mkdir(mode=0o700, parents=True)
        for side in ("", "-wal", "-journal"):
            _keep(Path(f"{path}{side}"), aside)
        # Synced to the disk before the log beside the store is removed.
        sync(aside)
        sync(backups)
    for side in SIDE_FILES:
        # A remaining log would be replayed into the new file.
        with suppress(FileNotFoundError):
            Path(f"{path}{side}").unlink()
    sync(path.parent)
    prepared.replace(path)
    sync(path.parent)
    _forget_old(backups, aside)
    return True


def _keep(file: Path, aside: Path) -> None:
    """Give the file a second name, which needs no space; copy it where hard links are impossible."""
    if not file.exists():
        return
    kept = aside / file.name
    try:
        kept.hardlink_to(file)
    except OSError:
        create_private(kept)
        with file.open("rb") as reader, kept.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())


def remove_leftovers(path: Path, backups: Path) -> None:
    """Remove files that a killed daemon was preparing. The store must be closed."""
    preparing = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}(-wal|-shm|-journal)?")
    with suppress(OSError):
        for file in path.parent.iterdir():
            if preparing.fullmatch(file.name) and file.is_file():
                file.unlink()
    with suppress(OSError):
        for file in backups.iterdir():
            if file.name.startswith(".connections-") and ".part" in file.name and file.is_file():
                file.unlink()


def _forget_old(backups: Path, newest: Path) -> None:
    # The newest is excluded by name: after a change of the clock it may not sort last.
    others = sorted((p for p in backups.glob("replaced-*") if p.is_dir() and p != newest), reverse=True)
    for directory in others[2:]:
        shutil.rmtree(directory, ignore_errors=True)
