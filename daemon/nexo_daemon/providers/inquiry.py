"""One target, one connection, several questions: binds what is sent to how it is sent and what it means."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

from nexo_client.terms import Provider
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.probing import ModelEntry, Target, Verdict
from nexo_daemon.providers import bodies
from nexo_daemon.providers.bodies import Reading
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.classify import Judgement, Subject, judge
from nexo_daemon.providers.dialects import DIALECTS, Dialect
from nexo_daemon.providers.exchange import Answer, ConfigFault, Fault
from nexo_daemon.providers.faults import judge_config, judge_fault
from nexo_daemon.providers.presets import PRESETS, Preset
from nexo_daemon.providers.proxies import choose_proxy, system_proxies
from nexo_daemon.providers.redact import redactor_for
from nexo_daemon.providers.requests import Base, compose, parse_base
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.providers.transport import Notice, Route, Session

_BIG_BODY = 128 * 1024
"""Larger bodies are parsed on a thread, so that they do not stall the loop."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one question. `reading` is None when no answer arrived."""

    judgement: Judgement
    reading: Reading | None = None
    models: tuple[ModelEntry, ...] | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict alone."""
        return self.judgement.verdict

    @property
    def document(self) -> Any:
        """The JSON of the answer, or None."""
        return self.reading.document if self.reading else None


class Inquiry:
    """The requests of one check or test. Make it with `open_inquiry`, close it with `aclose`."""

    def __init__(self, target: Target, base: Base, session: Session, clock: Clock, deadline: float) -> None:
        self.target = target
        self.base = base
        self.preset: Preset | None = PRESETS.get(target.preset)
        self.dialect: Dialect = DIALECTS[target.provider]
        self.subject = subject_of(target, base)
        self.redact = redactor_for(target.credentials)
        self._session = session
        self._clock = clock
        self._deadline = deadline

    @property
    def time_left_s(self) -> float:
        """Until the deadline; never negative."""
        return max(self._deadline - self._clock.monotonic(), 0.0)

    async def list_page(self, query: str, *, with_credentials: bool = True) -> Reply:
        """Asks for a page of the model list."""
        return await self.ask(path=self.dialect.list_path, query=query, with_credentials=with_credentials)

    async def refused_request(self, *, with_credentials: bool = True) -> Reply:
        """Asks for what can never run, to see whether the key is looked at."""
        path, body = self.dialect.refused
        return await self.ask(
            method="POST", path=path, body=body, with_credentials=with_credentials, lists=False
        )

    async def ask(
        self,
        *,
        method: str = "GET",
        path: str,
        query: str = "",
        body: bytes | None = None,
        with_credentials: bool = True,
        lists: bool = True,
        timeout_s: float | None = None,
    ) -> Reply:
        """One request; every failure becomes a verdict.

        Args:
            lists: the right answer is a model list; else any JSON object without an error is.
        """
        try:
            outgoing = compose(
                self.target,
                self.base,
                method=method,
                path=path,
                query=query,
                extra=self.dialect.headers,
                body=body,
                with_credentials=with_credentials,
            )
            limit = self.time_left_s if timeout_s is None else min(timeout_s, self.time_left_s)
            answer = await self._session.send(outgoing, timeout_s=limit)
        except ConfigFault as fault:
            return Reply(Judgement(judge_config(fault), None))
        except Fault as fault:
            return Reply(Judgement(judge_fault(fault, self.subject), None))
        return await self._judge(answer, lists)

    async def _judge(self, answer: Answer, lists: bool) -> Reply:
        if len(answer.body) > _BIG_BODY:
            reading, models = await asyncio.to_thread(self._open, answer, lists)
        else:
            reading, models = self._open(answer, lists)
        if lists:
            right_shape = models is not None
        else:
            right_shape = isinstance(reading.document, dict) and not reading.has_error
        judgement = judge(
            reading,
            right_shape=right_shape,
            subject=self.subject,
            redact=self.redact,
            now=self._clock.now(),
            latency_s=answer.elapsed_s,
        )
        return Reply(judgement, reading, tuple(models) if models is not None else None)

    def _open(self, answer: Answer, lists: bool) -> tuple[Reading, list[ModelEntry] | None]:
        reading = bodies.read(answer)
        models = None
        if lists and 200 <= answer.status <= 299 and not answer.cut:
            models = self.dialect.models(reading.document)
        return reading, [replace(m, id=self.redact(m.id, 256)) for m in models] if models else models

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._session.aclose()


async def open_inquiry(
    target: Target, contexts: TlsContexts, clock: Clock, *, timeout_s: float, notice: Notice | None = None
) -> Inquiry:
    """Prepares the connection; nothing is sent yet.

    Raises:
        ConfigFault: nothing could be sent with this configuration.
    """
    base = parse_base(target.base_url)
    proxy = choose_proxy(
        base.scheme,
        base.host,
        base.port,
        target.network,
        target.credentials.proxy_credentials,
        system_proxies(),
    )
    # A proxy's own certificate is never checked against the bundle of the service.
    route = Route(
        base.scheme,
        base.host,
        base.port,
        proxy=proxy,
        tls=await contexts.for_bundle(target.network.ca_bundle),
        proxy_tls=await contexts.for_bundle("") if proxy and proxy.scheme == "https" else None,
    )
    return Inquiry(target, base, Session(route, notice), clock, clock.monotonic() + timeout_s)


def subject_of(target: Target, base: Base) -> Subject:
    """Whom verdicts about a target are about."""
    preset = PRESETS.get(target.preset)
    facts = PROVIDERS[target.provider]
    if preset is not None:
        return Subject(preset.display_name, base.authority, preset.key_url)
    if target.provider is Provider.CUSTOM:
        return Subject("the service", base.authority)
    return Subject(facts.display_name, base.authority, facts.key_url)


def as_json(document: object) -> bytes:
    """The smallest JSON of a document."""
    return json.dumps(document, separators=(",", ":")).encode()
