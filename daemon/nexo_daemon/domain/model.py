"""Connections, workspaces and settings inside the daemon.

Frozen values. Only `Credentials`, which lives as long as the request that needs it, holds secrets in plain
text. Times are aware datetimes in UTC; durations are seconds.
"""

import enum
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime

from nexo.connections.model.connection import Configuration, KeyInfo
from nexo.connections.model.connection import NetworkProfile as NetworkProfile
from nexo.connections.model.daemon import ClientInfo as ClientInfo
from nexo.connections.model.health import Health as Health
from nexo.connections.model.history import HealthSettings as HealthSettings
from nexo.connections.model.vault import AutoLock as AutoLock
from nexo.connections.terms import (
    HealthState,
    KeySource,
    KeyVerdict,
    Outcome,
    ResolutionSource,
)
from nexo.connections.values import frozen
from nexo_daemon.domain.secret import Secret

SERVING = frozenset({HealthState.HEALTHY, HealthState.LIMITED})
"""The states in which a connection answers programs, if only after a wait."""


class ProxyMode(enum.StrEnum):
    """How a connection chooses its proxy."""

    SYSTEM = "system"
    DIRECT = "direct"
    URL = "url"


def proxy_mode(network: NetworkProfile) -> ProxyMode:
    """The proxy mode of a network profile."""
    return ProxyMode.URL if network.proxy_url else ProxyMode(network.proxy or ProxyMode.SYSTEM)


class SecretKind(enum.StrEnum):
    """The field of a connection that a sealed secret holds."""

    API_KEY = "api_key"
    PREVIOUS_API_KEY = "previous_api_key"
    HEADER = "header"
    PROXY_CREDENTIALS = "proxy_credentials"
    KEY_REFERENCE = "key_reference"
    """A copy of the reference: not secret, but it decides which key goes to which host, and what is run."""


@frozen
class SealedSecret:
    """An encrypted field as stored.

    Attributes:
        id: row id, part of the associated data.
        kind: its field; `name` is the header name of a header value.
        position: order of headers.
        origin: scheme://host:port that the secret may be sent to; part of the associated data.
        key_id: the data key that sealed it.
        form: the version of the associated data, see `vault.sealing`.
    """

    id: str
    kind: SecretKind
    name: str
    position: int
    origin: str
    key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    form: int


