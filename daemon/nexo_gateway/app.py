"""The gateway as an ASGI application: passes requests to the present connection, and answers back.

Errors that a person has to fix have the status 400: programs do not retry it, and show its text (tried with
eight packages and three agents, November 2026). An answer that breaks off is broken off for the program, too,
because a clean end would be taken for the end of the answer.
"""

import asyncio
import contextlib
import logging
import shlex
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from nexo_gateway.addresses import names_results
from nexo_gateway.admission import Admitted, NotAdmitted, admit
from nexo_gateway.answering import Answer, own_answer, passed
from nexo_gateway.bodies import Body, CallerLeft, CallerPresence
from nexo_gateway.conversation import conversation_of
from nexo_gateway.dialects import Dialect
from nexo_gateway.model_name import ALIAS, body_for, model_of, path_for
from nexo_gateway.pace import Pace
from nexo_gateway.passing import upwards
from nexo_gateway.router import Asked, CallOutcome, GatewayRefusal, Router, Target
from nexo_gateway.upstream import Broken, Fault, Outdated, OutgoingRequest, Upstream

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRIES = 8
"""Attempts per request: each after the first means a switch while a connection was being made."""

_STATUS_OF_FAULT = {
    "connect": (502, "cannot_connect"),
    "tls": (502, "tls"),
    "proxy": (502, "proxy"),
    "reset": (502, "closed"),
    "timeout": (504, "timeout"),
}


@dataclass
class _CallRecord:
    """The known facts about a request at its end."""

    asked: Asked
    model: str = ""
    target: Target | None = None
    answer: Answer | None = None
    ended: str = "complete"
    fault: str = ""

    def outcome(self) -> CallOutcome | None:
        if self.target is None or (self.answer is None and not self.fault and self.ended == "complete"):
            return None
        answer = self.answer
        return CallOutcome(
            asked=self.asked,
            connection_id=self.target.connection_id,
            connection_name=self.target.name,
            status=answer.status if answer else None,
            ended=self.ended,
            fault=self.fault,
            waits=answer.waits if answer else {},
            usage=answer.tap.usage() if answer and answer.tap else None,
            counts_tokens=answer is not None and answer.counts_tokens,
            model=self.model,
            revision=self.target.revision,
            asked_at=self.target.asked_at,
        )


@dataclass(eq=False)
class _Exchange:
    """One request in progress, with its data."""

    admitted: Admitted
    bearer: str
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    body: Body
    record: _CallRecord
    send: Send
    task: asyncio.Task[None] | None
    started: bool = False
    given_up: str = ""

    def give_up(self, reason: str) -> None:
        """End the request: the program "left", or we "cut" it."""
        if not self.given_up and self.task is not None:
            self.given_up = reason
            self.task.cancel()

    async def respond(self, message: Message) -> None:
        self.started = True
        await self.send(message)


