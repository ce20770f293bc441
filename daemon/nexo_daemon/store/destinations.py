"""The fields that a secret is sealed with as associated data: after any change the secret does not open."""

import json

from nexo_daemon.domain.model import SecretKind, StoredConnection, proxy_mode
from nexo_daemon.domain.url import origin
from nexo_daemon.vault.sealing import Destination


def origin_for(connection: StoredConnection, kind: SecretKind) -> str:
    """The scheme://host:port to which a secret of this kind is sent."""
    if kind is not SecretKind.PROXY_CREDENTIALS:
        return origin(connection.base_url)
    proxy_url = connection.network.proxy_url
    return origin(proxy_url) if proxy_url else ""


def destination(connection: StoredConnection, kind: SecretKind) -> Destination:
    """The associated data for a secret of this kind."""
    network = connection.network
    return Destination(
        origin_for(connection, kind),
        route=json.dumps([proxy_mode(network), network.proxy_url, network.no_proxy, network.ca_bundle]),
        endpoint=json.dumps(
            [connection.provider, connection.preset, connection.auth_scheme, connection.base_url]
        ),
    )
