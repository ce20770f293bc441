"""Connections, workspaces and settings as the daemon thinks of them.

Frozen values; nothing here holds a secret in the clear except `Credentials`, which lives only as long
as the request that needs it. Moments are aware datetimes in UTC; spans are seconds.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nexo_client.terms import (
    AuthScheme,
    HealthState,
    KeySource,
    KeyVerdict,
    Outcome,
    Provider,
    ResolutionSource,
)
from nexo_daemon.domain.secret import Secret


class ProxyMode(enum.StrEnum):
    """Which proxy a connection uses."""

    SYSTEM = "system"
    DIRECT = "direct"
    URL = "url"


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """How requests of a connection reach the network.

    Attributes:
        proxy_url: without user and password (those are in `Credentials`); empty unless the mode is URL.
        no_proxy: host names, ".domains" and addresses that bypass the proxy.
        ca_bundle: absolute path of a PEM file; empty for the certificates of the system.
    """

    proxy: ProxyMode = ProxyMode.SYSTEM
    proxy_url: str = ""
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str = ""


class SecretKind(enum.StrEnum):
    """Which field of a connection a sealed secret belongs to."""

    API_KEY = "api_key"
    PREVIOUS_API_KEY = "previous_api_key"
    HEADER = "header"
    PROXY_CREDENTIALS = "proxy_credentials"
    KEY_REFERENCE = "key_reference"
    """A copy of the reference: no secret, but it decides which key goes to which host, and what runs."""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """An encrypted field as it lies in the store.

    Attributes:
        id: row id, part of the associated data.
        kind: what it is; `name` is the header name when it is a header value.
        position: order of headers.
        origin: scheme://host:port that the secret may be sent to; part of the associated data.
        key_id: the data key that sealed it.
    """

    id: str
    kind: SecretKind
    name: str
    position: int
    origin: str
    key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of a connection in the clear. Made for one request, never stored or cached by callers.

    Attributes:
        headers: custom headers in the order in which they were given.
        proxy_credentials: "user:password", percent-encoded as in a URL.
        previous_api_key: the key before the last replacement, kept for a roll-back.
    """

    api_key: Secret | None = None
    headers: tuple[tuple[str, Secret], ...] = ()
    proxy_credentials: Secret | None = None
    previous_api_key: Secret | None = None


class Fact(enum.StrEnum):
    """Something that a test found out about an endpoint, and that checks rely on."""

    LIST_PUBLIC = "list_public"
    """The model list answers anybody, so it tells nothing about the key."""
    NO_LIST = "no_list"
    """There is no model list in a form that we read, and the calls work all the same."""
    REFUSED_TELLS = "refused_tells"
    """The request that cannot run is answered differently for a good and for a bad key."""
    REFUSED_RAN = "refused_ran"
    """The request that cannot run was answered as if it had: never send it in a background check."""


Facts = frozenset[Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A stored connection."""

    id: str
    name: str
    provider: Provider
    preset: str = ""
    base_url: str
    auth_scheme: AuthScheme
    default_model: str = ""
    enabled: bool = True
    network: NetworkProfile = NetworkProfile()
    key_reference: str = ""
    key_verdict: KeyVerdict = KeyVerdict.UNVERIFIED
    facts: Facts = frozenset()
    key_added_at: datetime | None = None
    key_proven_at: datetime | None = None
    key_expires_at: datetime | None = None
    previous_key_until: datetime | None = None
    check_interval_s: float | None = None
    checks_paused: bool = False
    revision: int = 0
    created_at: datetime
    updated_at: datetime
    sealed: tuple[SealedSecret, ...] = ()

    def has(self, kind: SecretKind) -> bool:
        """Whether a secret of that kind is stored."""
        return any(secret.kind is kind for secret in self.sealed)

    @property
    def secrets(self) -> int:
        """How many secrets are stored; the copy of a reference is none."""
        return sum(secret.kind is not SecretKind.KEY_REFERENCE for secret in self.sealed)

    @property
    def key_source(self) -> KeySource:
        """Where the API key lives."""
        if self.key_reference:
            return KeySource.REFERENCE
        return KeySource.STORED if self.has(SecretKind.API_KEY) else KeySource.NONE

    @property
    def header_names(self) -> tuple[str, ...]:
        """Names of the custom headers, in order."""
        headers = sorted((s for s in self.sealed if s.kind is SecretKind.HEADER), key=lambda s: s.position)
        return tuple(secret.name for secret in headers)


class WorkspaceKind(enum.StrEnum):
    """How a workspace is named."""

    PATH = "path"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class WorkspaceKey:
    """A directory (absolute, links resolved by the caller) or a name."""

    kind: WorkspaceKind
    value: str

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Binding:
    """A workspace and the connection it gets. `connection_name` is the last known one, for messages."""

    workspace: WorkspaceKey
    connection_id: str
    connection_name: str
    created_at: datetime
    allow_fallback: bool = False


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How often connections are checked, in seconds."""

    important_interval_s: float = 60.0
    other_interval_s: float = 300.0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """The single-row table: what there is exactly one of."""

    revision: int = 0
    default_id: str | None = None
    previous_default_id: str | None = None
    fallback_ids: tuple[str, ...] = ()
    health: HealthSettings = HealthSettings()


@dataclass(frozen=True, slots=True)
class Health:
    """The light of a connection. See `nexo_daemon.health.policy` for how it changes."""

    state: HealthState = HealthState.UNKNOWN
    reason: str = "never"
    since: datetime | None = None
    checked_at: datetime | None = None
    latency_s: float | None = None
    retry_at: datetime | None = None
    consecutive_failures: int = 0
    next_check_at: datetime | None = None
    advice: str = ""
    last_known: HealthState | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of the light, as stored and announced."""

    connection_id: str
    at: datetime
    from_state: HealthState
    to_state: HealthState
    reason: str
    evidence: str = ""
    lasted_s: float | None = None
    advice: str = ""
    important: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """Checks of one span of time: a single check (span 0), or an hour once thinned."""

    connection_id: str
    at: datetime
    outcome: Outcome
    reason: str = ""
    latency_min_s: float | None = None
    latency_median_s: float | None = None
    latency_max_s: float | None = None
    checks: int = 1
    failures: int = 0
    span_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """What a caller claims about itself."""

    name: str = ""
    version: str = ""
    pid: int = 0
    program: str = ""


@dataclass(frozen=True, slots=True)
class Handout:
    """A secret that left the daemon."""

    at: datetime
    connection_id: str
    connection_name: str
    method: str
    client: ClientInfo
    workspace: str = ""
    source: ResolutionSource | None = None


@dataclass(frozen=True, slots=True)
class StoredState:
    """Everything that the store holds and the daemon keeps in memory, as read at start.

    Attributes:
        gone: why there is nothing, and what to do, where a store has been: then "none" is no answer.
    """

    settings: Settings
    connections: tuple[Connection, ...]
    bindings: tuple[Binding, ...]
    health: Mapping[str, Health]
    gone: tuple[str, str] = ("", "")
