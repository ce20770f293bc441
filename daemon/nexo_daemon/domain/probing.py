"""Values for probes: what is sent to a provider, and what was found."""

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
    """Where a probe is sent, and with which credentials. Holds plaintext secrets: never stored or logged."""

    credentials: Credentials
    default_model: str = ""
    facts: Facts = frozenset()


@frozen
class Verdict:
    """The result of one probe. Every text is redacted.

    Attributes:
        reason: stable identifier that refines the outcome; empty if OK.
        retry_at: the provider asked for no calls before this time.
        latency_s: from the start of the request to the complete answer; None if none arrived.
        network_suspect: the failure looks like one of the local network, not of the provider (no route,
            temporary failure of name resolution); a hint for "offline", never proof.
        source: whose request it was; the latency of a program's request is not that of a check.
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
    """The result of a test: the verdict, the layers, and the facts that were found.

    Attributes:
        facts: about the endpoint; None if the test did not get that far.
    """

    # Otherwise pytest would collect the class because of its name.
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
        """The verdict on the key that may be stored; None if the key was not accepted, or none was sent."""
        return self.key if self.verdict.ok and self.key is not KeyVerdict.NONE else None


OnLayer = Callable[[LayerResult], None]
"""Called at the end of each layer, on the event loop; must not block."""
