"""The local gateway: its state, its tokens and users, and its usage."""

from dataclasses import field
from datetime import datetime

from nexo.connections.model.daemon import ClientInfo
from nexo.connections.model.workspace import Explanation, Workspace
from nexo.connections.values import frozen


@frozen
class Gateway:
    """The local gateway.

    Attributes:
        on: switched on, also after restarts of the daemon.
        switched_off: a person switched it off; with both false it opens at its first use.
        listening: it accepts requests now.
        port: on 127.0.0.1; 0 before the first use.
        problem: why it does not listen although it is on; `advice` says the next step.
    """

    on: bool
    switched_off: bool
    listening: bool
    port: int
    socket_path: str
    problem: str = ""
    advice: str = ""

    def base_url(self, dialect: str, token: str = "") -> str:
        """The base URL for a program that speaks that dialect (openai, anthropic, google, ollama).

        Args:
            token: included in the URL for a program that cannot send it in a header; the URL is then a
                secret.
        """
        prefix = f"/t/{token}" if token else ""
        suffix = "/v1" if dialect == "openai" else ""
        return f"http://127.0.0.1:{self.port}{prefix}/{dialect}{suffix}"


@frozen
class GatewayToken:
    """A token for the gateway, without its secret.

    Attributes:
        name: empty for the token of a run.
        workspace, connection: the workspace whose connection it gets, or its connection; None for both means
            the default. An empty string means that the connection was removed.
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
    """A new token. Its secret is returned only this once; the repr does not show it."""

    token: GatewayToken
    secret: str = field(repr=False)
    gateway: Gateway


@frozen
class RunToken:
    """The token of a run, and the present connection of the run; the repr does not show the token."""

    secret: str = field(repr=False)
    gateway: Gateway
    resolution: Explanation


@frozen
class GatewayUser:
    """A program that uses the gateway.

    Attributes:
        client: the program that requested the token of a run; None for a named token.
        program: its own name; empty before its first request.
        connection_name: of its last request.
        models: that it requested within the last hour, as it wrote them.
        open: number of requests in progress.
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
    """The gateway, and the programs that use it."""

    gateway: Gateway
    users: tuple[GatewayUser, ...]


@frozen
class Usage:
    """Usage of the gateway as reported by the providers; nothing is estimated.

    Attributes:
        connection, workspace, program, model: empty if the usage is not grouped by it.
        at: the beginning of the day or hour in UTC; None if the usage is not grouped by time.
        failed: requests that were answered with an error, or not at all.
        broken: requests whose answer broke off.
        left: requests whose program disconnected before the end.
        input_tokens: including cached ones.
        unreported: good answers without token counts; if there are any, the sums are too small.
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
    """Rows sorted by the groups, times newest first; before `hours_since` there are only days."""

    rows: tuple[Usage, ...]
    hours_since: datetime | None
