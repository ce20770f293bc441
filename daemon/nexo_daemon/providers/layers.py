"""Records which layers of a test passed and which one failed, in order, and reports them."""

from nexo.connections.terms import Layer, LayerStatus, Outcome
from nexo_daemon.domain.probing import LayerResult, OnLayer, Verdict

ORDER = tuple(Layer)
PLAIN = "the URL is http://"

# The layer that failed, by the outcome of an answer. 429 fails HTTP, because the request was not processed.
_FAILED_BY_ANSWER = {
    Outcome.CONFIG_ERROR: Layer.AUTHENTICATED,
    Outcome.AUTH_ERROR: Layer.AUTHENTICATED,
    Outcome.PERMISSION: Layer.AUTHENTICATED,
    Outcome.QUOTA_EXHAUSTED: Layer.AUTHENTICATED,
}


class LayerLog:
    """Collects the layer results of one test in order, each layer once.

    Args:
        encrypted: whether the address is https://; otherwise TLS does not apply.
    """

    def __init__(self, on_layer: OnLayer | None, *, encrypted: bool) -> None:
        self._on_layer = on_layer
        self._encrypted = encrypted
        self._reports: dict[Layer, LayerResult] = {}

    @property
    def reports(self) -> tuple[LayerResult, ...]:
        """The results so far, in order."""
        return tuple(self._reports[layer] for layer in ORDER if layer in self._reports)

    def passed(self, layer: Layer, elapsed_s: float | None, evidence: str = "") -> None:
        """Report that the layer works."""
        self._add(LayerResult(layer, LayerStatus.PASSED, elapsed_s, evidence))

    def skipped(self, layer: Layer, evidence: str) -> None:
        """Report that the layer does not apply, or that nothing is known about it."""
        self._add(LayerResult(layer, LayerStatus.SKIPPED, None, evidence))

    def noticed(self, layer: Layer, elapsed_s: float | None, evidence: str) -> None:
        """Callback for the transport; without a time the layer does not apply."""
        if elapsed_s is None:
            self.skipped(layer, evidence)
        else:
            self.passed(layer, elapsed_s, evidence)

    def failed(self, layer: Layer, elapsed_s: float | None, evidence: str) -> None:
        """Report the layer that decides the verdict; earlier ones without a result did not apply."""
        for earlier in ORDER[: ORDER.index(layer)]:
            if earlier not in self._reports:
                self.skipped(earlier, "not seen")
        self._add(LayerResult(layer, LayerStatus.FAILED, elapsed_s, evidence))
        for later in ORDER[ORDER.index(layer) + 1 :]:
            if later is Layer.TLS and not self._encrypted:
                self.skipped(later, PLAIN)
            elif later not in self._reports:
                self._add(LayerResult(later, LayerStatus.NOT_REACHED))

    def failed_by(self, verdict: Verdict, layer: Layer | None, elapsed_s: float | None) -> None:
        """Report the layer that a verdict belongs to; `layer` is that of a failure without an answer."""
        layer = layer or _FAILED_BY_ANSWER.get(verdict.outcome, Layer.HTTP)
        elapsed_s = verdict.latency_s if elapsed_s is None else elapsed_s
        said = f": {verdict.provider_message}" if verdict.provider_message else ""
        if layer is Layer.AUTHENTICATED:
            self.passed(Layer.HTTP, verdict.latency_s, verdict.evidence)
        self.failed(layer, elapsed_s, verdict.evidence + said)

    def _add(self, report: LayerResult) -> None:
        if report.layer in self._reports:
            return
        self._reports[report.layer] = report
        if self._on_layer:
            self._on_layer(report)
