"""What is asked of a provider, and what came back: the values between registry, health and providers."""

from collections.abc import Callable
from datetime import datetime

from nexo.connections.model.connection import Endpoint
from nexo.connections.model.trial import LayerResult as LayerResult
from nexo.connections.model.trial import Model as Model
from nexo.connections.model.trial import ModelList as ModelList
from nexo.connections.model.trial import Suggestion as Suggestion
from nexo.connections.terms import KeyVerdict, Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Credentials, EvidenceSource, Facts


@frozen(kw_only=True)
class ProbeTarget(Endpoint):
    """Where to send a probe and with what. Holds secrets in the clear: not stored, not logged."""

    credentials: Credentials
    default_model: str = ""
    facts: Facts = frozenset()


@frozen
class Verdict:
    """What one probe found. Every text is redacted.

    Attributes:
        reason: stable word below the outcome; empty when OK.
        retry_at: the provider asked not to be called before then.
        latency_s: from the start of the request to the complete answer; None when none arrived.
        network_suspect: the failure looks like this computer's network, not the provider's (no route,
            name resolution failing temporarily); evidence for "offline", never proof.
        source: whose request it was; a program's says nothing of the latency of a check.
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
    source: EvidenceSource = EvidenceSource.PROBE

    @property
    def ok(self) -> bool:
        """Whether the probe succeeded."""
        return self.outcome is Outcome.OK


@frozen
class TestReport:
    """The result of a test: the verdict, the layers, and what was learned on the way.

    Attributes:
        facts: about the endpoint; None when the test did not get far enough to tell.
    """

    # pytest collects classes by name.
    __test__ = False

    verdict: Verdict
    key: KeyVerdict
    layers: tuple[LayerResult, ...]
    models: tuple[Model, ...] = ()
    proven: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    elapsed_s: float = 0.0
    price_note: str = ""
    facts: Facts | None = None

    @property
    def proven_verdict(self) -> KeyVerdict | None:
        """What may be remembered of the key; None when it was not accepted, or none was sent."""
        return self.key if self.verdict.ok and self.key is not KeyVerdict.NONE else None


OnLayer = Callable[[LayerResult], None]
"""Called as each layer ends, on the event loop; must not block."""
