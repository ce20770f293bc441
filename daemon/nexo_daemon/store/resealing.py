"""Every sealed secret of the store at once: sealed again under another key, or tried whether it opens."""

from collections.abc import Iterator

import sqlalchemy as sa

from nexo_daemon.domain.errors import DomainError, SecretTampered
from nexo_daemon.domain.model import Connection, SealedSecret
from nexo_daemon.store import rows, schema
from nexo_daemon.store.transaction import destination
from nexo_daemon.store.unsealing import unseal
from nexo_daemon.vault.vault import DataKey, Vault


def reseal_all(db: sa.Connection, old: DataKey, new: DataKey) -> None:
    """Open each with `old` and seal it with `new`, in the caller's transaction.

    Raises:
        SecretTampered: one does not open; it is named.
    """
    opening, sealing = Vault(), Vault()
    opening.unlocked(old, "")
    sealing.unlocked(new, "")
    for connection, sealed in _all(db):
        route = rows.route(connection.network)
        origin = destination(connection, sealed.kind)
        try:
            secret = opening.open(sealed, connection_id=connection.id, origin=origin, route=route)
        except SecretTampered as error:
            raise SecretTampered(f"'{connection.name}': {error.message}", hint=error.hint) from None
        fresh = sealing.seal(
            secret,
            row_id=sealed.id,
            connection_id=connection.id,
            kind=sealed.kind,
            name=sealed.name,
            position=sealed.position,
            origin=origin,
            route=route,
        )
        table = schema.secrets
        db.execute(sa.update(table).where(table.c.id == sealed.id), rows.secret_to_row(fresh, connection.id))


def unopenable(db: sa.Connection, vault: Vault) -> tuple[str, ...]:
    """Names of the connections with a secret that does not open."""
    sealed: dict[str, list[SealedSecret]] = {}
    for connection, one in _all(db):
        sealed.setdefault(connection.id, []).append(one)
    names = []
    for row in db.execute(sa.select(schema.connections)):
        connection = rows.connection_from_row(row._asdict(), tuple(sealed.get(row.id, ())))
        try:
            unseal(vault, connection)
        except DomainError:
            names.append(connection.name)
    return tuple(names)


def _all(db: sa.Connection) -> Iterator[tuple[Connection, SealedSecret]]:
    connections = {
        row.id: rows.connection_from_row(row._asdict(), ())
        for row in db.execute(sa.select(schema.connections))
    }
    for row in db.execute(sa.select(schema.secrets)).all():
        yield connections[row.connection_id], rows.secret_from_row(row._asdict())
