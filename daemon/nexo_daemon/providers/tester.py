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
from nexo_daemon.providers.inquiry import Inquiry, Reply, open_inquiry
from nexo_daemon.providers.keycheck import NO_MODELS, KeyFinding, check_key, check_without_list
from nexo_daemon.providers.layers import LayerLog
from nexo_daemon.providers.listing import read_pages
from nexo_daemon.providers.modelcheck import is_listed
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.suggestions import REPAIR_TIMEOUT_S, Tried, suggest
from nexo_daemon.providers.tls import TlsContexts


@dataclass(slots=True)
class _Course:
    """The results of a test so far."""

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
        async with open_inquiry(target, contexts, clock, timeout_s=timeout_s) as inquiry:
            return (await inquiry.probe()).verdict
    except ConfigFault as fault:
        return judge_config(fault)


async def check_untested(
    target: ProbeTarget, contexts: TlsContexts, clock: Clock, *, timeout_s: float
) -> Verdict:
    """Like `check_once`, for a connection that was never tested: a missing list alone is no failure."""
    try:
        async with open_inquiry(target, contexts, clock, timeout_s=timeout_s) as inquiry:
            reply = await inquiry.probe()
            missing = reply.status == 404 or reply.models_of_another_dialect
            if missing and reply.lacks_list and await inquiry.calls_are_answered():
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
    course = _Course(LayerLog(on_layer, encrypted=not target.base_url.startswith("http://")))
    if not target.credentials.api_key:
        course.key = KeyVerdict.NONE
    wanted = paid or target.default_model
    try:
        async with open_inquiry(
            target, contexts, clock, timeout_s=timeout_s, notice=course.log.noticed
        ) as inquiry:
            course.log.passed(Layer.CONFIGURATION, time.monotonic() - started, inquiry.base.url())
            await _run(inquiry, course, wanted, paid)
    except ConfigFault as fault:
        course.fail(judge_config(fault), Layer.CONFIGURATION)
    left = timeout_s - (time.monotonic() - started)

    async def trial(changed: ProbeTarget) -> Tried:
        return await _try(changed, contexts, clock, wanted, timeout_s=min(REPAIR_TIMEOUT_S, left))

    if left > 0.2:
        tested = replace(target, facts=target.facts | (course.facts or frozenset()))
        course.suggestions += await suggest(tested, course.verdict, trial, reached=course.reached)
    return TestReport(
        verdict=course.verdict,
        key=course.key,
        layers=course.log.reports,
        models=course.listing.models,
        proven=tuple(dict.fromkeys(course.proven)),
        suggestions=tuple(course.suggestions),
        elapsed_s=time.monotonic() - started,
        price_note=course.price_note,
        facts=course.facts,
    )


async def _try(
    changed: ProbeTarget, contexts: TlsContexts, clock: Clock, wanted: str, *, timeout_s: float
) -> Tried:
    """Run the whole test of a changed target without reports; less would not prove that the change helps."""
    course = _Course(LayerLog(None, encrypted=True))
    try:
        async with open_inquiry(changed, contexts, clock, timeout_s=timeout_s) as inquiry:
            if inquiry.witness is not None:
                # The request that failed before comes first: most trials with a rejected key end here.
                reply = await inquiry.call(inquiry.witness)
                if reply.verdict.outcome is Outcome.AUTH_ERROR:
                    return Tried(reply.verdict, KeyVerdict.UNVERIFIED)
            await _run(inquiry, course, wanted, None)
    except ConfigFault as fault:
        course.verdict = judge_config(fault)
    return Tried(course.verdict, course.key)


async def _run(inquiry: Inquiry, course: _Course, wanted: str, paid: str | None) -> None:
    if not await _reach(inquiry, course, wanted if paid is not None else ""):
        return
    if not await _authenticate(inquiry, course):
        return
    model = wanted or cheapest(course.listing.models)
    if model:
        # Also shown without a completion, so that a person knows the price before asking for one.
        course.price_note = price_note(inquiry.target, inquiry.subject, inquiry.base.host, model)
    if not _find_model(inquiry, course, wanted, model, paid):
        return
    if not course.verdict.advice and (note := await _note(inquiry, course)):
        course.verdict = replace(course.verdict, advice=note)
    if paid is None:
        course.log.skipped(Layer.COMPLETION, "not asked for")
    else:
        await _complete(inquiry, course, model)


async def _reach(inquiry: Inquiry, course: _Course, paid_model: str) -> bool:
    """Test from DNS to HTTP, with the model list, or without one by calls."""
    if (
        inquiry.preset is not None
        and not inquiry.preset.has_model_list
        and inquiry.key_probe is not KeyProbe.MODELS
    ):
        reply = await inquiry.probe()
    else:
        reply, course.listing = await read_pages(inquiry)
    course.verdict = reply.verdict
    if reply.reading is not None and reply.verdict.outcome is not Outcome.UNREACHABLE:
        course.proven.append("reachable")
    finding = await check_without_list(inquiry) if reply.lacks_list else None
    if finding is None and reply.lacks_list and paid_model:
        # No free request is conclusive; the completion will be.
        facts = frozenset({Fact.NO_LIST})
        finding = KeyFinding(course.key, "no free request could tell", facts=facts)
    if finding is not None:
        course.finding = finding
        course.verdict = _without_list(reply)
        course.listing = ModelList(reply.models_of_another_dialect)
        course.reached = True
        course.log.passed(Layer.HTTP, reply.elapsed_s, f"{reply.verdict.evidence}; calls are answered")
        return True
    if reply.verdict.ok:
        course.reached = True
        course.log.passed(Layer.HTTP, reply.elapsed_s, reply.verdict.evidence)
        return True
    if reply.judgement.key_accepted:
        course.proven.append("key_accepted")
        course.key = KeyVerdict.VERIFIED if course.key is not KeyVerdict.NONE else course.key
    course.fail(reply.verdict, reply.failed_at, reply.elapsed_s)
    return False


