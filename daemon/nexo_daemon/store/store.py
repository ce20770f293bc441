"""The store: opens one SQLite file, determines its condition, and changes it in transactions.

Synchronous. Problems at start are of two kinds: if the file must not be used (owner, mode, newer schema), the
start is refused (`StoreUnusable`); if it is damaged, foreign or read-only, a private copy is served
read-only, and the original stays unchanged. Backups, checks and restores: `store.maintenance`. Key slots:
`store.key_manager`.
"""

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nexo.connections import schemas
from nexo.connections.errors import NexoError, StoreFailed
from nexo.connections.paths import BACKUPS, UnsafePathError
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import (
    AutoLock,
    Credentials,
    HandoutRecord,
    Health,
    Sample,
    Settings,
    StoredConnection,
    StoredState,
    Transition,
)
from nexo_daemon.store import files, reading, restoring, rows, tables, unsealing
from nexo_daemon.store import history as past
from nexo_daemon.store.backups import Backups, examine
from nexo_daemon.store.database import RESTORE_HINT, Database
from nexo_daemon.store.files import FoundStore, StoreUnusable
from nexo_daemon.store.key_manager import KeyManager
from nexo_daemon.store.known_stores import KnownStores
from nexo_daemon.store.soundness import sound_rows
from nexo_daemon.store.sqlite import lacking, lacks_shared_memory
from nexo_daemon.store.transaction import Transaction
from nexo_daemon.vault.vault import SecretVault
from nexo_daemon.vault.wrapping_keys import UnlockContext

if TYPE_CHECKING:
    from nexo_daemon.domain.gateway import UsageCounts, UsageKey
    from nexo_daemon.store.writing import Writing

__all__ = ["Store", "StoreUnusable", "Transaction"]

log = logging.getLogger(__name__)

MISSING_ADVICE = (
    "mount it or move it back; or bring back a backup (nexoctl store restore), or begin with an empty one "
    "(nexoctl store restore --empty)"
)