@frozen
class Credentials:
    """The plaintext secrets of a connection. Made for one request; callers never store or cache them.

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
    """A fact about an endpoint that a test found out, and that checks rely on."""

    LIST_PUBLIC = "list_public"
    """The model list is returned without authentication, so it proves nothing about the key."""
    NO_LIST = "no_list"
    """There is no readable model list, although calls work."""
    GET_TELLS = "get_tells"
    """A GET of the endpoint for calls is answered differently for a valid and an invalid key."""
    NULL_TELLS = "null_tells"
    """A call with the body `null` is answered differently for a valid and an invalid key."""
    REFUSED_TELLS = "refused_tells"
    """A well-formed call that no service can execute is answered differently for the two."""
    REFUSED_RAN = "refused_ran"
    """Such a call was answered as if it was executed: background checks must never send one."""


Facts = frozenset[Fact]


@frozen(kw_only=True)
class StoredConnection(Configuration):
    """A connection, with the data that only the store has."""

    key_reference: str = ""
    key_verdict: KeyVerdict = KeyVerdict.UNVERIFIED
    facts: Facts = frozenset()
    key_added_at: datetime | None = None
    key_proven_at: datetime | None = None
    key_expires_at: datetime | None = None
    previous_key_until: datetime | None = None
    sealed: tuple[SealedSecret, ...] = ()

    def has(self, kind: SecretKind) -> bool:
        """Whether a secret of that kind is stored."""
        return any(secret.kind is kind for secret in self.sealed)

    @property
    def secrets(self) -> int:
        """The number of stored secrets, without copies of references."""
        return sum(secret.kind is not SecretKind.KEY_REFERENCE for secret in self.sealed)

    @property
    def key_source(self) -> KeySource:
        """Where the API key is kept."""
        if self.key_reference:
            return KeySource.REFERENCE
        return KeySource.STORED if self.has(SecretKind.API_KEY) else KeySource.NONE

    @property
    def key(self) -> KeyInfo:
        """Public information about the API key."""
        return KeyInfo(
            self.key_source,
            self.key_verdict,
            self.key_reference,
            self.key_added_at,
            self.key_proven_at,
            self.key_expires_at,
            self.previous_key_until,
        )

    @property
    def proxy_has_credentials(self) -> bool:
        """Whether a user and password for the proxy are stored."""
        return self.has(SecretKind.PROXY_CREDENTIALS)

    @property
    def header_names(self) -> tuple[str, ...]:
        """Names of the custom headers, in order."""
        headers = sorted((s for s in self.sealed if s.kind is SecretKind.HEADER), key=lambda s: s.position)
        return tuple(secret.name for secret in headers)


class WorkspaceKind(enum.StrEnum):
    """How a workspace is named."""

    PATH = "path"
    NAME = "name"


@frozen
class WorkspaceKey:
    """A directory (absolute, links resolved by the caller) or a name."""

    kind: WorkspaceKind
    value: str

    def __str__(self) -> str:
        return self.value


@frozen
class Binding:
    """A workspace and the connection it gets. `connection_name` is the last known one, for messages."""

    workspace: WorkspaceKey
    connection_id: str
    connection_name: str
    created_at: datetime
    allow_fallback: bool = False
    sticky_s: float | None = None


@frozen
class Settings:
    """The settings, of which there is a single row."""

    revision: int = 0
    default_id: str | None = None
    previous_default_id: str | None = None
    fallback_ids: tuple[str, ...] = ()
    health: HealthSettings = field(default_factory=HealthSettings)


class EvidenceSource(enum.StrEnum):
    """Whose request showed the health of a connection."""

    NONE = ""
    PROBE = "probe"
    TRAFFIC = "traffic"


@frozen
class Transition:
    """A change of health, as stored and announced."""

    connection_id: str
    at: datetime
    from_state: HealthState
    to_state: HealthState
    reason: str
    evidence: str = ""
    lasted_s: float | None = None
    advice: str = ""
    important: bool = False
    source: EvidenceSource = EvidenceSource.NONE


@frozen
class Sample:
    """A single check (span 0), or the checks of an hour, merged.

    Attributes:
        from_traffic: how many of the checks were requests through the gateway.
    """

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
    from_traffic: int = 0


@frozen
class HandoutRecord:
    """A secret that left the daemon.

    Attributes:
        at: time of the first hand-out.
        last_at: time of the last one; None if `times` is 1.
    """

    at: datetime
    connection_id: str
    connection_name: str
    method: str
    client: ClientInfo
    workspace: str = ""
    source: ResolutionSource | None = None
    times: int = 1
    last_at: datetime | None = None

    @property
    def subject(self) -> tuple[str, ...]:
        """Equal for hand-outs of one connection to one program, even to different processes of it."""
        who = self.client
        return (
            *(self.connection_id, self.connection_name, self.method, self.workspace, self.source or ""),
            *(who.name, who.version, who.program),
        )

    def and_again(self, later: "HandoutRecord") -> "HandoutRecord":
        """This record combined with a later one of the same subject."""
        return replace(
            self, client=later.client, times=self.times + later.times, last_at=later.last_at or later.at
        )


@frozen
class StoredState:
    """All data of the store that the daemon keeps in memory, as read at start.

    Attributes:
        gone: reason and next step if an earlier store is missing; empty lists then do not mean "none".
    """

    settings: Settings
    connections: tuple[StoredConnection, ...]
    bindings: tuple[Binding, ...]
    health: Mapping[str, Health]
    gone: tuple[str, str] = ("", "")
