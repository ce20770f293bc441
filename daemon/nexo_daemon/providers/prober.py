"""Does a connection work? The three questions that the daemon asks of a provider.

`check` is for the schedule: one request, no tokens. `test` is for a person: layers, the key, suggestions.
`list_models` is the list. Each opens its own connection and closes it; only TLS contexts are shared.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from nexo_client.terms import KeyVerdict, Layer
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import ProviderFailed
from nexo_daemon.domain.probing import ModelEntry, ModelListing, OnLayer, Target, TestReport, Verdict
from nexo_daemon.providers.dialects import MAX_MODELS
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.faults import judge_config
from nexo_daemon.providers.inquiry import Inquiry, Reply, open_inquiry
from nexo_daemon.providers.layers import LayerLog
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.providers.transport import Notice

MAX_PAGES = 20


class Prober:
    """Asks providers. Safe for many checks at once; bounds are the caller's business."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contexts = TlsContexts()

    async def check(self, target: Target, *, timeout_s: float = 15.0) -> Verdict:
        """One token-free request. Never raises for what a provider or the network does."""
        try:
            async with self._inquiry(target, timeout_s) as inquiry:
                return (await inquiry.list_page(inquiry.dialect.check_query)).verdict
        except ConfigFault as fault:
            return judge_config(fault)

    async def list_models(self, target: Target, *, timeout_s: float = 15.0) -> ModelListing:
        """All models, as far as the bounds allow.

        Raises:
            ProviderFailed: the provider gave no list; the metadata hold outcome and reason.
        """
        try:
            async with self._inquiry(target, timeout_s) as inquiry:
                reply, listing = await _read_pages(inquiry)
                verdict = reply.verdict
        except ConfigFault as fault:
            verdict, listing = judge_config(fault), ModelListing(())
        if not verdict.ok:
            said = f" ({verdict.evidence})" if verdict.evidence else ""
            raise ProviderFailed(
                f"{target.name}: no model list{said}",
                hint=verdict.advice,
                metadata={"outcome": verdict.outcome.value, "reason": verdict.reason},
            )
        return listing

    async def test(
        self,
        target: Target,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        on_layer: OnLayer | None = None,
    ) -> TestReport:
        """A test with layers, for a person who waits.

        Args:
            completion: also make one minimal request that the provider bills.
            model: for the completion.
            on_layer: called as each layer ends.
        """
        started = time.monotonic()
        log = LayerLog(on_layer)
        models: tuple[ModelEntry, ...] = ()
        try:
            async with self._inquiry(target, timeout_s, log.noticed) as inquiry:
                log.passed(Layer.CONFIGURATION, 0.0, inquiry.base.url())
                reply, listing = await _read_pages(inquiry)
                verdict, models = reply.verdict, listing.models
        except ConfigFault as fault:
            verdict = judge_config(fault)
        if verdict.ok:
            log.passed(Layer.HTTP, verdict.latency_s, verdict.evidence)
            log.skipped(Layer.AUTHENTICATED, "the key was not compared")
            log.passed(Layer.MODEL_LISTED, 0.0, f"{len(models)} models")
            log.skipped(Layer.COMPLETION, "not asked for")
        else:
            log.failed_by(verdict)
        return TestReport(
            verdict=verdict,
            key=KeyVerdict.UNVERIFIED if target.credentials.api_key else KeyVerdict.NONE,
            layers=log.reports,
            models=models,
            elapsed_s=time.monotonic() - started,
        )

    async def aclose(self) -> None:
        """Nothing stays open between checks; here for the owner that stops everything it started."""

    @asynccontextmanager
    async def _inquiry(
        self, target: Target, timeout_s: float, notice: Notice | None = None
    ) -> AsyncIterator[Inquiry]:
        inquiry = await open_inquiry(target, self._contexts, self._clock, timeout_s=timeout_s, notice=notice)
        try:
            yield inquiry
        finally:
            await inquiry.aclose()


async def _read_pages(inquiry: Inquiry) -> tuple[Reply, ModelListing]:
    """The first reply, and the list of all pages; truncated when a later page fails or bounds are met."""
    first = reply = await inquiry.list_page(inquiry.dialect.list_query)
    models: list[ModelEntry] = []
    seen: set[str] = set()
    for page in range(MAX_PAGES):
        if not reply.verdict.ok:
            return first, ModelListing(tuple(models), truncated=page > 0)
        models += reply.models or ()
        query = inquiry.dialect.next_query(reply.document)
        if query is None:
            unique = {model.id: model for model in models}
            return first, ModelListing(tuple(unique.values())[:MAX_MODELS], len(unique) > MAX_MODELS)
        if query in seen or len(models) >= MAX_MODELS:
            break
        seen.add(query)
        reply = await inquiry.list_page(query)
    first = replace(first, models=None)
    return first, ModelListing(tuple(models[:MAX_MODELS]), truncated=True)
