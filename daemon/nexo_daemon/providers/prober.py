"""The questions that the daemon asks a provider.

`check` is for periodic checks: one free request. `test` is for a person: layers, key, suggestions.
`list_models` reads the model list. Each opens a connection of its own and closes it; only TLS contexts are
shared.

The modules that send requests and judge answers take a large part of a start. So they are imported after the
first answer by `prepare`, or by the first question, on a separate thread.
"""

import sys
from typing import TYPE_CHECKING

from nexo.connections.errors import ProviderFailed
from nexo.connections.terms import Outcome
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Fact
from nexo_daemon.domain.probing import ModelList, OnLayer, ProbeTarget, TestReport, Verdict
from nexo_daemon.domain.thread_pool import IMPORTS
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.tls import TlsContexts

if TYPE_CHECKING:
    from nexo_daemon.providers.probe_session import Reply


def _load() -> None:
    # httpx has a command line, which imports rich, pygments and click: 6 MB that are not used here.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: it cannot be imported
    # Imports everything that the questions below need.
    import nexo_daemon.providers.tester  # noqa: F401
    from nexo_daemon.providers.transport import load_backend

    load_backend()


class Prober:
    """Sends requests to providers. Many checks may run at once; the caller limits their number."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contexts = TlsContexts()
        self._prepared = False

    async def prepare(self) -> None:
        """Import what a request needs, without blocking the event loop; otherwise the first question does."""
        if not self._prepared:
            await IMPORTS.join("prober", _load)
            self._prepared = True

    async def check(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> Verdict:
        """Check with one free request. Never raises because of the provider or the network."""
        await self.prepare()
        from nexo_daemon.providers.tester import check_once

        return await check_once(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def check_untested(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> Verdict:
        """Check a connection that was never tested: if its model list is missing, with one more request."""
        await self.prepare()
        from nexo_daemon.providers.tester import check_untested

        return await check_untested(target, self._contexts, self._clock, timeout_s=timeout_s)

    async def list_models(self, target: ProbeTarget, *, timeout_s: float = 15.0) -> ModelList:
        """All models, within limits.

        Raises:
            ProviderFailed: there is no list; the metadata contain outcome and reason.
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
        from nexo_daemon.providers.listing import read_pages
        from nexo_daemon.providers.probe_session import open_session

        reply: Reply | None = None
        try:
            async with open_session(target, self._contexts, self._clock, timeout_s=timeout_s) as session:
                reply, listing = await read_pages(session)
                verdict = reply.verdict
        except ConfigFault as fault:
            verdict, listing = judge_config(fault), ModelList(())
        if reply is not None and reply.models_of_another_dialect and Fact.NO_LIST in target.facts:
            # A test has shown that calls work there.
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
        """Test a connection layer by layer, for a person who waits.

        Args:
            completion: also request one minimal completion, which is billed.
            model: for the completion, and to be found in the list; empty: the default model, or the
                cheapest listed one.
            on_layer: called after each layer.
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
