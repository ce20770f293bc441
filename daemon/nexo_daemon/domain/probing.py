"""What is asked of a provider, and what came back: the values between registry, health and providers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from nexo_client.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.model import Credentials, Facts, NetworkProfile


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send a probe and with what. Holds secrets in the clear: not stored, not logged."""

    name: str
    provider: Provider
    base_url: str
    auth_scheme: AuthScheme
    credentials: Credentials
    preset: str = ""
    default_model: str = ""
    network: NetworkProfile = field(default_factory=NetworkProfile)
    facts: Facts = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe found. Every text is redacted.

    Attributes:
        reason: stable word below the outcome; empty when OK.
        retry_at: the provider asked not to be called before then.
        latency_s: from the start of the request to the complete answer; None when none arrived.
        network_suspect: the failure looks like this computer's network, not the provider's (no route,
            name resolution failing temporarily); evidence for "offline", never proof.
    """

    outcome: Outcome
    reason: str = ""
    advice: str = ""
    evidence: str = ""
    retry_at: datetime | None = None
    http_status: int | None = None
    request_id: str = ""
    provider_message: str = ""
    latency_s: float | None = None
    network_suspect: bool = False

    @property
    def ok(self) -> bool:
        """Whether the probe succeeded."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class LayerReport:
    """How one layer of a test ended."""

    layer: Layer
    status: LayerStatus
    elapsed_s: float | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that a provider lists."""

    id: str
    display_name: str = ""
    created_at: datetime | None = None
    owner: str = ""
    context_window: int = 0


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The models of a provider; truncated when it has more than the daemon reads."""

    models: tuple[ModelEntry, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change of the draft that was tried and works, or a warning.

    Attributes:
        field: field of the draft.
        value: proposed value; empty for a warning and for secrets.
        fix: name of a fix that the daemon can apply itself to a secret (see `providers.secrets`).
    """

    field: str
    text: str
    value: str = ""
    verified: bool = False
    fix: str = ""


@dataclass(frozen=True, slots=True)
class TestReport:
    """The result of a test: the verdict, the layers, and what was learned on the way.

    Attributes:
        facts: about the endpoint; None when the test did not get far enough to tell.
    """

    # pytest collects classes by name.
    __test__ = False

    verdict: Verdict
    key: KeyVerdict
    layers: tuple[LayerReport, ...]
    models: tuple[ModelEntry, ...] = ()
    proven: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    elapsed_s: float = 0.0
    price_note: str = ""
    facts: Facts | None = None


OnLayer = Callable[[LayerReport], None]
"""Called as each layer ends, on the event loop; must not block."""
