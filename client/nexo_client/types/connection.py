"""A connection as anybody may see it, and as a person writes it down."""

from dataclasses import dataclass, field
from datetime import datetime

from nexo_client.terms import AuthScheme, KeySource, KeyVerdict, Provider
from nexo_client.types.health import Health


@dataclass(frozen=True, slots=True)
class Header:
    """A custom request header. The value is a secret."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """How requests of a connection reach the network.

    Attributes:
        proxy: "system", "direct", or the URL of a proxy (http, https, socks5, socks5h).
        no_proxy: host names, ".domains" and addresses that bypass the proxy.
        ca_bundle: absolute path of a PEM file; empty for the certificates of the system.
    """

    # May hold a password on the way in and in a hand-out.
    proxy: str = field(default="system", repr=False)
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str = ""


# What nearly every connection has; one object serves them all.
USUAL_NETWORK = NetworkProfile()


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is known about an API key, never the key."""

    source: KeySource
    verdict: KeyVerdict
    reference: str = ""
    added_at: datetime | None = None
    proven_at: datetime | None = None
    expires_at: datetime | None = None
    previous_kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as anybody may see it: no secrets."""

    id: str
    name: str
    provider: Provider
    preset: str
    base_url: str
    auth_scheme: AuthScheme
    key: KeyInfo
    header_names: tuple[str, ...]
    default_model: str
    enabled: bool
    is_default: bool
    network: NetworkProfile
    proxy_has_credentials: bool
    health: Health
    revision: int
    created_at: datetime | None
    updated_at: datetime | None
    check_interval_s: float | None = None
    checks_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDraft:
    """A connection as a person writes it down.

    Every field is optional: None means "not given" (the default when creating, unchanged when editing).
    At most one of `api_key` and `api_key_ref`; an empty `api_key` removes the key.
    """

    name: str | None = None
    provider: str | None = None
    preset: str | None = None
    base_url: str | None = None
    auth_scheme: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_ref: str | None = None
    headers: tuple[Header, ...] | None = None
    headers_json: str | None = field(default=None, repr=False)
    default_model: str | None = None
    enabled: bool | None = None
    network: NetworkProfile | None = None
    key_expires_at: datetime | None = None
    check_interval_s: float | None = None
    checks_paused: bool | None = None


@dataclass(frozen=True, slots=True)
class DefaultSwitch:
    """What `set_default` did."""

    connection: Connection
    previous: Connection | None
    revision: int
    warning: str
    followers: int
    pending_followers: tuple[str, ...]
