"""Finds the target of a request from the token's owner: the connection that `resolve` gives.

The resolver decides everything, including broken bindings, stand-ins and a locked vault. It is asked again
right before anything is sent, so that after a switch nothing is sent to the previous connection.
"""

import functools
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from nexo.connections import faces
from nexo.connections.errors import ConnectionNotFound, NexoError
from nexo.connections.proxies import system_proxies
from nexo.connections.terms import Provider
from nexo.connections.v1 import workspace_pb2
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Binding, Credentials, StoredConnection, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.gateway.conversations import Begun, Conversations
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.proxies import Proxy, choose_proxy
from nexo_daemon.providers.requests import Base, carries_credential, parse_base
from nexo_daemon.providers.tls import TlsContexts
from nexo_daemon.registry.resolution import Question, Resolution
from nexo_gateway.model_name import ALIAS
from nexo_gateway.router import DialectEndpoint, GatewayRefusal, Target
from nexo_gateway.way import ProxyHop, Way


class RouteAnswer(Protocol):
    """A hand-out, or the reason why there is none."""

    @property
    def resolution(self) -> Resolution:
        """The result of the rules."""

    @property
    def connection(self) -> workspace_pb2.ResolvedConnection | None:
        """The connection with its secrets."""

    @property
    def problem(self) -> NexoError | None:
        """Why there is no connection."""


class RouteResolver(Protocol):
    """The part of the resolver that is needed here."""

    async def answer(self, question: Question) -> Any:
        """The present answer, a `RouteAnswer`."""

    def is_present(self, answer: Any) -> bool:
        """Whether nothing has changed since the answer was made."""


class Routes:
    """Makes targets. `unseal` opens the sealed secrets of a connection."""

    def __init__(
        self,
        answers: RouteResolver,
        unseal: Callable[[StoredConnection], Credentials],
        contexts: TlsContexts,
        clock: Clock,
    ) -> None:
        self._conversations = Conversations(clock)
        self._answers = answers
        self._unseal = unseal
        self._contexts = contexts
        self._clock = clock
        # A copy: it does not change, and each access to `os.environ` takes 8 us.
        self._environment = dict(os.environ)
        self.is_own_address: Callable[[str, int], bool] = lambda _host, _port: False

    async def target(
        self, question: Question, dialect: str, still: Callable[[], bool], conversation: str = ""
    ) -> Target:
        """The target of a request in `dialect`.

        Args:
            still: whether the token is still valid.
            conversation: that the request belongs to; with a sticky binding it stays on its connection.

        Raises:
            GatewayRefusal: a person has to correct something.
        """
        asked_at = self._clock.monotonic()
        try:
            answer: RouteAnswer = await self._answers.answer(question)
            connection, handed_out = _given(answer)
            answers = [answer]
            kept = _Kept.of(question, answer.resolution, conversation)
            begun = self._conversations.begun(kept.workspace, conversation, kept.rests_s) if kept else None
            if kept is None and question.workspace is not None:
                self._conversations.forget(question.workspace, conversation)
            if kept and begun and begun.connection_id != connection.id:
                answers.append(await self._answers.answer(Question(connection=begun.connection_id)))
                connection, handed_out = kept.given(answers[-1], begun)
            credentials = self._unseal(connection)
        except NexoError as error:
            raise GatewayRefusal(error.reason.lower(), error.message, error.hint) from None
        if connection.provider not in faces.PROVIDERS[dialect]:
            raise _wrong_dialect(connection, dialect)
        key, custom = handed_out.api_key, [(h.name, h.value) for h in handed_out.headers]
        scheme = faces.scheme_of(dialect, connection.provider, connection.auth_scheme)
        headers = faces.headers(scheme, key, custom)
        try:
            base = _base(connection.base_url, connection.provider, dialect)
            if self.is_own_address(base.host, base.port):
                # It came with an import, or the gateway uses the port since.
                fault = "the address is that of this gateway, so a request would loop"
                raise ConfigFault("base_url", "base_url", fault)
            way = await self._way(connection, base, credentials.proxy_credentials)
        except ConfigFault as fault:
            hint = f"correct it: nexoctl edit {shlex.quote(connection.name)}"
            raise GatewayRefusal("config", f"'{connection.name}': {fault.text}", hint) from None
        endpoint = DialectEndpoint(
            base.scheme, base.host, base.port, base.authority, base.path, base.query, tuple(headers.items())
        )
        return Target(
            connection_id=connection.id,
            name=connection.name,
            endpoint=endpoint,
            way=way,
            secrets=tuple(_secrets(key, headers, credentials)),
            is_present=lambda: still() and all(map(self._answers.is_present, answers)),
            models=_models(connection),
            revision=connection.revision,
            asked_at=asked_at,
            answered=(lambda: self._conversations.answered(kept.workspace, conversation, connection))
            if kept
            else _nothing,
        )

    async def _way(self, connection: StoredConnection, base: Base, credentials: Secret | None) -> Way:
        system = system_proxies(self._environment)
        proxy = choose_proxy(base.scheme, base.host, base.port, connection.network, credentials, system)
        return Way(
            proxy=None if proxy is None else await self._hop(proxy),
            tls=await self._contexts.for_bundle(connection.network.ca_bundle)
            if base.scheme == "https"
            else None,
        )

    async def _hop(self, proxy: Proxy) -> ProxyHop:
        # The proxy's certificate is never checked against the CA bundle of the service.
        tls = await self._contexts.for_bundle("") if proxy.scheme == "https" else None
        return ProxyHop(proxy.scheme, proxy.host, proxy.port, proxy.credentials, tls)


