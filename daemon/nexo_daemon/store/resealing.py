"""Work on all sealed secrets of a store: seal them with another key, or try whether they open."""

import logging
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nexo.connections.errors import NexoError, SecretTampered
from nexo_daemon.domain.model import SealedSecret, StoredConnection
from nexo_daemon.store import rows, tables
from nexo_daemon.store.database import Database
from nexo_daemon.store.destinations import destination
from nexo_daemon.store.unsealing import unseal
from nexo_daemon.vault.sealing import FORM
from nexo_daemon.vault.vault import DataKey, SecretVault

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing

log = logging.getLogger(__name__)


def reseal_all(db: "Writing", old: DataKey, new: DataKey) -> None:
    """Open each with `old` and seal it with `new`, in the caller's transaction.

    Raises:
        SecretTampered: a secret does not open; the message names its connection.
    """
    opening, sealing = SecretVault(), SecretVault()
    opening.unlocked(old, "")
    sealing.unlocked(new, "")
    for connection, sealed in _all(db.sqlite):
        try:
            _reseal(db, connection, sealed, opening, sealing)
        except SecretTampered as error:
            raise SecretTampered(f"'{connection.name}': {error.message}", hint=error.hint) from None


def reseal_old_forms(database: Database, key: DataKey) -> None:
    """Seal secrets in an older form again, in one transaction. Those that do not open stay as they are.

    Raises:
        StoreReadOnly, StoreFull, StoreFailed: nothing was changed.
    """
    old = ("form <> ? AND key_id = ?", (FORM, key.id))
    with database.reading() as db:
        if not any(tables.select(db, tables.secrets, *old)):
            return
    vault = SecretVault()
    vault.unlocked(key, "")
    with database.begin() as changes:
        for connection, sealed in _all(changes.sqlite, *old):
            try:
                _reseal(changes, connection, sealed, vault, vault)
            except SecretTampered as error:
                log.warning("'%s' has a secret that does not open: %s", connection.name, error.message)


def _reseal(
    db: "Writing",
    connection: StoredConnection,
    sealed: SealedSecret,
    opening: SecretVault,
    sealing: SecretVault,
) -> None:
    sent_to = destination(connection, sealed.kind)
    fresh = sealing.seal(
        opening.open(sealed, connection_id=connection.id, destination=sent_to),
        row_id=sealed.id,
        connection_id=connection.id,
        kind=sealed.kind,
        name=sealed.name,
        position=sealed.position,
        destination=sent_to,
    )
    db.update(tables.secrets, rows.secret_to_row(fresh, connection.id), id=sealed.id)


def unopenable(db: sqlite3.Connection, vault: SecretVault) -> tuple[str, ...]:
    """Names of the connections with secrets that do not open."""
    sealed: dict[str, list[SealedSecret]] = {}
    for connection, one in _all(db):
        sealed.setdefault(connection.id, []).append(one)
    names = []
    for row in tables.select(db, tables.connections):
        connection = rows.connection_from_row(row, tuple(sealed.get(row["id"], ())))
        try:
            unseal(vault, connection)
        except NexoError:
            names.append(connection.name)
    return tuple(names)


def _all(
    db: sqlite3.Connection, where: str = "1", values: tuple[object, ...] = ()
) -> Iterator[tuple[StoredConnection, SealedSecret]]:
    connections = {
        row["id"]: rows.connection_from_row(row, ()) for row in tables.select(db, tables.connections)
    }
    # Read completely first, because the caller changes the table in between.
    for row in list(tables.select(db, tables.secrets, where, values)):
        yield connections[row["connection_id"]], rows.secret_from_row(row)
