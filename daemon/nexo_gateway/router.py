"""The interface between gateway and daemon."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Protocol

from nexo.connections import faces
from nexo.connections.values import frozen
from nexo_gateway.usage import ReportedUsage
from nexo_gateway.way import Way


@frozen
class DialectEndpoint:
    """A connection as used through one dialect.

    Attributes:
        scheme, host, port: where the request is sent; `host` is ASCII, without brackets.
        authority: the value of `Host`.
        path: prefix of the dialect's paths, without a trailing slash.
        query: added to every request; often empty.
        headers: added to every request: the key, then the connection's custom headers.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    def target(self, path: str, query: str) -> str:
        """See `nexo.connections.faces.target`."""
        return faces.target(self.path, self.query, path, query)


@frozen
class Target:
    """Where a request is sent. Holds plaintext secrets: kept for one request, never logged.

    Attributes:
        way: how the host is connected to.
        secrets: texts that an answer must not contain.
        is_present: whether the bearer would still get this target; checked right before anything is sent.
        models: the model to send by the requested one; an empty value means that it is not available.
        revision: of the connection when the target was made.
        asked_at: monotonic time when the target was made, in seconds.
        answered: called when the provider begins a good answer.
    """

    connection_id: str
    name: str
    endpoint: DialectEndpoint
    way: Way = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    is_present: Callable[[], bool] = field(repr=False)
    models: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0
    asked_at: float = 0.0
    answered: Callable[[], None] = field(default=lambda: None, repr=False)


class GatewayRefusal(Exception):
    """There is no target until a person acts.

    Attributes:
        reason: stable identifier in snake case.
        status: 400; for a token that is unknown, revoked or expired 401, with the same text.
    """

    def __init__(self, reason: str, message: str, hint: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint
        self.status = status


def not_known() -> GatewayRefusal:
    """The answer for every invalid token."""
    return GatewayRefusal(
        "invalid_token",
        "the gateway does not know this token, or it was revoked or has expired",
        "start the program with 'nexoctl run', or make one with 'nexoctl token add'",
        status=401,
    )


@frozen
class Asked:
    """Information in a request, apart from its token.

    Attributes:
        conversation: equal for requests of the same conversation; often empty.
    """

    dialect: str
    program: str
    model: str
    conversation: str = field(default="", repr=False)


@frozen
class CallOutcome:
    """The end of a request through the gateway.

    Attributes:
        status: of the provider's answer; None without an answer.
        ended: "complete", "broken" by the provider or the way to it, or "left" by the program.
        fault: the reason without a status: "connect", "timeout", "tls", "proxy", "reset"; empty otherwise.
        waits: the headers of an error that may say when to retry, names in lower case.
        counts_tokens: whether answers of this kind report tokens.
        model: the model sent, to which the connection may map the requested one.
        revision, asked_at: see `Target`.
    """

    asked: Asked
    connection_id: str
    connection_name: str
    status: int | None
    ended: str
    fault: str
    waits: Mapping[str, str]
    usage: ReportedUsage | None
    counts_tokens: bool
    model: str = ""
    revision: int = 0
    asked_at: float = 0.0


class Router(Protocol):
    """The daemon as seen by the gateway. A bearer is the owner of a token; its id is not secret."""

    def bearer(self, token: str) -> str:
        """The bearer with the token.

        Raises:
            GatewayRefusal: the token is invalid.
        """

    async def resolve(self, bearer: str, asked: Asked) -> Target:
        """The present target for the bearer.

        Raises:
            GatewayRefusal: there is none until a person acts.
        """

    def began(self, bearer: str, asked: Asked) -> Callable[[CallOutcome | None], None]:
        """A request of the bearer has begun.

        Returns:
            Called once with the end of the request, or None if nothing was sent; must not block.
        """
