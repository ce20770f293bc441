"""A connection without its secrets."""

import os
from dataclasses import field
from datetime import datetime

from nexo.connections.model.health import Health
from nexo.connections.terms import AuthScheme, KeySource, KeyVerdict, Provider
from nexo.connections.values import frozen


@frozen
class NetworkProfile:
    """How requests of a connection reach the network.

    Attributes:
        proxy: "system", "direct", or the URL of a proxy (http, https, socks5, socks5h).
        no_proxy: host names, ".domains" and addresses that bypass the proxy.
        ca_bundle: absolute path of a PEM file; empty for the certificates of the system.
    """

    # May hold a password in a draft and in a hand-out; nowhere else.
    proxy: str = field(default="system", repr=False)
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str = ""

    def __init__(
        self, proxy: str = "system", no_proxy: tuple[str, ...] = (), ca_bundle: str | os.PathLike[str] = ""
    ) -> None:
        object.__setattr__(self, "proxy", proxy)
        object.__setattr__(self, "no_proxy", no_proxy)
        is_path = isinstance(ca_bundle, os.PathLike)
        object.__setattr__(self, "ca_bundle", os.fspath(ca_bundle) if is_path else ca_bundle)

    @property
    def proxy_url(self) -> str:
        """The URL of the proxy; empty for "system" and "direct"."""
        return "" if self.proxy in ("system", "direct") else self.proxy


# Nearly every connection has this profile; one object serves them all.
USUAL_NETWORK = NetworkProfile()


@frozen
class KeyInfo:
    """What is known about an API key, never the key.

    Attributes:
        reference: where the key is kept (as `ConnectionDraft.api_key_ref`); empty for a stored key.
        proven_at: when a provider last accepted the key.
        previous_kept_until: the replaced key is kept, encrypted, until this time.
    """

    source: KeySource
    verdict: KeyVerdict
    reference: str = ""
    added_at: datetime | None = None
    proven_at: datetime | None = None
    expires_at: datetime | None = None
    previous_kept_until: datetime | None = None


@frozen
class MappedModel:
    """A model name that programs ask for, and the name that the gateway sends instead."""

    asked: str
    sent: str


@frozen(kw_only=True)
class Endpoint:
    """Where the requests of a connection go, and how."""

    name: str
    provider: Provider
    preset: str = ""
    base_url: str
    auth_scheme: AuthScheme
    network: NetworkProfile = USUAL_NETWORK


@frozen(kw_only=True)
class Configuration(Endpoint):
    """The configuration of a connection without its secrets.

    Attributes:
        id: never changes and is never reused.
        check_interval_s: seconds between checks; None for the global setting.
        checks_paused: there are no periodic checks of it.
        model_map: the gateway replaces these model names.
        revision: the store's revision when it last changed.
    """

    id: str
    default_model: str = ""
    enabled: bool = True
    check_interval_s: float | None = None
    checks_paused: bool = False
    model_map: tuple[MappedModel, ...] = ()
    revision: int = 0
    created_at: datetime | None
    updated_at: datetime | None


@frozen(kw_only=True)
class Connection(Configuration):
    """A connection without its secrets.

    Attributes:
        header_names: names of the custom headers.
        proxy_has_credentials: the proxy URL has a user and password, which `network` leaves out.
    """

    key: KeyInfo
    header_names: tuple[str, ...]
    is_default: bool
    proxy_has_credentials: bool
    health: Health
