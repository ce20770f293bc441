"""What the gateway asks of the daemon, and what it tells it: the values between the two."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Protocol

from nexo.connections.values import frozen
from nexo_gateway.usage import ReportedUsage
from nexo_gateway.way import Way


@frozen
class DialectEndpoint:
    """What one dialect makes of a connection.

    Attributes:
        scheme, host, port: whom the request goes to; `host` is ASCII, without brackets.
        authority: the value of `Host`.
        path: in front of the dialect's own paths, without a slash at the end.
        query: that every request carries; often empty.
        headers: what every request carries: the key, then the connection's own headers.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    def target(self, path: str, query: str) -> str:
        """What goes onto the wire for a path and a query of the program."""
        queries = "&".join(part for part in (self.query, query) if part)
        return (self.path + path or "/") + (f"?{queries}" if queries else "")


@frozen
class Target:
    """Where a request goes. Holds secrets in the clear: kept for one request, never logged.

    Attributes:
        way: how the host is reached.
        secrets: what an answer must not repeat.
        is_present: whether the bearer would get the same now; asked again right before anything is sent.
        models: what is sent in place of a model that is asked for; empty: it cannot be asked for.
        revision: of the connection, when it was asked for.
        asked_at: monotonic second of that.
        answered: to be told when the provider begins an answer that is no error.
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
    """There is no target, and a person has to act before there is one.

    Attributes:
        reason: stable word, in snake case.
        status: 400, but for a token that is unknown, revoked or expired (401): these three look the same.
    """

    def __init__(self, reason: str, message: str, hint: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint
        self.status = status


def not_known() -> GatewayRefusal:
    """The answer to every token that is not good."""
    return GatewayRefusal(
        "invalid_token",
        "the gateway does not know this token, or it was revoked or has expired",
        "start the program with 'nexoctl run', or make one with 'nexoctl token add'",
        status=401,
    )


@frozen
class Asked:
    """What a request says of itself, beside its token.

    Attributes:
        conversation: equal for requests of the same one; often empty.
    """

    dialect: str
    program: str
    model: str
    conversation: str = field(default="", repr=False)


@frozen
class CallOutcome:
    """How a request through the gateway ended.

    Attributes:
        status: of the provider; None when none came.
        ended: "complete", "broken" by the provider or the way to it, or "left" by the program.
        fault: why there was no status: "connect", "timeout", "tls", "proxy", "reset"; empty otherwise.
        waits: the headers of an error that may say when to ask again, names in lower case.
        counts_tokens: the answer is of a kind that reports them.
        model: the one that was sent; the connection may map the asked one to it.
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
    """The daemon, as the gateway sees it. A bearer is whoever has one token, by an id that is no secret."""

    def bearer(self, token: str) -> str:
        """Who has the token.

        Raises:
            Refused: nobody.
        """

    async def resolve(self, bearer: str, asked: Asked) -> Target:
        """The connection that the bearer has at this moment.

        Raises:
            Refused
        """

    def began(self, bearer: str, asked: Asked) -> None:
        """A request of the bearer is under way."""

    def ended(self, bearer: str, outcome: CallOutcome | None) -> None:
        """It ended; None: nothing was sent. On the event loop; must not block."""
