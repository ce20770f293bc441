"""Tests a connection layer by layer, as in the dialog with the "Test" button.

The first layer that fails decides the verdict; later ones are not reached. Layers up to HTTP are reported by
the connection that carried the first request.
"""

import time
from dataclasses import dataclass, field, replace

from nexo.connections.similar import most_similar
from nexo.connections.terms import KeyVerdict, Layer, Outcome, Provider
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Fact, Facts
from nexo_daemon.domain.probing import (
    ModelList,
    OnLayer,
    ProbeTarget,
    Suggestion,
    TestReport,
    Verdict,
)
from nexo_daemon.providers.completion import cheapest, complete, price_note
from nexo_daemon.providers.credit import without_credit
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.faults import judge_config
from nexo_daemon.providers.keycheck import NO_MODELS, KeyFinding, check_key, check_without_list
from nexo_daemon.providers.layers import LayerLog
from nexo_daemon.providers.listing import read_pages
from nexo_daemon.providers.modelcheck import is_listed
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.probe_session import ProbeSession, Reply, open_session
from nexo_daemon.providers.suggestions import REPAIR_TIMEOUT_S, Tried, suggest
from nexo_daemon.providers.tls import TlsContexts


@dataclass(slots=True)
class _Results:
    """The results of a test so far.

    Attributes:
        unproven: facts about an endpoint that only a completion can show to exist.
    """

    log: LayerLog
    verdict: Verdict = field(default_factory=lambda: Verdict(Outcome.OK))
    key: KeyVerdict = KeyVerdict.UNVERIFIED
    listing: ModelList = field(default_factory=lambda: ModelList(()))
    proven: list[str] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    price_note: str = ""
    reached: bool = False
    finding: KeyFinding | None = None
    facts: Facts | None = None
    unproven: Facts = frozenset()

    def fail(self, verdict: Verdict, layer: Layer | None = None, elapsed_s: float | None = None) -> None:
        """End the test with this verdict."""
        self.verdict = verdict
        self.log.failed_by(verdict, layer, elapsed_s)


OLLAMA_CALLS = "/api/chat"
SOCKS_NOTE = (
    "A program that connects directly needs its own SOCKS support (Python: pip install 'httpx[socks]');"
    " through the gateway it needs none."
)


async def check_once(
    target: ProbeTarget, contexts: TlsContexts, clock: Clock, *, timeout_s: float
) -> Verdict:
    """Check with the one request that fails with an invalid key."""
    try:
        async with open_session(target, contexts, clock, timeout_s=timeout_s) as session:
            return (await session.probe()).verdict
    except ConfigFault as fault:
        return judge_config(fault)


async def check_untested(
    target: ProbeTarget, contexts: TlsContexts, clock: Clock, *, timeout_s: float
) -> Verdict:
    """Like `check_once`, for a connection that was never tested: a missing list alone is no failure."""
    try:
        async with open_session(target, contexts, clock, timeout_s=timeout_s) as session:
            reply = await session.probe()
            missing = reply.status == 404 or reply.models_of_another_dialect
            if missing and reply.lacks_list and await session.calls_are_answered():
                return _without_list(reply)
            return reply.verdict
    except ConfigFault as fault:
        return judge_config(fault)


async def run_test(
    target: ProbeTarget,
    contexts: TlsContexts,
    clock: Clock,
    *,
    paid: str | None,
    timeout_s: float,
    on_layer: OnLayer | None,
) -> TestReport:
    """See `Prober.test`.

    Args:
        paid: the model for one billed completion, with the person's consent; "" chooses a cheap one; None
            sends none.
    """
    started = time.monotonic()
    results = _Results(LayerLog(on_layer, encrypted=not target.base_url.startswith("http://")))
    if not target.credentials.api_key:
        results.key = KeyVerdict.NONE
    wanted = paid or target.default_model
    try:
        async with open_session(
            target, contexts, clock, timeout_s=timeout_s, notice=results.log.noticed
        ) as session:
            results.log.passed(Layer.CONFIGURATION, time.monotonic() - started, session.base.url())
            await _run(session, results, wanted, paid)
    except ConfigFault as fault:
        results.fail(judge_config(fault), Layer.CONFIGURATION)
    left = timeout_s - (time.monotonic() - started)

    async def trial(changed: ProbeTarget) -> Tried:
        return await _try(changed, contexts, clock, wanted, timeout_s=min(REPAIR_TIMEOUT_S, left))

    if left > 0.2:
        tested = replace(target, facts=target.facts | (results.facts or frozenset()))
        results.suggestions += await suggest(tested, results.verdict, trial, reached=results.reached)
    return TestReport(
        verdict=results.verdict,
        key=results.key,
        layers=results.log.reports,
        models=results.listing.models,
        proven=tuple(dict.fromkeys(results.proven)),
        suggestions=tuple(results.suggestions),
        elapsed_s=time.monotonic() - started,
        price_note=results.price_note,
        facts=results.facts,
    )


