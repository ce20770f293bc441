"""Does a connection work? The questions that the daemon asks of a provider.

`check` is for the schedule: one request, no tokens. `test` is for a person: the layers, the key, suggestions.
`list_models` is the list. Each opens its own connection and closes it; only TLS contexts are shared.

What sends a request and judges its answer is a good part of a start, and no program waits for it: it is
loaded by `prepare` or by the first question, on a thread of its own.
"""

import sys
from typing import TYPE_CHECKING

from nexo.connections.errors import ProviderFailed
from nexo.connections.terms import Outcome
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.lanes import Lane
from nexo_daemon.domain.model import Fact
from nexo_daemon.domain.probing import ModelList, OnLayer, ProbeTarget, TestReport, Verdict
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.tls import TlsContexts

if TYPE_CHECKING:
    from nexo_daemon.providers.inquiry import Reply

_IMPORTS = Lane("imports", most=1)


def _load() -> None:
    # httpx has a command line of its own, which brings rich, pygments and click: 6 MB that nobody uses here.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: it cannot be imported
    # All that the questions below import stands under one of the two.
    import nexo_daemon.providers.tester  # noqa: F401
    from nexo_daemon.providers.transport import load_backend

    load_backend()


class Prober:
    """Asks providers. Safe for many checks at once; bounds are the caller's business."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contexts = TlsContexts()
        self._prepared = False

    async def prepare(self) -> None:
        """Load what a request needs without holding up the event loop; each question sees to it by itself."""
        if not self._prepared:
            await _IMPORTS.join("prober", _load)
            self._prepared = True

    async def check(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> Verdict:
        """One token-free request. Never raises for what a provider or the network does."""
        await self.prepare()
        from nexo_daemon.providers.tester import check_once

        return await check_once(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def check_untested(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> Verdict:
        """A check of a connection that no test has met: where its list is missing, one free request more."""
        await self.prepare()
        from nexo_daemon.providers.tester import check_untested

        return await check_untested(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def list_models(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> ModelList:
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
        await self.prepare()
        from nexo_daemon.providers.faults import judge_config
        from nexo_daemon.providers.inquiry import open_inquiry
        from nexo_daemon.providers.listing import read_pages

        reply: Reply | None = None
        try:
            async with open_inquiry(target, self._contexts, self._clock, timeout_s=timeout_s) as inquiry:
                reply, listing = await read_pages(inquiry)
                verdict = reply.verdict
        except ConfigFault as fault:
            verdict, listing = judge_config(fault), ModelList(())
        if reply is not None and reply.models_of_another_dialect and Fact.NO_LIST in target.facts:
            # A test has seen that calls are answered there.
            return ModelList(reply.models_of_another_dialect)
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
        target: ProbeTarget,
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
        await self.prepare()
        from nexo_daemon.providers.tester import run_test

        return await run_test(
            target,
            self._contexts,
            self._clock,
            paid=model if completion else None,
            timeout_s=timeout_s,
            on_layer=on_layer,
        )
