"""The changes that a transaction can make. Created by `Store.transaction()`, which also commits."""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from nexo.connections.errors import ConnectionNotFound, KeyOriginChanged
from nexo_daemon.domain.model import (
    Binding,
    Credentials,
    HealthSettings,
    SealedSecret,
    SecretKind,
    Settings,
    StoredConnection,
    WorkspaceKey,
)
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import rows, tables
from nexo_daemon.store.destinations import destination, origin_for
from nexo_daemon.vault.vault import SecretVault

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing


class Transaction:
    """Changes that are committed together or not at all."""

    def __init__(self, db: "Writing", vault: SecretVault, settings: Settings, bindings_digest: bytes) -> None:
        self._db = db
        self._vault = vault
        self._settings = settings
        self._before = settings
        self._bindings_digest = self._bindings_digest_before = bindings_digest

    @property
    def settings(self) -> Settings:
        """The settings after the commit."""
        return self._settings

    @property
    def bindings_digest(self) -> bytes:
        """The digest over all bindings after the commit."""
        return self._bindings_digest

    def next_revision(self) -> int:
        """A number that no other transaction gets; the same within this one."""
        if self._settings.revision == self._before.revision:
            self._settings = replace(self._settings, revision=self._settings.revision + 1)
        return self._settings.revision

    def insert_connection(self, connection: StoredConnection, credentials: Credentials) -> StoredConnection:
        """Store a new connection with its secrets sealed.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: it has secrets, and there is no key to seal them with.
        """
        self._db.insert(tables.connections, rows.connection_to_row(connection))
        return replace(connection, sealed=self._seal(connection, credentials))

    def update_connection(
        self, connection: StoredConnection, credentials: Credentials | None
    ) -> StoredConnection:
        """Store a changed connection; given credentials replace all of its secrets.

        Without credentials, a previous key is removed if the connection no longer has a grace period.

        Raises:
            ConnectionNotFound: the connection is not in the store.
            KeyOriginChanged: a secret that stays would now be sent to another host.
            VaultLocked, VaultKeyLost, SecretTampered: a secret has to be sealed and cannot be.
        """
        found = self._db.select(tables.connections, "id = ?", (connection.id,))
        if not found:
            raise ConnectionNotFound(f"no connection '{connection.name}' in the store")
        self._db.update(tables.connections, rows.connection_to_row(connection), id=connection.id)
        if credentials is None:
            return self._keep_secrets(connection, rows.with_endpoint(connection, found[0]))
        self._db.delete(tables.secrets, connection_id=connection.id)
        return replace(connection, sealed=self._seal(connection, credentials))

    def delete_connection(self, connection_id: str) -> None:
        """Remove it with its secrets, health and history. Bindings to it stay, and programs get an error."""
        self._settings = replace(
            self._settings,
            default_id=_unless(self._settings.default_id, connection_id),
            previous_default_id=_unless(self._settings.previous_default_id, connection_id),
            fallback_ids=tuple(other for other in self._settings.fallback_ids if other != connection_id),
        )
        self._db.delete(tables.connections, id=connection_id)

    def set_default(self, default_id: str | None, previous_id: str | None) -> None:
        """Set the default connection, and the one that an undo restores."""
        self._settings = replace(self._settings, default_id=default_id, previous_default_id=previous_id)

    def put_binding(self, binding: Binding) -> None:
        """Bind a workspace, replacing an existing binding."""
        self.delete_binding(binding.workspace)
        row = rows.binding_to_row(binding)
        self._db.insert(tables.bindings, row)
        self._bindings_digest = rows.combined(self._bindings_digest, row["digest"])

    def delete_binding(self, workspace: WorkspaceKey) -> None:
        """Remove the binding of a workspace, if there is one."""
        kind, value = str(workspace.kind), workspace.value
        for row in self._db.select(tables.bindings, "kind = ? AND value = ?", (kind, value)):
            self._bindings_digest = rows.combined(self._bindings_digest, row["digest"])
        self._db.delete(tables.bindings, kind=kind, value=value)

    def set_fallback(self, ids: tuple[str, ...]) -> None:
        """Set the stand-ins, in order."""
        self._settings = replace(self._settings, fallback_ids=tuple(ids))
        self._db.delete(tables.fallback)
        self._db.insert(
            tables.fallback, *({"position": number, "connection_id": one} for number, one in enumerate(ids))
        )

    def set_health_settings(self, settings: HealthSettings) -> None:
        """Set how often connections are checked."""
        self._settings = replace(self._settings, health=settings)

    def write_settings(self) -> None:
        """Write the settings. Called by the store, last before the commit."""
        if (self._settings, self._bindings_digest) != (self._before, self._bindings_digest_before):
            self._db.update_settings(rows.settings_to_row(self._settings, self._bindings_digest))

    def _seal(self, connection: StoredConnection, credentials: Credentials) -> tuple[SealedSecret, ...]:
        fields: list[tuple[SecretKind, str, int, Secret]] = []
        if credentials.api_key is not None:
            fields.append((SecretKind.API_KEY, "", 0, credentials.api_key))
        if credentials.previous_api_key is not None:
            fields.append((SecretKind.PREVIOUS_API_KEY, "", 0, credentials.previous_api_key))
        if credentials.proxy_credentials is not None:
            fields.append((SecretKind.PROXY_CREDENTIALS, "", 0, credentials.proxy_credentials))
        if connection.key_reference:
            fields.append((SecretKind.KEY_REFERENCE, "", 0, Secret(connection.key_reference)))
        fields += [
            (SecretKind.HEADER, name, position, value)
            for position, (name, value) in enumerate(credentials.headers)
        ]
        sealed = tuple(
            self._vault.seal(
                secret,
                row_id=secrets.token_hex(16),
                connection_id=connection.id,
                kind=kind,
                name=name,
                position=position,
                destination=destination(connection, kind),
            )
            for kind, name, position, secret in sorted(fields, key=lambda field: (field[0], field[2]))
        )
        self._insert_secrets(sealed, connection.id)
        return sealed

    def _insert_secrets(self, sealed: tuple[SealedSecret, ...], connection_id: str) -> None:
        self._db.insert(tables.secrets, *(rows.secret_to_row(one, connection_id) for one in sealed))

    def _keep_secrets(self, connection: StoredConnection, old: StoredConnection) -> StoredConnection:
        found = self._db.select(tables.secrets, "connection_id = ? ORDER BY position", (connection.id,))
        sealed = [rows.secret_from_row(row) for row in found]
        kept = [one for one in sealed if _still_wanted(one, connection)]
        if any(one.origin != origin_for(connection, one.kind) for one in kept):
            raise KeyOriginChanged(
                f"the stored secrets of '{connection.name}' belong to another host",
                hint="enter the key again, or agree to send it to the new host",
            )
        moved = [one for one in kept if destination(old, one.kind) != destination(connection, one.kind)]
        if moved:
            kept = [self._moved(one, connection, old) for one in kept]
        if sealed and (moved or len(kept) < len(sealed)):
            self._db.delete(tables.secrets, connection_id=connection.id)
            self._insert_secrets(tuple(kept), connection.id)
        return replace(connection, sealed=tuple(kept))

    def _moved(self, one: SealedSecret, connection: StoredConnection, old: StoredConnection) -> SealedSecret:
        secret = self._vault.open(one, connection_id=connection.id, destination=destination(old, one.kind))
        return self._vault.seal(
            secret,
            row_id=one.id,
            connection_id=connection.id,
            kind=one.kind,
            name=one.name,
            position=one.position,
            destination=destination(connection, one.kind),
        )


def _still_wanted(one: SealedSecret, connection: StoredConnection) -> bool:
    if one.kind is SecretKind.PREVIOUS_API_KEY:
        return connection.previous_key_until is not None
    return one.kind is not SecretKind.PROXY_CREDENTIALS or one.origin == origin_for(connection, one.kind)


def _unless(present: str | None, removed: str) -> str | None:
    return None if present == removed else present