async def _try(
    changed: ProbeTarget, contexts: TlsContexts, clock: Clock, wanted: str, *, timeout_s: float
) -> Tried:
    """Run the whole test of a changed target without reports; less would not prove that the change helps."""
    results = _Results(LayerLog(None, encrypted=True))
    try:
        async with open_session(changed, contexts, clock, timeout_s=timeout_s) as session:
            if session.witness is not None:
                # The request that failed before comes first: most trials with a rejected key end here.
                reply = await session.call(session.witness)
                if reply.verdict.outcome is Outcome.AUTH_ERROR:
                    return Tried(reply.verdict, KeyVerdict.UNVERIFIED)
            await _run(session, results, wanted, None)
    except ConfigFault as fault:
        results.verdict = judge_config(fault)
    return Tried(results.verdict, results.key)


async def _run(session: ProbeSession, results: _Results, wanted: str, paid: str | None) -> None:
    if not await _reach(session, results, wanted if paid is not None else ""):
        return
    if not await _authenticate(session, results):
        return
    model = wanted or cheapest(results.listing.models)
    if model:
        # Also shown without a completion, so that a person knows the price before asking for one.
        results.price_note = price_note(session.target, session.subject, session.base.host, model)
    if not _find_model(session, results, wanted, model, paid):
        return
    if results.verdict.advice in ("", NO_MODELS) and (note := await _note(session, results)):
        results.verdict = replace(results.verdict, advice=note)
    if paid is None:
        results.log.skipped(Layer.COMPLETION, "not asked for")
    else:
        await _complete(session, results, model)


async def _reach(session: ProbeSession, results: _Results, paid_model: str) -> bool:
    """Test from DNS to HTTP, with the model list, or without one by calls."""
    if (
        session.preset is not None
        and not session.preset.has_model_list
        and session.key_probe is not KeyProbe.MODELS
    ):
        reply = await session.probe()
    else:
        reply, results.listing = await read_pages(session)
    results.verdict = reply.verdict
    if reply.reading is not None and reply.verdict.outcome is not Outcome.UNREACHABLE:
        results.proven.append("reachable")
    finding = await check_without_list(session) if reply.lacks_list else None
    if finding is None and reply.lacks_list and paid_model:
        # No free request is conclusive; the completion will be.
        results.unproven = frozenset({Fact.NO_LIST})
        finding = KeyFinding(results.key, "no free request could tell")
    if finding is not None:
        results.finding = finding
        results.verdict = _without_list(reply)
        results.listing = ModelList(reply.models_of_another_dialect)
        results.reached = not results.unproven
        calls = "calls are answered" if results.reached else "a completion will tell"
        results.log.passed(Layer.HTTP, reply.elapsed_s, f"{reply.verdict.evidence}; {calls}")
        return True
    if reply.verdict.ok:
        results.reached = True
        results.log.passed(Layer.HTTP, reply.elapsed_s, reply.verdict.evidence)
        return True
    if reply.judgement.key_accepted:
        results.proven.append("key_accepted")
        results.key = KeyVerdict.VERIFIED if results.key is not KeyVerdict.NONE else results.key
    results.fail(reply.verdict, reply.failed_at, reply.elapsed_s)
    return False


def _without_list(reply: Reply) -> Verdict:
    """The verdict on a list that is missing or has another dialect's format, although calls work."""
    advice = "" if reply.models_of_another_dialect else NO_MODELS
    return replace(reply.verdict, outcome=Outcome.OK, reason="", advice=advice, provider_message="")


async def _authenticate(session: ProbeSession, results: _Results) -> bool:
    started = time.monotonic()
    finding = results.finding or await check_key(session)
    results.facts = finding.facts
    credit = None if finding.failure else await without_credit(session, results.listing.models)
    elapsed = time.monotonic() - started
    results.key = finding.key
    failure = finding.failure or credit
    if finding.key is KeyVerdict.VERIFIED:
        results.proven += ["key_accepted", "key_verified"]
    if failure is not None:
        results.verdict = failure
        said = f": {failure.provider_message}" if failure.provider_message else ""
        evidence = f"{finding.evidence}; {failure.evidence}" if credit else finding.evidence
        results.log.failed(Layer.AUTHENTICATED, elapsed, evidence + said)
        return False
    if finding.key is KeyVerdict.VERIFIED:
        results.log.passed(Layer.AUTHENTICATED, elapsed, finding.evidence)
    else:
        results.log.skipped(Layer.AUTHENTICATED, finding.evidence)
    return True