class Store:
    """The opened store. Create it with `Store.open`.

    Attributes:
        problem: why it is read-only and what to do; empty if it is writable.
        advice: the second part of `problem`.
        missing: there was a store at this path, and now there is none.
        damaged: whether it is read-only because its content cannot be trusted.
    """

    def __init__(self, path: Path, context: UnlockContext, clock: Clock, known_stores: KnownStores) -> None:
        self.path = path
        self.vault = SecretVault()
        self.database = Database()
        self.backups = Backups(path.parent / BACKUPS)
        self.key_manager = KeyManager(self.database, self.vault, context, clock)
        self.problem = self.advice = ""
        self.damaged = self.missing = False
        self._known_stores = known_stores
        self._clock = clock
        self._copy: Path | None = None
        self._loaded = StoredState(Settings(), (), (), {})
        # This process is the only writer, so the settings need not be read for each transaction.
        self._current: tuple[Settings, bytes] | None = None

    @staticmethod
    def open(
        path: Path,
        *,
        key_file: Path,
        clock: Clock,
        context: UnlockContext | None = None,
        known_stores: Path | None = None,
    ) -> "Store":
        """Open the store and its vault; create them if there are none.

        Args:
            surroundings: the places of keys; by default from the environment.
            known_stores: the file with paths of earlier stores; without it, a missing store is not noticed.

        Raises:
            StoreUnusable: wrong owner or mode, a newer schema, or the store cannot be created. Nothing was
                changed.
        """
        store = Store(path, context or UnlockContext.of(key_file), clock, KnownStores(known_stores))
        try:
            store._open()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def state(self) -> StoreState:
        """Whether changes can be saved."""
        return StoreState.READ_ONLY if self.problem else StoreState.READ_WRITE

    # --- opening -----------------------------------------------------------------------------------------

    def _open(self) -> None:
        restoring.remove_leftovers(self.path, self.backups.directory)
        found = files.inspect(self.path)
        try:
            if restoring.finish(self.path, self.backups.directory, self._clock.now()):
                found = files.inspect(self.path)
        except OSError as error:
            raise StoreUnusable(
                f"a restore of the store {self.path} cannot be finished: {error.strerror}",
                "check free space and permissions there, then start again",
            ) from None
        if found is FoundStore.NOTHING:
            if self._known_stores.knows(self.path):
                self._serve_missing()
                return
            _create(self.path)
            found = files.inspect(self.path)
        if found is FoundStore.EMPTY:
            self._serve_nothing("the file is empty, which a store of Nexo Connections never is")
            return
        if found is FoundStore.SOMETHING_ELSE or files.application_id(self.path) != tables.APPLICATION_ID:
            self._serve_nothing("the file is not a store of Nexo Connections, or its first page is destroyed")
            return
        files.require_locks(self.path)
        obstacle, advice = files.write_obstacle(self.path)
        problems, revision = ([], tables.HEAD) if obstacle else self._examine()
        if obstacle or problems:
            self._serve_copy(obstacle, problems, advice)
            return
        self._serve(revision)
        self._known_stores.add(self.path)

    def _examine(self) -> tuple[list[str], str]:
        """Examine the file without changing it: a read-only connection neither recovers nor checkpoints."""
        # Without a log, "immutable" keeps SQLite from creating an empty one beside a damaged file.
        mode = "ro" if Path(f"{self.path}-wal").exists() else "ro&immutable=1"
        try:
            with closing(
                sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None
                )
            ) as db:
                db.execute("PRAGMA trusted_schema=OFF")
                try:
                    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    # Damage is reported by the check below.
                    if isinstance(error, sqlite3.Error) and lacks_shared_memory(error):
                        return self._examine_copy()
                problems = list(reading.check(db))
                return problems, "" if problems else self._revision(db)
        except sqlite3.Error as error:
            if reading.is_busy(error):
                raise StoreUnusable(
                    f"another program holds the store {self.path} locked",
                    f"close it, then start again; this names it: fuser '{self.path}'",
                ) from None
            unfit = lacking(error)
            if unfit:
                raise StoreUnusable(*files.unfit_for(self.path, unfit)) from None
            return [str(error)], ""

    def _examine_copy(self) -> tuple[list[str], str]:
        """Examine a private copy, because the store's file system has no shared memory for the log."""
        try:
            copy = files.private_copy(self.path)
        except OSError as error:
            raise StoreUnusable(
                f"the store {self.path} cannot be copied for a check: {error.strerror}",
                "make room in the temporary directory (TMPDIR), then start again",
            ) from None
        try:
            with closing(sqlite3.connect(copy, isolation_level=None)) as db:
                db.execute("PRAGMA trusted_schema=OFF")
                problems = list(reading.check(db))
                return problems, "" if problems else self._revision(db)
        except sqlite3.Error as error:
            return [str(error)], ""
        finally:
            shutil.rmtree(copy.parent, ignore_errors=True)

    def _revision(self, db: sqlite3.Connection) -> str:
        found = db.execute("SELECT version_num FROM alembic_version").fetchone()
        revision = str(found[0]) if found else "none"
        if revision not in schemas.REVISIONS:
            raise StoreUnusable(
                f"the store {self.path} has the schema '{revision}', which this version does not know: "
                "a newer version of Nexo Connections wrote it",
                f"install that version again (nothing was changed){self._hint_of_newest_backup()}",
            )
        return revision

    def _hint_of_newest_backup(self) -> str:
        """The words that name the newest backup which this version can restore; empty if there is none."""
        for backup in self.backups.list():
            if not examine(backup.path):
                return (
                    f"; or go back to {backup.name}: move the files {self.path}* away, "
                    f"and run: nexoctl store restore {backup.name}"
                )
        return ""

    def _serve(self, revision: str) -> None:
        try:
            self.database.open(self.path)
            if revision != tables.HEAD:
                self._migrate(revision)
            with self.database.reading() as db:
                result = reading.read(db)
        except NexoError as error:
            self.database.close()
            self._serve_copy("", [error.message])
            return
        if result.problems:
            self.database.close()
            self._serve_copy("", list(result.problems))
            return
        self._loaded = result.state
        self.key_manager.open(result.slots, dict(result.data_keys))

    def _migrate(self, revision: str) -> None:
        from sqlalchemy.exc import DBAPIError

        from nexo_daemon.store.upgrade import MigrationFailedError, upgrade

        self.backups.make(self.database, "migration", self._clock.now())
        try:
            with self.database.outside_transactions() as db:
                upgrade(db, tables.HEAD)
        except (MigrationFailedError, DBAPIError) as error:
            raise StoreUnusable(
                f"the store {self.path} could not be migrated from schema {revision} to {tables.HEAD}: "
                f"{getattr(error, 'orig', error)}",
                "nothing was changed; install the earlier version again and report this",
            ) from None

    def _serve_nothing(self, problem: str) -> None:
        self.damaged = True
        self._set_problem(
            f"{self.path}: {problem}; it was left as it is", f"{RESTORE_HINT}, or move the file away"
        )
        self.vault.shut(VaultState.LOCKED, "", "the store is unreadable", RESTORE_HINT)

    def _serve_missing(self) -> None:
        self.missing = True
        problem = f"{self.path} is gone: there was a store, and now there is none"
        self._set_problem(problem, MISSING_ADVICE)
        self._loaded = StoredState(Settings(), (), (), {}, (problem, MISSING_ADVICE))
        self.vault.shut(VaultState.LOCKED, "", "the store is gone", MISSING_ADVICE)

    def _serve_copy(self, obstacle: str, problems: list[str], advice: str = "") -> None:
        self._set_problem(f"{self.path}: {obstacle}", advice)
        # The daemon must start and report the problem, whatever a damaged file does to the reader.
        with suppress(OSError, UnsafePathError, NexoError, sqlite3.Error):
            self._copy = files.private_copy(self.path)
            self.database.open(self._copy)
            with self.database.reading() as db:
                result = reading.read(db)
            self._loaded = result.state
            problems = [*problems, *(p for p in result.problems if p not in problems)]
            self.key_manager.open(result.slots, dict(result.data_keys))
        if problems:
            self.damaged = True
            self._set_problem(
                f"{self.path} is damaged ({'; '.join(problems[:3])}); it was left as it is and serves "
                "what can be read",
                RESTORE_HINT,
            )

    def _set_problem(self, problem: str, advice: str) -> None:
        self.problem = f"{problem}. {advice}" if advice else problem
        self.database.read_only = problem
        self.advice = self.database.advice = advice

    def look(self) -> bool:
        """Check that the file is the opened one, and writable. Call it on the store thread.

        Returns whether a store that was missing at the start has returned; the caller then opens it.
        """
        if self.missing:
            return self.path.exists()
        if self.damaged or self._copy is not None:
            return False
        loss = self.database.loss()
        try:
            problem, advice = (loss.problem, loss.advice) if loss else files.write_obstacle(self.path)
        except OSError:
            # Removed at this moment; the next call reports it.
            return False
        if problem and loss is None:
            problem = f"{self.path}: {problem}"
        if problem != self.database.read_only:
            self._set_problem(problem, advice)
        return False

    def begin_anew(self) -> StoredState:
        """Create an empty store instead of a missing one, because a person decided so.

        Raises:
            StoreFailed: there is a store.
            StoreUnusable: it cannot be created.
        """
        if not self.missing or self.path.exists():
            raise StoreFailed(f"there is a store: {self.path}", hint="nexoctl store check shows its state")
        _create(self.path)
        return self.reopen()

    # --- reading and changing ----------------------------------------------------------------------------

    @staticmethod
    def load_what_writes() -> None:
        """Import the modules for writing (SQLAlchemy), on a thread that no call waits for; it takes long."""
        from nexo_daemon.store import recording, writing  # noqa: F401

    def prepare(self) -> None:
        """Connect SQLAlchemy, so that the first change is fast. Call it on the store thread.

        Raises:
            StoreFailed: SQLite reports an error; the first change will report it too.
        """
        self.database.prepare()

    def load(self) -> StoredState:
        """All data that is kept in memory, as of the opening of the store or the last `reload`."""
        return self._loaded

    def reload(self) -> StoredState:
        """Read everything again, after a rotation of the data key.

        Raises:
            StoreFailed: the store cannot be read.
        """
        with self.database.reading() as db:
            self._loaded = reading.read(db).state
        return self._loaded

    def reopen(self) -> StoredState:
        """Close and open again, after a restore.

        Raises:
            StoreUnusable: as `open`.
        """
        self.close()
        self._current = None
        self.damaged = self.missing = False
        self._set_problem("", "")
        self._open()
        return self._loaded

    def unseal(self, connection: StoredConnection) -> Credentials:
        """The plaintext secrets of a connection. Does not use the database; takes microseconds.

        Raises:
            VaultLocked, VaultKeyLost: there is no key.
            SecretTampered: a secret, its place or its destination was changed outside of the daemon.
        """
        return unsealing.unseal(self.vault, connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: all changes or none; they are on the disk when the block ends without an error.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved; everything is as before.
        """
        with self.database.begin() as db:
            settings, bindings_digest = self._current or self._read_settings(db)
            # After an error the content of the file is not known, so the next transaction reads it.
            self._current = None
            transaction = Transaction(db, self.vault, settings, bindings_digest)
            yield transaction
            transaction.write_settings()
        self._current = (transaction.settings, transaction.bindings_digest)

    def _read_settings(self, db: "Writing") -> tuple[Settings, bytes]:
        fallback = [row["connection_id"] for row in db.select(tables.fallback, "1 ORDER BY position")]
        (row,) = db.select(tables.settings)
        return rows.settings_from_row(row, tuple(fallback)), row["bindings_digest"]

    def record_health(
        self, samples: Sequence[Sample], transitions: Sequence[Transition], health: Mapping[str, Health]
    ) -> None:
        """Store results of checks, in one transaction.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        from nexo_daemon.store import recording

        with self.database.begin() as db:
            recording.record_health(db, samples, transitions, health)

    def history(
        self, connection_id: str, since: datetime, until: datetime
    ) -> tuple[list[Transition], list[Sample]]:
        """Changes and checks of a connection in a window, oldest first.

        Raises:
            StoreFailed: could not be read.
        """
        with self.database.reading() as db:
            return past.history(db, connection_id, since, until)

    def upkeep(self, now: datetime) -> None:
        """Thin the history, and make the daily backup if it is due.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: nothing was changed.
        """
        from nexo_daemon.store import recording

        with self.database.begin() as db:
            recording.thin(db, now)
            recording.thin_usage(db, now)
        if self.backups.due(now):
            self.backups.make(self.database, "daily", now)

    def record_handouts(self, handouts: Sequence[tuple[HandoutRecord, int | None]]) -> list[int]:
        """Add to the audit record: see `recording.record_handouts`.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        from nexo_daemon.store import recording

        with self.database.begin() as db:
            return recording.record_handouts(db, handouts)

    def record_usage(
        self, used: Sequence[tuple["UsageKey", "UsageCounts"]], seen: Sequence[tuple[str, datetime]]
    ) -> None:
        """Add to the usage counts, and note when tokens were last used.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        from nexo_daemon.store import recording

        with self.database.begin() as db:
            recording.record_usage(db, used, seen)

    def auto_lock(self) -> AutoLock:
        """The auto-lock setting; never lock, if the row cannot be read.

        Raises:
            StoreFailed: the store could not be read.
        """
        with self.database.reading() as db:
            found = list(sound_rows(db, tables.auto_lock))
        return next((AutoLock(r["idle_s"], r["on_suspend"], r["on_screen_lock"]) for r in found), AutoLock())

    def set_auto_lock(self, wanted: AutoLock) -> None:
        """Store the auto-lock setting.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        with self.database.begin() as db:
            db.delete(tables.auto_lock)
            db.insert(tables.auto_lock, {"id": 1, **asdict(wanted)})

    def handouts(
        self, connection_id: str | None, limit: int, since: datetime | None = None
    ) -> list[HandoutRecord]:
        """The audit record, newest first; with `since` only hand-outs at that time or later.

        Raises:
            StoreFailed: could not be read.
        """
        with self.database.reading() as db:
            return past.handouts(db, connection_id, limit, since)

    def rescue(self) -> None:
        """Before the daemon ends: if the store's file was removed, make a backup of what is in memory."""
        if self.damaged or self._copy is not None or not self.database.is_open or not self.database.loss():
            return
        try:
            made = self.backups.make(self.database, "rescue", self._clock.now())
        except NexoError as error:
            log.error("the data is lost when the daemon ends: %s", error.message)
        else:
            log.warning("the store was lost; what was in it is saved: %s", made.path)

    def close(self) -> None:
        """Write the log back and close. May be called twice."""
        self.database.close()
        if self._copy is not None:
            shutil.rmtree(self._copy.parent, ignore_errors=True)
            self._copy = None


def _create(path: Path) -> None:
    from nexo_daemon.store.creation import create

    create(path)