class GatewayApp:
    """The application. `hosts` are the allowed values of `Host` on its TCP port."""

    def __init__(self, router: Router, upstream: Upstream, hosts: frozenset[bytes], pace: Pace) -> None:
        self._router = router
        self._upstream = upstream
        self._hosts = hosts
        self._running: defaultdict[str, set[_Exchange]] = defaultdict(set)
        self._pace = pace

    def cut(self, bearer: str) -> int:
        """End the open requests of a bearer; returns their number."""
        running = self._running.pop(bearer, set())
        for exchange in running:
            exchange.give_up("cut")
        return len(running)

    def cut_all(self) -> None:
        """End all open requests."""
        for bearer in list(self._running):
            self.cut(bearer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pace.turn()
        try:
            admitted = admit(
                scope["method"],
                scope["raw_path"],
                scope["query_string"],
                scope["headers"],
                hosts=None if _on_unix_socket(scope) else self._hosts,
            )
        except NotAdmitted as refusal:
            close = refusal.close or _waits_to_send(scope)
            await own_answer(send, refusal.status, refusal.dialect, refusal.reason, refusal.text, close=close)
            return
        try:
            bearer = self._router.bearer(admitted.token)
        except GatewayRefusal as refusal:
            await _refuse(send, admitted.dialect, refusal, close=_waits_to_send(scope))
            return
        scope["state"]["is_proven"]()
        await self._serve(admitted, bearer, scope, receive, send)

    async def _serve(
        self, admitted: Admitted, bearer: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        asked = Asked(admitted.dialect.name, _program(scope), model_of(admitted.dialect, admitted.path, None))
        exchange = _Exchange(
            admitted,
            bearer,
            scope["headers"],
            Body(admitted, receive),
            _CallRecord(asked),
            send,
            asyncio.current_task(),
        )
        presence: CallerPresence = scope["state"]["presence"]
        ended = self._router.began(bearer, asked)
        self._running[bearer].add(exchange)
        try:
            await self._exchange(exchange, presence)
        finally:
            presence.forget()
            exchange.body.forget()
            self._forget(bearer, exchange)
            ended(exchange.record.outcome())

    def _forget(self, bearer: str, exchange: _Exchange) -> None:
        running = self._running.get(bearer)
        if running is not None:
            running.discard(exchange)
            if not running:
                del self._running[bearer]

    async def _exchange(self, exchange: _Exchange, presence: CallerPresence) -> None:
        record = exchange.record
        try:
            await self._answered(exchange, presence)
        except CallerLeft:
            record.ended = "left"
        except asyncio.CancelledError:
            if not exchange.given_up:
                # The server cancelled the request.
                raise
            _uncancel(exchange)
            if exchange.given_up == "left":
                record.ended = "left"
                return
            record.ended = "broken"
            if exchange.started:
                raise Broken from None
            await self._ended_by_us(exchange)
        except Exception as error:  # noqa: BLE001 - its text may hold secrets, so it is not logged
            record.ended = "broken"
            if not isinstance(error, Broken):
                log.error("unexpected %s in the gateway", type(error).__name__)
            # The server closes the connection without ending the body.
            raise Broken from None

    async def _ended_by_us(self, exchange: _Exchange) -> None:
        admitted = exchange.admitted
        try:
            self._router.bearer(admitted.token)
        except GatewayRefusal as refusal:
            await _refuse(exchange.send, admitted.dialect, refusal)
        else:
            text = "nexo: the gateway closes; try again in a moment"
            await own_answer(exchange.send, 503, admitted.dialect, "closing", text, close=True)

    async def _answered(self, exchange: _Exchange, presence: CallerPresence) -> None:
        """Answer the request; it is given up when the program disconnects, even before the first byte."""
        await exchange.body.begin(lambda: presence.watch(lambda: exchange.give_up("left")))
        held = exchange.body.held
        asked = exchange.record.asked = Asked(
            exchange.record.asked.dialect,
            exchange.record.asked.program,
            model_of(exchange.admitted.dialect, exchange.admitted.path, held),
            conversation_of(exchange.headers, held),
        )
        for _ in range(TRIES):
            try:
                target = await self._router.resolve(exchange.bearer, asked)
                model = _sent_model(asked.model, target)
            except GatewayRefusal as refusal:
                await _refuse(exchange.respond, exchange.admitted.dialect, refusal)
                return
            exchange.record.target, exchange.record.model = target, model
            with contextlib.suppress(Outdated):
                await self._send(exchange, target, *_addressed(exchange, model))
                return
        again = GatewayRefusal(
            "retry_later", "the configuration changes faster than the provider answers", "try again"
        )
        await _refuse(exchange.respond, exchange.admitted.dialect, again)

    async def _send(
        self, exchange: _Exchange, target: Target, path: str, body: bytes | AsyncIterator[bytes]
    ) -> None:
        admitted, endpoint = exchange.admitted, target.endpoint
        outgoing = OutgoingRequest(
            pool=target.connection_id,
            way=target.way,
            scheme=endpoint.scheme,
            host=endpoint.host,
            port=endpoint.port,
            method=admitted.method,
            target=endpoint.target(path, admitted.query),
            headers=upwards(
                exchange.headers,
                endpoint.headers,
                endpoint.authority,
                chunked=exchange.body.chunked,
                token=admitted.token,
                length=len(body) if isinstance(body, bytes) else None,
                packed=not names_results(admitted),
            ),
            body=body,
            is_present=target.is_present,
        )
        try:
            async with self._upstream.send(outgoing) as sent:
                answer = exchange.record.answer = Answer(sent, target, admitted)
                if sent.status < 400:
                    target.answered()
                await passed(answer, exchange.admitted.dialect, exchange.respond)
        except Fault as fault:
            exchange.record.fault, exchange.record.ended = fault.kind, "broken"
            status, reason = _STATUS_OF_FAULT[fault.kind]
            text = f"nexo: '{target.name}': {endpoint.host} {fault.text}"
            await own_answer(exchange.respond, status, admitted.dialect, reason, text)


def _uncancel(exchange: _Exchange) -> None:
    # Otherwise the following answer would be cancelled, too.
    while exchange.task is not None and exchange.task.cancelling():
        exchange.task.uncancel()


def _sent_model(asked: str, target: Target) -> str:
    """The model name to send for the requested one, according to the connection.

    Raises:
        GatewayRefusal: the program asks for the default model, and there is none.
    """
    sent = target.models.get(asked, asked)
    if asked and not sent:
        raise GatewayRefusal(
            "no_default_model",
            f"'{target.name}' has no default model, and the program asks for '{ALIAS}', which stands for it",
            f"choose one: nexoctl edit {shlex.quote(target.name)} --model ID",
        )
    return sent


def _addressed(exchange: _Exchange, model: str) -> tuple[str, bytes | AsyncIterator[bytes]]:
    """The path and the body to send."""
    dialect, path, body = exchange.admitted.dialect, exchange.admitted.path, exchange.body
    if model == exchange.record.asked.model:
        return path, body.content()
    there = path_for(dialect, path, model)
    if there != path or body.held is None:
        return there, body.content()
    return path, body_for(body.held, model)


async def _refuse(send: Send, dialect: Dialect, refusal: GatewayRefusal, *, close: bool = False) -> None:
    text = f"nexo: {refusal.message}" + (f"; {refusal.hint}" if refusal.hint else "")
    await own_answer(send, refusal.status, dialect, refusal.reason, text, close=close)


def _waits_to_send(scope: Scope) -> bool:
    """Whether the program waits for a 100 before it sends the body.

    After a refusal it may leave the body out, so that its next request would be taken for the body.
    """
    return any(name == b"expect" for name, _ in scope["headers"])


def _on_unix_socket(scope: Scope) -> bool:
    # The server reports no port for a Unix socket.
    server = scope.get("server")
    return server is None or server[1] is None


def _program(scope: Scope) -> str:
    """The name of the program: the first word of its user agent."""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            word = value.decode("latin-1").split(" ")[0][:100]
            return "".join(character for character in word if character.isprintable())
    return ""
