"""Does a connection work? The questions that the daemon asks of a provider.

`check` is for the schedule: one request, no tokens. `verify` is for a new key. `test` is for a person: the
layers, the key, suggestions. `list_models` is the list. Each opens its own connection and closes it; only TLS
contexts are shared.
"""

from nexo_client.terms import Outcome
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import ProviderFailed
from nexo_daemon.domain.probing import ModelListing, OnLayer, Target, TestReport, Verdict
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.faults import judge_config
from nexo_daemon.providers.inquiry import open_inquiry
from nexo_daemon.providers.listing import read_pages
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.tester import Paid, check_once, check_untested, run_test, verify_once
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.providers.transport import load_backend


class Prober:
    """Asks providers. Safe for many checks at once; bounds are the caller's business."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contexts = TlsContexts()

    async def prepare(self) -> None:
        """Load what the first request needs without holding up the event loop. Nothing depends on it."""
        await load_backend()

    async def check(self, target: Target, *, timeout_s: float = 15.0) -> Verdict:
        """One token-free request. Never raises for what a provider or the network does."""
        return await check_once(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def check_untested(self, target: Target, *, timeout_s: float = 15.0) -> Verdict:
        """A check of a connection that no test has met: where its list is missing, one free request more."""
        return await check_untested(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def verify(self, target: Target, *, timeout_s: float = 15.0) -> Verdict:
        """A check that a bad key fails also where the model list is public; at most four requests, all free.

        For the moment in which a key is saved; too much for a schedule.
        """
        return await verify_once(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def list_models(self, target: Target, *, timeout_s: float = 15.0) -> ModelListing:
        """All models, as far as the bounds allow.

        Raises:
            ProviderFailed: the provider gave no list; the metadata hold outcome and reason.
        """
        preset = PRESETS.get(target.preset)
        if preset is not None and not preset.has_model_list:
            raise ProviderFailed(
                f"{target.name}: {preset.display_name} has no model list",
                hint=f"Look the names up in the documentation of {preset.display_name}.",
                metadata={"outcome": Outcome.NOT_COMPATIBLE.value, "reason": "no_model_list"},
            )
        try:
            async with open_inquiry(target, self._contexts, self._clock, timeout_s=timeout_s) as inquiry:
                reply, listing = await read_pages(inquiry)
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
            model: for the completion, and looked for in the list; empty: the default model, or the
                cheapest listed one.
            on_layer: called as each layer ends.
        """
        return await run_test(
            target,
            self._contexts,
            self._clock,
            paid=Paid(model) if completion else None,
            timeout_s=timeout_s,
            on_layer=on_layer,
        )