def _without_list(reply: Reply) -> Verdict:
    """The verdict on a list that is missing or has another dialect's format, although calls work."""
    advice = "" if reply.models_of_another_dialect else NO_MODELS
    return replace(reply.verdict, outcome=Outcome.OK, reason="", advice=advice, provider_message="")


async def _authenticate(inquiry: Inquiry, course: _Course) -> bool:
    started = time.monotonic()
    finding = course.finding or await check_key(inquiry)
    course.facts = finding.facts
    credit = None if finding.failure else await without_credit(inquiry, course.listing.models)
    elapsed = time.monotonic() - started
    course.key = finding.key
    failure = finding.failure or credit
    if finding.key is KeyVerdict.VERIFIED:
        course.proven += ["key_accepted", "key_verified"]
    if failure is not None:
        course.verdict = failure
        said = f": {failure.provider_message}" if failure.provider_message else ""
        evidence = f"{finding.evidence}; {failure.evidence}" if credit else finding.evidence
        course.log.failed(Layer.AUTHENTICATED, elapsed, evidence + said)
        return False
    if finding.key is KeyVerdict.VERIFIED:
        course.log.passed(Layer.AUTHENTICATED, elapsed, finding.evidence)
    else:
        course.log.skipped(Layer.AUTHENTICATED, finding.evidence)
    return True


def _find_model(inquiry: Inquiry, course: _Course, wanted: str, model: str, paid: str | None) -> bool:
    listing, log = course.listing, course.log
    if course.finding is not None and not listing.models:
        log.skipped(Layer.MODEL_LISTED, "the service lists no models")
        return True
    count = f"{len(listing.models)}{' or more' if listing.truncated else ''} models listed"
    # The price is shown before the completion is sent.
    price = f"; {course.price_note}" if paid is not None and model else ""
    if not wanted:
        if listing.models:
            log.passed(Layer.MODEL_LISTED, 0.0, f"{count}, none is set as default{price}")
        else:
            log.skipped(Layer.MODEL_LISTED, "the service lists no models")
        return True
    if is_listed(wanted, listing.models):
        course.proven.append("model_listed")
        log.passed(Layer.MODEL_LISTED, 0.0, f"{wanted} is one of {count}{price}")
        return True
    near = most_similar(wanted, (model.id for model in listing.models))
    if near:
        course.suggestions.append(
            Suggestion("default_model", f"{wanted} is not listed; {near} is.", near, verified=True)
        )
    service = inquiry.subject.service
    known = inquiry.lists_every_model and not listing.truncated and course.finding is None
    if paid is not None or not known:
        log.skipped(Layer.MODEL_LISTED, f"{wanted} is not among {count}, which may not be all{price}")
        if paid is None:
            course.verdict = replace(
                course.verdict,
                reason="model_not_listed",
                advice=(
                    f"{service} does not list the model {wanted}, which may work all the same;"
                    " --completion tells."
                ),
            )
        return True
    course.verdict = replace(
        course.verdict,
        outcome=Outcome.NOT_COMPATIBLE,
        reason="model_not_listed",
        advice=(
            f"{service} does not list the model {wanted}; see 'nexoctl models', or try it with --completion"
            " if it works unlisted."
        ),
    )
    log.failed(Layer.MODEL_LISTED, 0.0, f"{wanted} is not among {count}")
    return False


async def _note(inquiry: Inquiry, course: _Course) -> str:
    """A note on what works in a test but may fail in a program; "" for none."""
    if inquiry.target.provider is Provider.OLLAMA and course.finding is None and not await _native(inquiry):
        return (
            f"{inquiry.subject.service} lists models as Ollama does, but has no {OLLAMA_CALLS}, which"
            f" programs made for it call; as OpenAI's it is custom with {inquiry.base.url('/v1')}."
        )
    if inquiry.proxy is not None and inquiry.proxy.scheme.startswith("socks"):
        return SOCKS_NOTE
    return ""


async def _native(inquiry: Inquiry) -> bool:
    for method, body in (("GET", None), ("POST", b"null")):
        reply = await inquiry.ask(method=method, path=OLLAMA_CALLS, body=body, right=lambda _: True)
        # Without a model, Ollama itself answers 404.
        if reply.status != 404 or (reply.reading is not None and "model" in reply.reading.message):
            return True
    return False


async def _complete(inquiry: Inquiry, course: _Course, model: str) -> None:
    if not model:
        verdict = replace(
            course.verdict,
            outcome=Outcome.CONFIG_ERROR,
            reason="no_model",
            advice="No listed model can chat; name one with --model.",
        )
        course.verdict = verdict
        course.log.failed(Layer.COMPLETION, None, "no model to ask")
        return
    reply, wire = await complete(inquiry, model)
    if reply.verdict.ok:
        course.proven += (
            ["completion", "key_accepted"] if course.key is not KeyVerdict.NONE else ["completion"]
        )
        course.log.passed(Layer.COMPLETION, reply.elapsed_s, f"{model} answered on {wire}")
        return
    course.verdict = _completion_verdict(reply, model, course.key)
    course.log.failed_by(course.verdict, Layer.COMPLETION, reply.elapsed_s)


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
