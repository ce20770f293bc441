"""The local gateway: its state, its tokens, the programs that use it, and their usage."""

from dataclasses import field
from datetime import datetime

from nexo.connections.faces import check_dialect
from nexo.connections.model.daemon import ClientInfo
from nexo.connections.model.workspace import Explanation, Workspace
from nexo.connections.values import frozen, not_pickled


@frozen
class Gateway:
    """The local gateway.

    Attributes:
        on: it is switched on; this persists across restarts of the daemon.
        switched_off: a person switched it off; otherwise it opens at its first use.
        listening: it accepts requests now.
        port: on 127.0.0.1; 0 before the first use.
        problem: why it does not listen although it is on; `advice` says what to do.
    """

    on: bool
    switched_off: bool
    listening: bool
    port: int
    socket_path: str
    problem: str = ""
    advice: str = ""

    def base_url(self, dialect: str, token: str = "") -> str:
        """The base URL for a program of that dialect (openai, anthropic, google, ollama).

        It is of use only if there is a `port`.

        Args:
            token: for a program that cannot send it in a header; then the URL is a secret.

        Raises:
            InvalidField: there is no such dialect.
        """
        check_dialect(dialect)
        prefix = f"/t/{token}" if token else ""
        suffix = "/v1" if dialect == "openai" else ""
        return f"http://127.0.0.1:{self.port}{prefix}/{dialect}{suffix}"


@frozen
class GatewayToken:
    """Public data about a token of the gateway, without the token itself.

    Attributes:
        name: empty for the token of a run.
        workspace, connection: the token gets the connection of this workspace, or this connection; the
            default if both are None. The name of a removed connection is empty.
        fingerprint: the first 16 hexadecimal digits of its SHA-256; empty for the token of a run.
    """

    id: str
    name: str
    workspace: Workspace | None
    connection: str | None
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None
    fingerprint: str = ""


@not_pickled
@frozen
class NewGatewayToken:
    """A token that was just created. Its secret is shown only this once; the repr does not show it."""

    token: GatewayToken
    secret: str = field(repr=False)
    gateway: Gateway


@not_pickled
@frozen
class RunToken:
    """The token of a run, and the connection that the run gets now; the repr does not show the token."""

    secret: str = field(repr=False)
    gateway: Gateway
    resolution: Explanation


@frozen
class GatewayUser:
    """A program that uses the gateway.

    Attributes:
        client: the process that asked for the token of a run; None for a named token.
        program: the name that it gives itself; empty before its first request.
        dialect: dialect of its last request.
        connection_name: connection of its last request.
        models: models that it asked for within the last hour, as it wrote them.
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
    """Requests and tokens that went through the gateway. Providers report the tokens; nothing is estimated.

    Attributes:
        connection, workspace, program, model: empty if the rows are not grouped by them.
        at: beginning of the day or hour in UTC; None if the rows are not grouped by time.
        failed: requests that the provider answered with an error or that did not reach it.
        broken: requests whose answer broke off.
        left: requests that the program abandoned before the end of the answer.
        input_tokens: includes cached tokens.
        unreported: good answers that reported no tokens, which makes the sums too small.
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
    """Rows sorted by their groups, newest times first; usage before `hours_since` is known by day only."""

    rows: tuple[Usage, ...]
    hours_since: datetime | None
