"""Opens the secrets of a connection. Refused if anything that they depend on was changed."""

from nexo.connections.errors import SecretTampered
from nexo_daemon.domain.model import Credentials, SecretKind, StoredConnection
from nexo_daemon.domain.secret import Secret
from nexo_daemon.domain.url import is_normal
from nexo_daemon.store.database import RESTORE_HINT
from nexo_daemon.store.destinations import destination
from nexo_daemon.vault.vault import SecretVault


def unseal(vault: SecretVault, connection: StoredConnection) -> Credentials:
    """The plaintext secrets of a connection. Does not use the database; takes microseconds.

    Raises:
        VaultLocked, VaultKeyLost: there is no key.
        SecretTampered: a secret, its place or its destination was changed outside of the daemon.
    """
    if not is_normal(connection.base_url, connection.network.proxy_url):
        raise SecretTampered(
            f"the address of '{connection.name}' was changed outside of the daemon",
            hint="enter it again: nexoctl edit NAME --base-url URL, or nexoctl store restore",
        )
    singles: dict[SecretKind, Secret] = {}
    headers: list[tuple[int, str, Secret]] = []
    for one in connection.sealed:
        secret = vault.open(one, connection_id=connection.id, destination=destination(connection, one.kind))
        if one.kind is SecretKind.HEADER:
            headers.append((one.position, one.name, secret))
        elif one.kind in singles:
            raise SecretTampered(f"'{connection.name}' has two secrets of one kind", hint=RESTORE_HINT)
        else:
            singles[one.kind] = secret
    reference = singles.get(SecretKind.KEY_REFERENCE)
    if (reference.reveal() if reference else "") != connection.key_reference:
        # Somebody who edits the file could otherwise have a program run, or a key sent to their own host.
        raise SecretTampered(
            f"the key reference of '{connection.name}' was changed outside of the daemon",
            hint="enter it again: nexoctl edit NAME --api-key-ref REFERENCE, or nexoctl store restore",
        )
    return Credentials(
        api_key=singles.get(SecretKind.API_KEY),
        headers=tuple((name, secret) for _, name, secret in sorted(headers, key=lambda h: h[0])),
        proxy_credentials=singles.get(SecretKind.PROXY_CREDENTIALS),
        previous_api_key=singles.get(SecretKind.PREVIOUS_API_KEY),
    )
