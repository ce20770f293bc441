"""The store: opens one SQLite file, says in what condition it is, and changes it in transactions.

Synchronous; one thread at a time. What may go wrong at start is told apart here: a file that is not ours to
touch refuses the start (`StoreUnusable`); one that is damaged, foreign or read-only is served read-only from
a private copy, so that its bytes stay as they are.
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nexo_client.terms import StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import SecretTampered, StoreReadOnly
from nexo_daemon.domain.model import (
    Connection,
    Credentials,
    Handout,
    Health,
    Sample,
    SecretKind,
    Settings,
    StoredState,
    Transition,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import creation, files, reading, rows, schema
from nexo_daemon.store import history as past
from nexo_daemon.store.engine import explained, open_engine
from nexo_daemon.store.files import Found, StoreUnusable
from nexo_daemon.store.transaction import Transaction, destination
from nexo_daemon.vault import keyfile, opening
from nexo_daemon.vault.vault import Vault

_RESTORE = "nexoctl store restore brings back a backup"


class Store:
    """The opened store. Make it with `Store.open`."""

    def __init__(self, path: Path, key_file: Path, clock: Clock) -> None:
        self.path = path
        self.vault = Vault()
        self.state = StoreState.READ_WRITE
        self.problem = ""
        self._key_file = key_file
        self._clock = clock
        self._engine: sa.Engine | None = None
        self._db: sa.Connection | None = None
        self._copy: Path | None = None
        self._lock = threading.RLock()
        self._loaded = StoredState(Settings(), (), (), {})

    @staticmethod
    def open(path: Path, *, key_file: Path, clock: Clock) -> "Store":
        """Open the store and its vault; make them if there is nothing.

        Raises:
            StoreUnusable: wrong owner or mode, a newer schema, or it cannot be made. Nothing was changed.
        """
        store = Store(path, key_file, clock)
        try:
            store._open()
        except BaseException:
            store.close()
            raise
        return store

    # --- opening -----------------------------------------------------------------------------------------

    def _open(self) -> None:
        found = files.inspect(self.path)
        if found is Found.NOTHING:
            creation.create(self.path)
            found = files.inspect(self.path)
        if found is Found.EMPTY:
            self._serve_nothing("the file has no bytes, which no store of ours ever has")
            return
        if found is Found.SOMETHING_ELSE or files.application_id(self.path) != schema.APPLICATION_ID:
            self._serve_nothing("the file is not a store of Nexo Connections, or its first page is destroyed")
            return
        obstacle = files.write_obstacle(self.path)
        problems = self._examine() if not obstacle else []
        if obstacle or problems:
            self._serve_copy(obstacle, problems)
            return
        self._connect(self.path)
        result = self._read()
        if result.problems:
            self._disconnect()
            self._serve_copy("", list(result.problems))
            return
        self._loaded = result.state
        self._open_vault(result)

    def _examine(self) -> list[str]:
        """Look without a hand on it: a read-only connection neither recovers nor checkpoints."""
        try:
            db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            return [str(error)]
        try:
            db.execute("PRAGMA trusted_schema=OFF")
            problems = list(reading.check(db))
            if not problems:
                self._check_version(db)
            return problems
        finally:
            db.close()

    def _check_version(self, db: sqlite3.Connection) -> None:
        try:
            found = db.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.Error:
            found = None
        revision = found[0] if found else "none"
        if revision not in schema.REVISIONS:
            raise StoreUnusable(
                f"the store {self.path} has the schema '{revision}', which this version does not know: "
                "a newer version of Nexo Connections wrote it",
                "install that version again (nothing was changed)",
            )

    def _connect(self, path: Path) -> None:
        self._engine = open_engine(path)
        with explained():
            self._db = self._engine.connect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        if self._engine is not None:
            self._engine.dispose()
        self._db = self._engine = None

    def _read(self) -> reading.Reading:
        assert self._db is not None  # noqa: S101 - the caller connected
        with self._db.begin():
            return reading.read(self._db)

    def _serve_nothing(self, problem: str) -> None:
        self.state = StoreState.READ_ONLY
        self.problem = f"{self.path}: {problem}; it was left as it is. {_RESTORE}, or move the file away"
        self.vault.shut(VaultState.LOCKED, "", "the store is unreadable", _RESTORE)

    def _serve_copy(self, obstacle: str, problems: list[str]) -> None:
        self.state = StoreState.READ_ONLY
        with suppress(OSError, DBAPIError, sqlite3.Error):
            self._copy = files.private_copy(self.path)
            self._connect(self._copy)
            result = self._read()
            self._loaded = result.state
            problems = [*problems, *(p for p in result.problems if p not in problems)]
            self._open_vault(result)
        if problems:
            self.problem = (
                f"{self.path} is damaged ({'; '.join(problems[:3])}); it was left as it is and serves "
                f"what can be read. {_RESTORE}"
            )
        else:
            self.problem = f"{self.path}: {obstacle}"

    def _open_vault(self, result: reading.Reading) -> None:
        if result.data_key_ids or self.state is StoreState.READ_ONLY:
            opening.open_vault(self.vault, result.slots, self._key_file)
            return
        try:
            founding = opening.found_with_key_file(self._key_file, self._clock.now())
        except keyfile.KeyFileUnreadableError as error:
            self.vault.shut(VaultState.LOCKED, "key_file", str(error), error.hint)
            return
        except OSError as error:
            self.vault.shut(
                VaultState.LOCKED,
                "key_file",
                f"the key file {self._key_file} cannot be written: {error.strerror}",
                "check free space and permissions there, then restart the daemon",
            )
            return
        with self._begin() as db:
            db.execute(
                sa.insert(schema.data_keys),
                {"id": founding.data_key.id, "created_at": founding.created_at},
            )
            db.execute(sa.insert(schema.key_slots), rows.slot_to_row(founding.slot))
        self.vault.unlocked(founding.data_key, founding.slot.kind)

    # --- reading and changing ----------------------------------------------------------------------------

    def load(self) -> StoredState:
        """Everything that is kept in memory, as it was when the store was opened."""
        return self._loaded

    def unseal(self, connection: Connection) -> Credentials:
        """The secrets of a connection in the clear. Needs no database; microseconds.

        Raises:
            VaultLocked, VaultKeyLost: there is no key.
            SecretTampered: a secret, its place or its destination was changed outside of the daemon.
        """
        singles: dict[SecretKind, Secret] = {}
        headers: list[tuple[int, str, Secret]] = []
        route = rows.route(connection.network)
        for one in connection.sealed:
            secret = self.vault.open(
                one, connection_id=connection.id, origin=destination(connection, one.kind), route=route
            )
            if one.kind is SecretKind.HEADER:
                headers.append((one.position, one.name, secret))
            elif one.kind in singles:
                raise SecretTampered(f"'{connection.name}' has two secrets of one kind", hint=_RESTORE)
            else:
                singles[one.kind] = secret
        return Credentials(
            api_key=singles.get(SecretKind.API_KEY),
            headers=tuple((name, secret) for _, name, secret in sorted(headers, key=lambda h: h[0])),
            proxy_credentials=singles.get(SecretKind.PROXY_CREDENTIALS),
            previous_api_key=singles.get(SecretKind.PREVIOUS_API_KEY),
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change things together or not at all; on disk when the block ends without an error.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved; everything is as before.
        """
        with self._begin() as db:
            transaction = Transaction(db, self.vault, self._settings(db))
            yield transaction
            transaction.write_settings()

    def _settings(self, db: sa.Connection) -> Settings:
        fallback = db.execute(
            sa.select(schema.fallback.c.connection_id).order_by(schema.fallback.c.position)
        ).scalars()
        row = db.execute(sa.select(schema.settings)).one()
        return rows.settings_from_row(row._asdict(), tuple(fallback))

    def record_health(
        self, samples: Sequence[Sample], transitions: Sequence[Transition], health: Mapping[str, Health]
    ) -> None:
        """Store what checks found, in one transaction.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        with self._begin() as db:
            past.record_health(db, samples, transitions, health)

    def history(self, connection_id: str, since: datetime) -> tuple[list[Transition], list[Sample]]:
        """Changes and checks of a connection since then, oldest first.

        Raises:
            StoreFailed: could not be read.
        """
        with self._reading() as db:
            return ([], []) if db is None else past.history(db, connection_id, since)

    def thin_history(self, now: datetime) -> None:
        """Merge and forget old history.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: nothing was changed.
        """
        with self._begin() as db:
            past.thin(db, now)

    def record_handouts(self, handouts: Sequence[Handout]) -> None:
        """Add to the audit record.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        with self._begin() as db:
            past.record_handouts(db, handouts)

    def handouts(self, connection_id: str | None, limit: int) -> list[Handout]:
        """The audit record, newest first.

        Raises:
            StoreFailed: could not be read.
        """
        with self._reading() as db:
            return [] if db is None else past.handouts(db, connection_id, limit)

    def close(self) -> None:
        """Checkpoint and close. May be called twice."""
        with self._lock:
            if self._db is not None and self.state is StoreState.READ_WRITE:
                with suppress(DBAPIError):
                    self._db.rollback()
                    self._engine_execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._disconnect()
            if self._copy is not None:
                shutil.rmtree(self._copy.parent, ignore_errors=True)
                self._copy = None

    def _engine_execute(self, pragma: str) -> None:
        assert self._db is not None  # noqa: S101 - the caller checked
        driver = self._db.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - narrows a type
        with suppress(sqlite3.Error):
            driver.execute(pragma).fetchall()
        self._db.rollback()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self._lock:
            if self.state is StoreState.READ_ONLY or self._db is None:
                raise StoreReadOnly(f"the store takes no changes: {self.problem}", hint=_RESTORE)
            with explained():
                try:
                    self._db.begin()
                    yield self._db
                    self._db.commit()
                except BaseException:
                    with suppress(DBAPIError, sqlite3.Error):
                        self._db.rollback()
                    raise

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        with self._lock:
            if self._db is None:
                yield None
                return
            with explained(), self._db.begin():
                yield self._db
