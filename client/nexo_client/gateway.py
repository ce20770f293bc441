"""The local gateway, for `Client.gateway`: state, tokens, usage.

    with nexo_client.connect() as client:
        run = client.gateway.mint(workspace=".")
        os.environ["OPENAI_BASE_URL"] = run.gateway.base_url("openai")

`make aio` generates `aio_gateway` from this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from nexo.connections.codec import duration, enum_to_wire, read, read_all, timestamp
from nexo.connections.terms import UsageBy
from nexo.connections.v1 import gateway_pb2 as g
from nexo_client import calls, convert, types
from nexo_client.arguments import checked
from nexo_client.base_client import BaseClient
from nexo_client.calls import each, one, value
from nexo_client.errors import InvalidField
from nexo_client.workspace import WorkspaceLike, locate


@checked
class GatewayCalls:
    """The calls for the gateway. They raise the common errors of `Client` and those in their descriptions."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def status(self) -> types.GatewayOverview:
        """The state of the gateway, and the programs that use it."""
        return self._client.ask(g.GetGatewayRequest(), partial(read, types.GatewayOverview))

    def switch(self, on: bool, *, port: int | None = None) -> types.Gateway:
        """Switches the gateway on or off, permanently. Switching it off ends open requests.

        `problem` in the result says why it cannot listen.

        Args:
            on: whether it is on.
            port: a new TCP port (1024 to 65535); programs that were set up with the old one lose the gateway.
                None keeps the port.

        Raises:
            InvalidField: the port is not allowed.
        """
        return self._client.ask(g.SetGatewayRequest(on=on, port=port), one(types.Gateway, "gateway"))

    def mint(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        pid: int | None = None,
        program: str = "",
    ) -> types.RunToken:
        """Creates a token that is valid while a process is running. Opens the gateway.

        Each request with it goes to the connection that `resolve` would return at that time.

        Args:
            connection, workspace: as for `resolve`.
            pid: the process; this one by default.
            program: the name that lists show; that of this program by default.

        Raises:
            GatewayClosed: the gateway is switched off, or it cannot listen.
            InvalidField, LimitReached
        """
        client = calls.client_info()
        if pid is not None:
            client.pid = pid
        if program:
            client.program = program[:100]
        request = g.MintRunTokenRequest(inquiry=calls.inquiry(connection, workspace), client=client)
        return self._client.ask(
            request, lambda response: read(types.RunToken, response, secret=response.token)
        )

    def create_token(
        self,
        name: str,
        *,
        connection: str | None = None,
        workspace: WorkspaceLike = None,
        lifetime_s: float | None = None,
    ) -> types.NewGatewayToken:
        """Creates a token with a name, for the settings of a program. Does not open the gateway.

        Args:
            connection, workspace: the connection or workspace that it is for; by default the current default
                connection.
            name: the name of the program.
            lifetime_s: seconds until it expires, at most ten years; None for never.

        Raises:
            InvalidField, NameTaken, ConnectionNotFound, LimitReached
        """
        place = locate(workspace)
        if connection is not None and place is not None:
            raise InvalidField.of("connection", "is given together with a workspace", "give one of them")
        request = g.CreateGatewayTokenRequest(name=name, lifetime=duration(lifetime_s))
        if connection is not None:
            request.connection = connection
        if place is not None:
            request.workspace.CopyFrom(convert.workspace_to_wire(place))
        return self._client.ask(request, partial(read, types.NewGatewayToken))

    def tokens(self) -> tuple[types.GatewayToken, ...]:
        """The tokens with a name."""
        return self._client.ask(g.ListGatewayTokensRequest(), each(types.GatewayToken, "tokens"))

    def revoke_token(self, name: str) -> int:
        """Revokes a token and ends its open requests; returns the number of these requests.

        Raises:
            TokenNotFound
        """
        return self._client.ask(g.RevokeGatewayTokenRequest(name=name), value(int, "ended"))

    def usage(self, *, since: datetime | None = None, by: Sequence[UsageBy] = ()) -> types.UsageReport:
        """The requests and tokens that went through the gateway.

        Args:
            since: count from this time on; None for everything that is stored.
            by: group by these, one row for each combination; a single row if empty.

        Raises:
            InvalidField: `by` contains a duplicate, or both day and hour.
        """
        request = g.GetUsageRequest(since=timestamp(since), by=[enum_to_wire(one) for one in by])
        return self._client.ask(request, _used)


def _used(response: Any) -> types.UsageReport:
    return read(types.UsageReport, response, rows=read_all(types.Usage, response.usage))
