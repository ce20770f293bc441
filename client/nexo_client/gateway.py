"""The local gateway, for `Client.gateway`: whether it listens, who may use it, what went through it.

    with nexo_client.connect() as client:
        run = client.gateway.mint(workspace=".")
        os.environ["OPENAI_BASE_URL"] = run.gateway.base_url("openai")

`aio_gateway` is generated from this file by `make aio`.
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
from nexo_client.calls import Call, each, one
from nexo_client.errors import InvalidField
from nexo_client.line import Line
from nexo_client.workspace import WorkspaceLike, locate


class GatewayCalls:
    """Each raises what the methods of `Client` raise, and what its text names."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def status(self) -> types.GatewayOverview:
        """Whether it listens, and who is behind it."""
        return self._line.ask(Call(g.GetGatewayRequest(), partial(read, types.GatewayOverview), reads=True))

    def switch(self, on: bool, *, port: int | None = None) -> types.Gateway:
        """On or off, kept over restarts. What it could not do is in `problem`; off ends what is open.

        Args:
            port: another one from now on; programs that were given the present one do not find it any more.

        Raises:
            InvalidField, StoreReadOnly, StoreFull
        """
        return self._line.ask(Call(g.SetGatewayRequest(on=on, port=port), one(types.Gateway, "gateway")))

    def mint(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        pid: int | None = None,
        program: str = "",
    ) -> types.RunToken:
        """A token for a run: good while a process lives, this one unless `pid` names another.

        The run gets what `resolve` would give it, asked anew with every request. Opens the gateway.

        Args:
            program: what runs, for the lists that people read; this program unless given.

        Raises:
            GatewayClosed: switched off, or it cannot listen.
            InvalidField, LimitReached
        """
        client = calls.client_info()
        if pid is not None:
            client.pid = pid
        if program:
            client.program = program[:100]
        request = g.MintRunTokenRequest(inquiry=calls.inquiry(connection, workspace), client=client)
        return self._line.ask(Call(request, _minted))

    def create_token(
        self,
        name: str,
        *,
        connection: str | None = None,
        workspace: WorkspaceLike = None,
        lifetime_s: float | None = None,
    ) -> types.NewGatewayToken:
        """A token with a name, for the settings of a program. The gateway is not opened by it.

        Args:
            connection, workspace: whose connection it gets; none of the two: the default, whatever it is.

        Raises:
            InvalidField, NameTaken, ConnectionNotFound, LimitReached, StoreReadOnly, StoreFull
        """
        place = locate(workspace)
        if connection is not None and place is not None:
            raise InvalidField(
                "connection: is given beside a workspace",
                hint="give one of them",
                metadata={"field": "connection"},
            )
        request = g.CreateGatewayTokenRequest(name=name, lifetime=duration(lifetime_s))
        if connection is not None:
            request.connection = connection
        if place is not None:
            request.workspace.CopyFrom(convert.workspace_to_wire(place))
        return self._line.ask(Call(request, partial(read, types.NewGatewayToken)))

    def tokens(self) -> tuple[types.GatewayToken, ...]:
        """Those with a name."""
        return self._line.ask(
            Call(g.ListGatewayTokensRequest(), each(types.GatewayToken, "tokens"), reads=True)
        )

    def revoke_token(self, name: str) -> int:
        """End a token and what it has open; returns how many requests that were.

        Raises:
            TokenNotFound, StoreReadOnly, StoreFull
        """
        return self._line.ask(Call(g.RevokeGatewayTokenRequest(name=name), _ended))

    def usage(self, *, since: datetime | None = None, by: Sequence[UsageBy] = ()) -> types.UsageReport:
        """What went through it, one row for each combination of `by`; one row in all for none.

        Raises:
            InvalidField: something is asked for twice, or day and hour.
        """
        request = g.GetUsageRequest(since=timestamp(since), by=[enum_to_wire(one) for one in by])
        return self._line.ask(Call(request, _used, reads=True))


def _minted(response: Any) -> types.RunToken:
    return types.RunToken(
        response.token, read(types.Gateway, response.gateway), convert.explanation(response.resolution)
    )


def _ended(response: Any) -> int:
    return int(response.ended)


def _used(response: Any) -> types.UsageReport:
    return read(types.UsageReport, response, rows=read_all(types.Usage, response.usage))
