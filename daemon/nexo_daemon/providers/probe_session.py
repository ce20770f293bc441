"""Requests to one target over one connection, with their verdicts."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nexo.connections.proxies import SYSTEM, SystemProxies, is_loopback, system_proxies
from nexo.connections.terms import Layer, Outcome, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Fact
from nexo_daemon.domain.probing import Model, ProbeTarget, Verdict
from nexo_daemon.domain.shortages import lack
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.providers import bodies
from nexo_daemon.providers.bodies import Form, Reading
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.classify import Classification, Subject, judge
from nexo_daemon.providers.dialects import DIALECTS, READ_MODELS, ProviderDialect, models_of_any
from nexo_daemon.providers.exchange import ConfigFault, ExchangeFault, HttpAnswer
from nexo_daemon.providers.faults import judge_config, judge_fault, shortage
from nexo_daemon.providers.presets import PRESETS, KeyProbe, ServiceFacts
from nexo_daemon.providers.proxies import Proxy, choose_proxy
from nexo_daemon.providers.redact import redactor_for
from nexo_daemon.providers.requests import Base, compose, parse_base, require_sendable, sends_credential
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.providers.transport import HttpSession, Notice, Route

_BIG_BODY = 128 * 1024
"""Bytes from which a body is parsed on a thread, so that it does not block the loop."""
_BODIES = ThreadPool("bodies", most=4)


@frozen
class Reply:
    """The result of one request.

    Attributes:
        reading: None if no answer arrived.
        models: the entries of a model list, as many as were wanted; None for anything else.
        failed_at: the layer that failed; None if an answer arrived.
        elapsed_s: time until the answer or the failure.
    """

    judgement: Classification
    reading: Reading | None = None
    models: tuple[Model, ...] | None = None
    failed_at: Layer | None = None
    elapsed_s: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict without the row."""
        return self.judgement.verdict

    @property
    def status(self) -> int:
        """The HTTP status; 0 if no answer arrived."""
        return self.reading.status if self.reading else 0

    @property
    def refused_for_its_form(self) -> bool:
        """Whether the server refused the content of the request, which means that it accepted the caller."""
        return (
            self.reading is not None
            and self.verdict.reason == "bad_request"
            and self.reading.form is Form.JSON
        )

    @property
    def stumbled(self) -> bool:
        """Whether the handler failed, which means that the caller was accepted, or that everybody is."""
        return self.status in (500, 501)

    @property
    def lacks_list(self) -> bool:
        """Whether the answer to a request for a model list shows that there is no readable one."""
        return self.verdict.outcome is Outcome.NOT_COMPATIBLE and (
            self.status in (404, 405, 410, 501)
            or (200 <= self.status <= 299 and self.reading is not None and self.reading.form is Form.JSON)
        )

    @property
    def models_of_another_dialect(self) -> tuple[Model, ...]:
        """The models in an answer that is a list of another dialect."""
        listed = self.lacks_list and 200 <= self.status <= 299
        return tuple(models_of_any(self.document) or ()) if listed else ()

    @property
    def document(self) -> Any:
        """The JSON of the answer, or None."""
        return self.reading.document if self.reading else None


def _accepted(reply: Reply) -> Reply:
    """The reply with its verdict changed to OK."""
    verdict = replace(reply.verdict, outcome=Outcome.OK, reason="", advice="", provider_message="")
    return replace(reply, judgement=Classification(verdict, None))


WITNESSES = (Fact.GET_TELLS, Fact.NULL_TELLS, Fact.REFUSED_TELLS)
"""Calls that execute nothing, from the least likely to be executed to the most likely to be authenticated.

A wrong method is never executed, but many servers check the key only after routing. No handler accepts `null`
as a call, but some parsers refuse it before the key is checked. For `{"messages":0}` every server checks the
key; two mock servers and a router executed it, as they did `{}`. Broken JSON is refused by some before any
check (seen 2026-11-26).
"""


