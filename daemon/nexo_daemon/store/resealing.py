"""Every sealed secret of the store at once: sealed again under another key, or tried whether it opens."""

import logging
from collections.abc import Iterator

import sqlalchemy as sa

from nexo.connections.errors import NexoError, SecretTampered
from nexo_daemon.domain.model import SealedSecret, StoredConnection
from nexo_daemon.store import rows, schema
from nexo_daemon.store.database import Database
from nexo_daemon.store.ties import ties
from nexo_daemon.store.unsealing import unseal
from nexo_daemon.vault.sealing import FORM
from nexo_daemon.vault.vault import DataKey, SecretVault

log = logging.getLogger(__name__)


def reseal_all(db: sa.Connection, old: DataKey, new: DataKey) -> None:
    """Open each with `old` and seal it with `new`, in the caller's transaction.

    Raises:
        SecretTampered: one does not open; it is named.
    """
    opening, sealing = SecretVault(), SecretVault()
    opening.unlocked(old, "")
    sealing.unlocked(new, "")
    for connection, sealed in _all(db):
        bound = ties(connection, sealed.kind)
        try:
            secret = opening.open(sealed, connection_id=connection.id, ties=bound)
        except SecretTampered as error:
            raise SecretTampered(f"'{connection.name}': {error.message}", hint=error.hint) from None
        fresh = sealing.seal(
            secret,
            row_id=sealed.id,
            connection_id=connection.id,
            kind=sealed.kind,
            name=sealed.name,
            position=sealed.position,
            ties=bound,
        )
        table = schema.secrets
        db.execute(sa.update(table).where(table.c.id == sealed.id), rows.secret_to_row(fresh, connection.id))


def reseal_old_forms(database: Database, key: DataKey) -> None:
    """Seal again what is in an earlier form, in one transaction. What does not open stays, and is refused.

    Raises:
        StoreReadOnly, StoreFull, StoreFailed: nothing was changed.
    """
    table = schema.secrets
    old = sa.and_(table.c.form != FORM, table.c.key_id == key.id)
    with database.reading() as db:
        if not db.execute(sa.select(sa.exists().where(old))).scalar():
            return
    vault = SecretVault()
    vault.unlocked(key, "")
    with database.begin() as db:
        for connection, sealed in _all(db, old):
            bound = ties(connection, sealed.kind)
            try:
                secret = vault.open(sealed, connection_id=connection.id, ties=bound)
            except SecretTampered as error:
                log.warning("'%s' keeps a secret that does not open: %s", connection.name, error.message)
                continue
            fresh = vault.seal(
                secret,
                row_id=sealed.id,
                connection_id=connection.id,
                kind=sealed.kind,
                name=sealed.name,
                position=sealed.position,
                ties=bound,
            )
            row = rows.secret_to_row(fresh, connection.id)
            db.execute(sa.update(table).where(table.c.id == sealed.id), row)


def unopenable(db: sa.Connection, vault: SecretVault) -> tuple[str, ...]:
    """Names of the connections with a secret that does not open."""
    sealed: dict[str, list[SealedSecret]] = {}
    for connection, one in _all(db):
        sealed.setdefault(connection.id, []).append(one)
    names = []
    for row in db.execute(sa.select(schema.connections)):
        connection = rows.connection_from_row(row._asdict(), tuple(sealed.get(row.id, ())))
        try:
            unseal(vault, connection)
        except NexoError:
            names.append(connection.name)
    return tuple(names)


def _all(
    db: sa.Connection, which: sa.ColumnElement[bool] | None = None
) -> Iterator[tuple[StoredConnection, SealedSecret]]:
    connections = {
        row.id: rows.connection_from_row(row._asdict(), ())
        for row in db.execute(sa.select(schema.connections))
    }
    chosen = sa.select(schema.secrets) if which is None else sa.select(schema.secrets).where(which)
    for row in db.execute(chosen).all():
        yield connections[row.connection_id], rows.secret_from_row(row._asdict())
