"""The local gateway: whether it listens, who may use it, what went through it."""

from dataclasses import field
from datetime import datetime

from nexo.connections.model.daemon import ClientInfo
from nexo.connections.model.workspace import Explanation, Workspace
from nexo.connections.values import frozen


@frozen
class Gateway:
    """The local gateway.

    Attributes:
        on: wanted, over restarts of the daemon.
        switched_off: by a person; otherwise it opens at its first use.
        listening: it answers now.
        port: on 127.0.0.1; 0 before the first use.
        problem: why it is on and does not listen; `advice` says what to do.
    """

    on: bool
    switched_off: bool
    listening: bool
    port: int
    socket_path: str
    problem: str = ""
    advice: str = ""

    def base_url(self, dialect: str, token: str = "") -> str:
        """What a program of that dialect (openai, anthropic, google, ollama) is given as base URL.

        Args:
            token: for a program that can send none in a header; then the URL is a secret.
        """
        prefix = f"/t/{token}" if token else ""
        suffix = "/v1" if dialect == "openai" else ""
        return f"http://127.0.0.1:{self.port}{prefix}/{dialect}{suffix}"


@frozen
class GatewayToken:
    """Who may use the gateway, without the token itself.

    Attributes:
        name: empty for the token of a run.
        workspace, connection: whose connection it gets; None for both: the default. A connection that is
            gone is an empty string.
    """

    id: str
    name: str
    workspace: Workspace | None
    connection: str | None
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None


@frozen
class NewGatewayToken:
    """A token that was just made. Its secret is told this once; the repr does not show it."""

    token: GatewayToken
    secret: str = field(repr=False)
    gateway: Gateway


@frozen
class RunToken:
    """The token of a run, and what the run gets now; the repr does not show the token."""

    secret: str = field(repr=False)
    gateway: Gateway
    resolution: Explanation


@frozen
class GatewayUser:
    """A program behind the gateway.

    Attributes:
        client: who asked for the token of a run; None for a named token.
        program: what it calls itself; empty before its first request.
        connection_name: of its last request.
        models: that it asked for within the hour, as it wrote them.
        open: requests that are under way.
    """

    token: GatewayToken
    client: ClientInfo | None
    program: str
    dialect: str
    connection_name: str
    models: tuple[str, ...]
    requests: int
    open: int
    last_at: datetime | None


@frozen
class GatewayOverview:
    """The gateway, and who is behind it."""

    gateway: Gateway
    users: tuple[GatewayUser, ...]


@frozen
class Usage:
    """What went through the gateway, as reported by the providers; nothing is guessed.

    Attributes:
        connection, workspace, program, model: empty where it was not asked by them.
        at: the beginning of the day or hour in UTC; None where it was not asked by them.
        failed: answered with an error, or not reached.
        broken: the answer broke off.
        left: the program left before the end.
        input_tokens: cached ones included.
        unreported: good answers that said nothing of tokens; the sums are then too small.
    """

    connection: str
    workspace: str
    program: str
    model: str
    at: datetime | None
    requests: int
    failed: int
    broken: int
    left: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unreported: int


@frozen
class UsageReport:
    """Rows sorted by what was asked for, times newest first; before `hours_since` there are days only."""

    rows: tuple[Usage, ...]
    hours_since: datetime | None