@frozen
class _Kept:
    """A workspace whose conversations stay on their connection."""

    workspace: WorkspaceKey
    binding: Binding
    rests_s: float

    @classmethod
    def of(cls, question: Question, resolution: Resolution, conversation: str) -> "_Kept | None":
        """None if the binding is not sticky, or another rule than the binding applies."""
        binding = resolution.binding
        named = question.connection or question.environment_connection
        if binding is None or binding.sticky_s is None or question.workspace is None or named:
            return None
        return cls(question.workspace, binding, binding.sticky_s) if conversation else None

    def given(
        self, answer: RouteAnswer, begun: Begun
    ) -> tuple[StoredConnection, workspace_pb2.ResolvedConnection]:
        """The connection of the conversation. Raises `GatewayRefusal`: another account is never used."""
        try:
            return _given(answer)
        except NexoError as error:
            gone = isinstance(error, ConnectionNotFound)
            workspace = self.binding.workspace
            flag = "--workspace " if workspace.kind is WorkspaceKind.NAME else ""
            bound = f"{flag}{shlex.quote(str(workspace))} {shlex.quote(self.binding.connection_name)}"
            raise GatewayRefusal(
                error.reason.lower(),
                f"this conversation began with '{begun.connection_name}': "
                + ("it is gone" if gone else error.message),
                f"begin a new one, or let all go on elsewhere: nexoctl workspace bind {bound}",
            ) from None


def _given(answer: RouteAnswer) -> tuple[StoredConnection, workspace_pb2.ResolvedConnection]:
    connection = answer.resolution.require()
    if answer.connection is None:
        raise answer.problem or AssertionError
    return connection, answer.connection


def _nothing() -> None:
    """Does nothing, for targets without a conversation."""


def _models(connection: StoredConnection) -> Mapping[str, str]:
    return {**{row.asked: row.sent for row in connection.model_map}, ALIAS: connection.default_model}


@functools.lru_cache(maxsize=512)
def _base(url: str, provider: Provider, dialect: str) -> Base:
    # Cached, because parsing the address takes a tenth of the time of a request.
    own = parse_base(url)
    found = parse_base(faces.base_url(dialect, provider, own.url().partition("?")[0]))
    return Base(found.scheme, found.host, found.port, found.path, own.query)


def _wrong_dialect(connection: StoredConnection, dialect: str) -> GatewayRefusal:
    spoken = " and ".join(
        name for name in faces.DIALECTS if name != dialect and connection.provider in faces.PROVIDERS[name]
    )
    return GatewayRefusal(
        "wrong_dialect",
        f"'{connection.name}' speaks {spoken}, and this program speaks {dialect}",
        f"choose a connection of provider {' or '.join(_providers(dialect))}: nexoctl default NAME",
    )


def _providers(dialect: str) -> Iterable[Provider]:
    return faces.PROVIDERS[dialect]


def _secrets(key: str, headers: Mapping[str, str], credentials: Credentials) -> Iterable[str]:
    yield key
    for name, value in headers.items():
        # A header such as `Accept: application/json` is no secret, and occurs in every answer.
        if carries_credential(name):
            yield value
            # In "Bearer KEY", the second word alone is a secret, too.
            yield value.rpartition(" ")[2]
    if credentials.proxy_credentials is not None:
        yield credentials.proxy_credentials.reveal()
    if credentials.previous_api_key is not None:
        yield credentials.previous_api_key.reveal()
