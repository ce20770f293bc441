"""Connections, workspaces and settings as the daemon thinks of them.

Frozen values; nothing here holds a secret in the clear except `Credentials`, which lives only as long
as the request that needs it. Moments are aware datetimes in UTC; spans are seconds.
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


class ProxyMode(enum.StrEnum):
    """Which proxy a connection uses."""

    SYSTEM = "system"
    DIRECT = "direct"
    URL = "url"


def proxy_mode(network: NetworkProfile) -> ProxyMode:
    """Which proxy it says, in one word."""
    return ProxyMode.URL if network.proxy_url else ProxyMode(network.proxy or ProxyMode.SYSTEM)


class SecretKind(enum.StrEnum):
    """Which field of a connection a sealed secret belongs to."""

    API_KEY = "api_key"
    PREVIOUS_API_KEY = "previous_api_key"
    HEADER = "header"
    PROXY_CREDENTIALS = "proxy_credentials"
    KEY_REFERENCE = "key_reference"
    """A copy of the reference: no secret, but it decides which key goes to which host, and what runs."""


@frozen
class SealedSecret:
    """An encrypted field as it lies in the store.

    Attributes:
        id: row id, part of the associated data.
        kind: what it is; `name` is the header name when it is a header value.
        position: order of headers.
        origin: scheme://host:port that the secret may be sent to; part of the associated data.
        key_id: the data key that sealed it.
        form: which parts of its connection it is tied to, see `vault.sealing`.
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
    GET_TELLS = "get_tells"
    """A GET of the endpoint for calls is answered differently for a good and for a bad key."""
    NULL_TELLS = "null_tells"
    """So is a call whose body is `null`."""
    REFUSED_TELLS = "refused_tells"
    """So is a call of the right form that no service can carry out."""
    REFUSED_RAN = "refused_ran"
    """A call that cannot run was answered as if it had: never send one in a background check."""


Facts = frozenset[Fact]


@frozen(kw_only=True)
class StoredConnection(Configuration):
    """A connection and what only the store knows of it."""

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
        """How many secrets are stored; the copy of a reference is none."""
        return sum(secret.kind is not SecretKind.KEY_REFERENCE for secret in self.sealed)

    @property
    def key_source(self) -> KeySource:
        """Where the API key lives."""
        if self.key_reference:
            return KeySource.REFERENCE
        return KeySource.STORED if self.has(SecretKind.API_KEY) else KeySource.NONE

    @property
    def key(self) -> KeyInfo:
        """What anybody may know of the API key."""
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
    """The single-row table: what there is exactly one of."""

    revision: int = 0
    default_id: str | None = None
    previous_default_id: str | None = None
    fallback_ids: tuple[str, ...] = ()
    health: HealthSettings = field(default_factory=HealthSettings)


class EvidenceSource(enum.StrEnum):
    """Whose request showed how a connection is."""

    NONE = ""
    PROBE = "probe"
    TRAFFIC = "traffic"


@frozen
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
    source: EvidenceSource = EvidenceSource.NONE


@frozen
class Sample:
    """Checks of one span of time: a single check (span 0), or an hour once thinned.

    Attributes:
        from_traffic: so many of the checks were requests of programs through the gateway.
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
        at: the first time.
        last_at: the last of `times`; None: there was one.
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
        """Equal for hand-outs of the same connection to the same program, whichever process of it asks."""
        who = self.client
        return (
            *(self.connection_id, self.connection_name, self.method, self.workspace, self.source or ""),
            *(who.name, who.version, who.program),
        )

    def and_again(self, later: "HandoutRecord") -> "HandoutRecord":
        """This one and a later one of the same subject."""
        return replace(
            self, client=later.client, times=self.times + later.times, last_at=later.last_at or later.at
        )


@frozen
class StoredState:
    """Everything that the store holds and the daemon keeps in memory, as read at start.

    Attributes:
        gone: why there is nothing, and what to do, where a store has been: then "none" is no answer.
    """

    settings: Settings
    connections: tuple[StoredConnection, ...]
    bindings: tuple[Binding, ...]
    health: Mapping[str, Health]
    gone: tuple[str, str] = ("", "")