class ProbeSession:
    """The requests of one check or test. Created by `open_session`."""

    def __init__(
        self,
        target: ProbeTarget,
        base: Base,
        session: HttpSession,
        clock: Clock,
        deadline: float,
        proxy: Proxy | None,
    ) -> None:
        self.target = target
        self.base = base
        self.proxy = proxy
        self.preset: ServiceFacts | None = PRESETS.get(target.preset)
        self.dialect: ProviderDialect = DIALECTS[target.provider]
        self.subject = subject_of(target, base)
        self.redact = redactor_for(target.credentials)
        self._calls = self.dialect.calls
        self._session = session
        self._clock = clock
        self._deadline = deadline

    @property
    def time_left_s(self) -> float:
        """Seconds until the deadline; never negative."""
        return max(self._deadline - self._clock.monotonic(), 0.0)

    @property
    def key_probe(self) -> KeyProbe:
        """The request that shows whether the service accepts the key."""
        if self.preset is not None:
            return self.preset.key_probe
        # Its model list is public in both of its dialects.
        cloud = self.target.provider is Provider.OLLAMA and self.base.host == "ollama.com"
        return KeyProbe.REFUSED_CHAT if cloud else KeyProbe.MODELS

    @property
    def witnesses(self) -> tuple[Fact, ...]:
        """The `WITNESSES` to use; only the last one for services that are known to refuse it."""
        return WITNESSES if self.key_probe is not KeyProbe.REFUSED_CHAT else WITNESSES[-1:]

    @property
    def witness(self) -> Fact | None:
        """The call that is known to distinguish valid keys from invalid ones."""
        if Fact.REFUSED_RAN in self.target.facts:
            return None
        known = (one for one in WITNESSES if one in self.target.facts)
        # About a key that is neither sent nor required a call tells nothing. The list of a router tells more:
        # whether there is anything behind it.
        keyless = self.preset is not None and not self.preset.key_required
        about_key = self.key_probe is KeyProbe.REFUSED_CHAT and (not keyless or sends_credential(self.target))
        return next(known, Fact.REFUSED_TELLS if about_key else None)

    @property
    def lists_every_model(self) -> bool:
        """Whether the service is known to serve only models that it lists."""
        if self.preset is not None:
            return self.preset.lists_every_model
        return self.target.provider is not Provider.CUSTOM

    async def probe(self) -> Reply:
        """The request of a periodic check: the smallest free one that fails with an invalid key.

        Two requests, if a service no longer behaves as known, or its dialect has two endpoints for calls.
        """
        facts = self.target.facts
        reply = None
        if self.key_probe is KeyProbe.ENDPOINT:
            reply = await self.own_endpoint()
        elif (witness := self.witness) is not None:
            reply = await self.call(witness)
            if reply.stumbled and witness is not Fact.REFUSED_TELLS:
                # The service accepted the key, and then failed over an unusual request.
                reply = _accepted(reply)
        has_list = Fact.NO_LIST not in facts and (self.preset is None or self.preset.has_model_list)
        if reply is not None and not (has_list and reply.status in (404, 405)):
            return reply
        # No special case, or a service without the special endpoint of the one that it imitates.
        listed = await self.list_page(self.dialect.check_query, most=1)
        return _accepted(listed) if listed.lacks_list and not has_list else listed

    async def calls_are_answered(self) -> bool:
        """Whether there is an endpoint for calls, found out with calls that execute nothing."""
        return (await self.call(Fact.GET_TELLS)).status == 405

    async def own_endpoint(self) -> Reply:
        """Request the preset's endpoint that answers only a valid key."""
        return await self.ask(path=self.preset.key_path if self.preset else "", right=lambda _: True)

    async def reconnect(self) -> None:
        """Use a new connection for the next request, so that it is sent only once."""
        await self._session.reconnect()

    async def list_page(self, query: str, *, with_credentials: bool = True, most: int = READ_MODELS) -> Reply:
        """Request a page of the model list.

        Args:
            most: how many entries are read; one shows whether it is a list.
        """
        return await self.ask(
            path=self.dialect.list_path, query=query, with_credentials=with_credentials, most=most
        )

    async def call(self, witness: Fact, *, with_credentials: bool = True, below: str = "") -> Reply:
        """Make a call that executes nothing, to see whether the key is checked; a refusal of its form is OK.

        A service may have only one of the dialect's endpoints; the first existing one is used from then on.

        Args:
            witness: the kind of call, one of `WITNESSES`.
            below: a path below the endpoint that does not exist.
        """
        bodies_of = {
            Fact.GET_TELLS: None,
            Fact.NULL_TELLS: b"null",
            Fact.REFUSED_TELLS: self.dialect.cannot_run,
        }
        method = "GET" if witness is Fact.GET_TELLS else "POST"
        # An existing endpoint answers 405 to a wrong method.
        nothing_there = {404} if method == "GET" else {404, 405}
        for path in self._calls:
            reply = await self.ask(
                method=method,
                path=path + below,
                body=bodies_of[witness],
                with_credentials=with_credentials,
                right=lambda _: True,
            )
            if reply.status not in nothing_there:
                if not below:
                    self._calls = (path,)
                break
        wrong_method = witness is Fact.GET_TELLS and reply.status in (400, 405, 415, 422, 426)
        return _accepted(reply) if reply.refused_for_its_form or wrong_method else reply

    async def ask(
        self,
        *,
        method: str = "GET",
        path: str,
        query: str = "",
        body: bytes | None = None,
        with_credentials: bool = True,
        from_root: bool = False,
        right: Callable[[dict[str, Any]], bool] | None = None,
        most: int = READ_MODELS,
    ) -> Reply:
        """Send one request; every failure becomes a verdict.

        Args:
            from_root: whether the path is relative to the origin instead of the base URL.
            right: whether a JSON object is the expected answer; None if a model list is expected.
            most: how many entries of a model list are read.
        """
        try:
            outgoing = compose(
                self.target,
                replace(self.base, path="") if from_root else self.base,
                method=method,
                path=path,
                query=query,
                extra=self.dialect.headers,
                body=body,
                with_credentials=with_credentials,
            )
            answer = await self._session.send(outgoing, timeout_s=self.time_left_s)
        except ConfigFault as fault:
            return Reply(Classification(judge_config(fault), None), failed_at=Layer.CONFIGURATION)
        except ExchangeFault as fault:
            if missing := shortage(fault):
                raise lack("make the request", missing) from None
            verdict = judge_fault(fault, self.subject)
            return Reply(Classification(verdict, None), failed_at=fault.layer, elapsed_s=fault.elapsed_s)
        return await self._judge(answer, right, most if right is None else 0)

    async def _judge(
        self, answer: HttpAnswer, right: Callable[[dict[str, Any]], bool] | None, most: int
    ) -> Reply:
        if len(answer.body) > _BIG_BODY:
            reading, models = await _BODIES.run(lambda: self._open(answer, most))
        else:
            reading, models = self._open(answer, most)
        if right is None:
            right_shape = models is not None
        else:
            document = reading.document
            right_shape = isinstance(document, dict) and not reading.has_error and right(document)
        judgement = judge(
            reading,
            right_shape=right_shape,
            subject=self.subject,
            redact=self.redact,
            now=self._clock.now(),
            latency_s=answer.elapsed_s,
            credential_sent=sends_credential(self.target),
        )
        entries = tuple(models) if models is not None else None
        return Reply(judgement, reading, entries, elapsed_s=answer.elapsed_s)

    def _open(self, answer: HttpAnswer, most: int) -> tuple[Reading, list[Model] | None]:
        reading = bodies.read(answer)
        models = None
        if most and 200 <= answer.status <= 299 and not answer.cut:
            models = self.dialect.models(reading.document, most)
        return reading, models