def _find_model(session: ProbeSession, results: _Results, wanted: str, model: str, paid: str | None) -> bool:
    listing, log = results.listing, results.log
    if results.finding is not None and not listing.models:
        log.skipped(Layer.MODEL_LISTED, "the service lists no models")
        return True
    count = f"{len(listing.models)}{' or more' if listing.truncated else ''} models listed"
    # The price is shown before the completion is sent.
    price = f"; {results.price_note}" if paid is not None and model else ""
    if not wanted:
        if listing.models:
            log.passed(Layer.MODEL_LISTED, 0.0, f"{count}, none is set as default{price}")
        else:
            log.skipped(Layer.MODEL_LISTED, "the service lists no models")
        return True
    if is_listed(wanted, listing.models):
        results.proven.append("model_listed")
        log.passed(Layer.MODEL_LISTED, 0.0, f"{wanted} is one of {count}{price}")
        return True
    near = most_similar(wanted, (model.id for model in listing.models))
    if near:
        results.suggestions.append(
            Suggestion("default_model", f"{wanted} is not listed; {near} is.", near, verified=True)
        )
    service = session.subject.service
    known = session.lists_every_model and not listing.truncated and results.finding is None
    if paid is not None or not known:
        log.skipped(Layer.MODEL_LISTED, f"{wanted} is not among {count}, which may not be all{price}")
        if paid is None:
            results.verdict = replace(
                results.verdict,
                reason="model_not_listed",
                advice=(
                    f"{service} does not list the model {wanted}, which may work all the same;"
                    " --completion tells."
                ),
            )
        return True
    results.verdict = replace(
        results.verdict,
        outcome=Outcome.NOT_COMPATIBLE,
        reason="model_not_listed",
        advice=(
            f"{service} does not list the model {wanted}; see 'nexoctl models', or try it with --completion"
            " if it works unlisted."
        ),
    )
    log.failed(Layer.MODEL_LISTED, 0.0, f"{wanted} is not among {count}")
    return False


async def _note(session: ProbeSession, results: _Results) -> str:
    """A note on what works in a test but may fail in a program; "" for none."""
    if session.target.provider is Provider.OLLAMA and not await _native(session):
        listing = "models as Ollama does, but has" if results.finding is None else "no models and has"
        return (
            f"{session.subject.service} lists {listing} no {OLLAMA_CALLS}, which programs made for Ollama"
            f" call; as OpenAI's it is custom with {session.base.url('/v1')}."
        )
    if session.proxy is not None and session.proxy.scheme.startswith("socks"):
        return SOCKS_NOTE
    return ""


async def _native(session: ProbeSession) -> bool:
    for method, body in (("GET", None), ("POST", b"null")):
        reply = await session.ask(method=method, path=OLLAMA_CALLS, body=body, right=lambda _: True)
        # Without a model, Ollama itself answers 404.
        if reply.status != 404 or (reply.reading is not None and "model" in reply.reading.message):
            return True
    return False


async def _complete(session: ProbeSession, results: _Results, model: str) -> None:
    if not model:
        verdict = replace(
            results.verdict,
            outcome=Outcome.CONFIG_ERROR,
            reason="no_model",
            advice=(
                f"{'No listed model can chat' if results.listing.models else NO_MODELS[:-1]};"
                " name one with --model."
            ),
        )
        results.verdict = verdict
        results.log.failed(Layer.COMPLETION, None, "no model to ask")
        return
    reply, wire = await complete(session, model)
    verdict = reply.verdict if reply.verdict.ok else _completion_verdict(reply, model, results.key)
    met = (Outcome.OK, Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED)
    if verdict.outcome in met or verdict.reason == "model_unavailable":
        # Without this proof, checks would accept a missing list at any address.
        results.reached = True
        results.facts = (results.facts or frozenset()) | results.unproven
    if verdict.ok:
        results.proven += (
            ["completion", "key_accepted"] if results.key is not KeyVerdict.NONE else ["completion"]
        )
        results.log.passed(Layer.COMPLETION, reply.elapsed_s, f"{model} answered on {wire}")
        return
    results.verdict = verdict
    results.log.failed_by(results.verdict, Layer.COMPLETION, reply.elapsed_s)


def _completion_verdict(reply: Reply, model: str, key: KeyVerdict) -> Verdict:
    """Whether the model is missing, the endpoint for calls, or the permission of a key that is known."""
    verdict = reply.verdict
    if verdict.outcome is Outcome.AUTH_ERROR and key is KeyVerdict.VERIFIED:
        return replace(
            verdict,
            outcome=Outcome.PERMISSION,
            reason="forbidden",
            advice=f"The key may list models, but not call {model}; check what it and its project may do.",
        )
    words = ""
    if reply.reading is not None:
        words = " ".join([reply.reading.message.lower(), *reply.reading.codes])
    if verdict.outcome is not Outcome.NOT_COMPATIBLE:
        return verdict
    if "model" in words or model.lower() in words or "模型" in words:
        return replace(
            verdict,
            reason="model_unavailable",
            advice=f"The connection works, but the model {model} cannot be used with it; choose another one.",
        )
    if reply.status in (404, 405):
        return replace(
            verdict,
            reason="not_found",
            advice=(
                f"There is no endpoint here that the model {model} could be called at; check the provider"
                " and the path of the base URL."
            ),
        )
    return verdict
