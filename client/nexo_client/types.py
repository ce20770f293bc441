"""What the SDK returns and takes: frozen dataclasses, one a noun of the contract.

Not for behaviour beyond what a value can say of itself, and free of grpc and protobuf. Only
`ConnectionDraft` and `ResolvedConnection` hold secrets; their `repr` shows none.
Moments are aware datetimes in UTC, spans are seconds as float, unless a name says otherwise.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from nexo_client.terms import (
    AuthScheme,
    HealthState,
    KeySource,
    KeyVerdict,
    Layer,
    LayerStatus,
    Outcome,
    Provider,
    ResolutionSource,
    StoreState,
    VaultState,
)


@dataclass(frozen=True, slots=True)
class Header:
    """A custom request header. The value is a secret."""

    name: str
    value: str = field(repr=False)


class Headers(dict[str, str]):
    """Custom headers of a hand-out, read-only; `repr` shows the names alone."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(items)

    def _refuse(self, *_arguments: object, **_keywords: object) -> NoReturn:
        raise TypeError("the headers of a hand-out can't be changed; copy them first: dict(headers)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __repr__(self) -> str:
        return f"Headers({', '.join(f'{name}: …' for name in self)})"

    def __reduce__(self) -> tuple[Callable[..., "Headers"], tuple[tuple[tuple[str, str], ...]]]:
        return Headers, (tuple(self.items()),)


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
class Health:
    """The light beside a connection, as last observed."""

    state: HealthState
    reason: str = ""
    since: datetime | None = None
    checked_at: datetime | None = None
    latency_s: float | None = None
    retry_at: datetime | None = None
    consecutive_failures: int = 0
    next_check_at: datetime | None = None
    advice: str = ""
    last_known: HealthState | None = None


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """The light of a named connection."""

    connection_id: str
    connection: str
    health: Health


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
class Model:
    """A model that a provider lists."""

    id: str
    display_name: str = ""
    created_at: datetime | None = None
    owner: str = ""
    context_window: int = 0


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models of a connection; truncated when the provider has more than the daemon reads."""

    models: tuple[Model, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class LayerResult:
    """How one layer of a test ended, how long it took and what was seen."""

    layer: Layer
    status: LayerStatus
    elapsed_s: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tried change of a draft, or a warning about it."""

    field: str
    text: str
    value: str = ""
    verified: bool = False
    fix: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """The verdict of a test."""

    # pytest collects classes by name.
    __test__ = False

    connection: str
    outcome: Outcome
    reason: str
    key: KeyVerdict
    layers: tuple[LayerResult, ...]
    models: tuple[Model, ...] = ()
    http_status: int | None = None
    request_id: str = ""
    retry_at: datetime | None = None
    advice: str = ""
    proven: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    elapsed_s: float | None = None
    price_note: str = ""
    provider_message: str = ""

    @property
    def ok(self) -> bool:
        """Whether every layer that was asked for passed."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider, or a preset of the custom provider."""

    name: str
    display_name: str
    provider: Provider
    is_preset: bool
    default_base_url: str
    auth_scheme: AuthScheme
    key_required: bool
    key_url: str
    note: str


@dataclass(frozen=True, slots=True)
class SavedConnection:
    """What was saved, and warnings about the draft that did not block it."""

    connection: Connection
    warnings: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Workspace:
    """A directory (absolute, links resolved) or a name; exactly one is given."""

    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.path or self.name


@dataclass(frozen=True, slots=True)
class WorkspaceBinding:
    """A workspace and the connection that it gets."""

    workspace: Workspace
    connection: str
    broken: bool
    created_at: datetime | None
    allow_fallback: bool


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """What a program claims about itself."""

    name: str
    version: str
    pid: int
    program: str


@dataclass(frozen=True, slots=True)
class Follower:
    """A program that follows right now."""

    client: ClientInfo
    workspaces: tuple[Workspace, ...]
    applied_revision: int
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class ResolutionStep:
    """One rule, whether it applied and what it named."""

    source: ResolutionSource
    connection: str
    won: bool
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which connection a workspace gets, and why; `problem` is set when it gets none."""

    connection: str
    source: ResolutionSource | None
    steps: tuple[ResolutionStep, ...]
    problem_reason: str
    problem: str
    revision: int
    problem_hint: str = ""


@dataclass(frozen=True, slots=True)
class DefaultSwitch:
    """What `set_default` did."""

    connection: Connection
    previous: Connection | None
    revision: int
    warning: str
    followers: int
    pending_followers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HealthTransition:
    """A change of the light."""

    connection_id: str
    connection: str
    at: datetime
    from_state: HealthState
    to_state: HealthState
    reason: str
    evidence: str
    lasted_s: float | None
    advice: str
    important: bool


@dataclass(frozen=True, slots=True)
class HealthSample:
    """Checks of one span of time: a single one, or an hour once thinned."""

    at: datetime
    span_s: float | None
    checks: int
    failures: int
    latency_min_s: float | None
    latency_median_s: float | None
    latency_max_s: float | None
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class HealthHistory:
    """Transitions and samples, oldest first, with their summary. `uptime` is 0 to 1, None when unknown."""

    transitions: tuple[HealthTransition, ...]
    samples: tuple[HealthSample, ...]
    uptime: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How often connections are checked."""

    important_interval_s: float
    other_interval_s: float
    paused: bool


@dataclass(frozen=True, slots=True)
class Handout:
    """A secret that left the daemon: what the record says."""

    at: datetime
    connection: str
    method: str
    client: ClientInfo
    workspace: str
    source: ResolutionSource | None


@dataclass(frozen=True, slots=True)
class Status:
    """The daemon and its store."""

    version: str
    pid: int
    started_at: datetime | None
    socket_path: str
    database_path: str
    log_path: str
    revision: int
    vault: VaultState
    vault_slot: str
    vault_problem: str
    store: StoreState
    store_problem: str
    default_connection: str
    connections: int
    enabled_connections: int
    followers: tuple[Follower, ...]
    watchers: int
    offline_since: datetime | None
    checks_paused: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the daemon shows, at one moment."""

    connections: tuple[Connection, ...]
    bindings: tuple[WorkspaceBinding, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One message of the event stream; exactly one of the optional fields is set, or `ended`.

    Attributes:
        sequence: counts the events of this stream from 1 without a gap.
        revision: store revision after the event.
        removed: name of the connection that is gone.
        ended: "lagged" or "shutting_down": the last event of a stream.
    """

    sequence: int
    revision: int
    snapshot: Snapshot | None = None
    connection: Connection | None = None
    removed: str | None = None
    bindings: tuple[WorkspaceBinding, ...] | None = None
    status: Status | None = None
    transition: HealthTransition | None = None
    ended: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedConnection:
    """A hand-out: everything that a program needs to talk to the provider.

    Attributes:
        api_key: empty when the connection has no key.
        headers: custom headers, names as configured; they override the header made from the key.
        model: the default model; empty for none.
        source: the rule that chose it; `source_detail` says it in words.
        revision: grows with every change that a workspace can notice.
    """

    connection_id: str
    name: str
    provider: Provider
    preset: str
    base_url: str
    auth_scheme: AuthScheme
    api_key: str = field(repr=False)
    headers: Headers
    model: str
    network: NetworkProfile
    source: ResolutionSource
    source_detail: str
    revision: int
    health: Health

    def openai(self, *, async_client: bool = False) -> dict[str, Any]:
        """Keyword arguments for `openai.OpenAI`; with `async_client` for `openai.AsyncOpenAI`."""
        from nexo_client import adapters

        return adapters.openai(self, async_client)

    def anthropic(self, *, async_client: bool = False) -> dict[str, Any]:
        """Keyword arguments for `anthropic.Anthropic`; with `async_client` for `anthropic.AsyncAnthropic`.

        Raises:
            InvalidField: the provider speaks no Anthropic dialect.
        """
        from nexo_client import adapters

        return adapters.anthropic(self, async_client)

    def google(self) -> dict[str, Any]:
        """Keyword arguments for `google.genai.Client`.

        Raises:
            InvalidField: the provider speaks no Gemini dialect.
        """
        from nexo_client import adapters

        return adapters.google(self)

    def ollama(self) -> dict[str, Any]:
        """Keyword arguments for `ollama.Client` and `ollama.AsyncClient`.

        Raises:
            InvalidField: the provider speaks no Ollama dialect.
        """
        from nexo_client import adapters

        return adapters.ollama(self)

    def env(self) -> dict[str, str]:
        """Environment variables that the official SDKs and tools read."""
        from nexo_client import adapters

        return adapters.env(self)