@asynccontextmanager
async def open_session(
    target: ProbeTarget,
    contexts: TlsContexts,
    clock: Clock,
    *,
    timeout_s: float,
    notice: Notice | None = None,
) -> AsyncIterator[ProbeSession]:
    """Prepare the connection, and close it at the end; sends nothing itself.

    Raises:
        ConfigFault: this configuration cannot be used for requests.
    """
    base = parse_base(target.base_url)
    require_sendable(target)
    proxy = choose_proxy(
        base.scheme,
        base.host,
        base.port,
        target.network,
        target.credentials.proxy_credentials,
        system_proxies(os.environ) if target.network.proxy == SYSTEM else SystemProxies(),
    )
    # The proxy's certificate is never checked against the CA bundle of the service. A TLS context is created
    # only if needed, because it costs more than the rest of a check.
    route = Route(
        base.scheme,
        base.host,
        base.port,
        proxy=proxy,
        tls=await contexts.for_bundle(target.network.ca_bundle) if base.scheme == "https" else None,
        proxy_tls=await contexts.for_bundle("") if proxy and proxy.scheme == "https" else None,
    )
    session = HttpSession(route, notice)
    try:
        yield ProbeSession(target, base, session, clock, clock.monotonic() + timeout_s, proxy)
    finally:
        await session.aclose()


def subject_of(target: ProbeTarget, base: Base) -> Subject:
    """The subject of verdicts about a target."""
    service = PRESETS.get(target.preset) or PROVIDERS[target.provider]
    if not _is_home(base, service.base_url or _HOMES.get(target.preset, "")):
        # A service that uses a vendor's dialect is not the vendor, and does not issue its keys.
        return Subject(base.authority, base.authority)
    return Subject(service.display_name, base.authority, service.key_url)


_HOMES = {"azure": "https://azure.com"}
"""Hosts of services whose address includes an account name."""


def _is_home(base: Base, home: str) -> bool:
    if not home:
        return False
    host = parse_base(home).host
    near = is_loopback(host) and is_loopback(base.host)
    return near or base.host == host or base.host.endswith(f".{host}")


def as_json(document: object) -> bytes:
    """Compact JSON of a document."""
    return json.dumps(document, separators=(",", ":")).encode()
