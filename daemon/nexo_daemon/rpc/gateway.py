"""GatewayService: the gateway's switch, its tokens, and its usage counts."""

from datetime import datetime

from nexo.connections import paths
from nexo.connections.codec import enum_from_wire, moment, timestamp, write
from nexo.connections.errors import InvalidField
from nexo.connections.terms import UsageBy
from nexo.connections.v1 import gateway_pb2 as pb
from nexo_daemon.domain.gateway import GatewayMode, UsageCounts, UsageKey
from nexo_daemon.domain.model import WorkspaceKey
from nexo_daemon.gateway.ledger import NEVER, Ledger
from nexo_daemon.gateway.switch import GatewaySwitch
from nexo_daemon.gateway.tokens import Bearer, Tokens
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.workspaces import check_workspace
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.drafts import client_info, question_of, require_workspace
from nexo_daemon.rpc.resolver import Resolver, explained


class GatewayService:
    """Answers the calls of gateway.proto, which describes each."""

    def __init__(
        self, registry: Registry, resolver: Resolver, tokens: Tokens, switch: GatewaySwitch, ledger: Ledger
    ) -> None:
        self._registry = registry
        self._resolver = resolver
        self._tokens = tokens
        self._switch = switch
        self._ledger = ledger

    async def GetGateway(self, request: pb.GetGatewayRequest) -> pb.GetGatewayResponse:
        now = self._registry.clock.now()
        return pb.GetGatewayResponse(
            gateway=self._gateway(), users=[self._user(one, now) for one in self._tokens.users()]
        )

    async def SetGateway(self, request: pb.SetGatewayRequest) -> pb.SetGatewayResponse:
        await self._switch.set(on=request.on, port=request.port if request.HasField("port") else None)
        return pb.SetGatewayResponse(gateway=self._gateway())

    async def MintRunToken(self, request: pb.MintRunTokenRequest) -> pb.MintRunTokenResponse:
        question, client = question_of(request.inquiry), client_info(request.client)
        await self._switch.require_open()
        token = await self._tokens.mint(question, client)
        return pb.MintRunTokenResponse(
            token=token,
            gateway=self._gateway(),
            resolution=explained(self._resolver.explain(question), self._registry.snapshot.revision),
        )

    async def CreateGatewayToken(
        self, request: pb.CreateGatewayTokenRequest
    ) -> pb.CreateGatewayTokenResponse:
        workspace: WorkspaceKey | None = None
        if request.WhichOneof("follows") == "workspace":
            workspace = check_workspace(require_workspace(request))
        if request.WhichOneof("follows") == "connection" and not request.connection.strip():
            raise InvalidField.of("connection", "is empty", "name one, or leave it out for the default")
        lifetime = request.lifetime.ToTimedelta() if request.HasField("lifetime") else None
        bearer, secret = await self._tokens.create(
            request.name, workspace=workspace, connection=request.connection, lifetime=lifetime
        )
        return pb.CreateGatewayTokenResponse(
            token=self._token(bearer), secret=secret, gateway=self._gateway()
        )

    async def ListGatewayTokens(self, request: pb.ListGatewayTokensRequest) -> pb.ListGatewayTokensResponse:
        self._registry.snapshot.require_store()
        return pb.ListGatewayTokensResponse(tokens=[self._token(one) for one in self._tokens.named()])

    async def RevokeGatewayToken(
        self, request: pb.RevokeGatewayTokenRequest
    ) -> pb.RevokeGatewayTokenResponse:
        return pb.RevokeGatewayTokenResponse(ended=await self._tokens.revoke(request.name))

    async def GetUsage(self, request: pb.GetUsageRequest) -> pb.GetUsageResponse:
        by = [enum_from_wire(UsageBy, number) for number in request.by]
        known = list(dict.fromkeys(one for one in by if one is not None))
        if len(known) != len(by):
            raise InvalidField.of("by", "is unknown, or given twice", f"use each once: {', '.join(UsageBy)}")
        if UsageBy.DAY in known and UsageBy.HOUR in known:
            raise InvalidField.of("by", "is day and hour", "choose one of them")
        rows = await self._ledger.usage(moment(request.since) if request.HasField("since") else None, known)
        return pb.GetUsageResponse(
            usage=[_usage(key, counts) for key, counts in rows],
            hours_since=timestamp(self._ledger.hours_since()),
        )

    def _gateway(self) -> pb.Gateway:
        switch = self._switch
        return pb.Gateway(
            on=switch.setting.mode is GatewayMode.ON,
            switched_off=switch.setting.mode is GatewayMode.OFF,
            listening=switch.listening,
            port=switch.setting.port,
            socket_path=paths.shown(switch.socket),
            problem=switch.problem,
            advice=switch.advice,
        )

    def _token(self, bearer: Bearer) -> pb.GatewayToken:
        named, asked = bearer.named, bearer.question
        message = pb.GatewayToken(
            id=bearer.id,
            name=named.name if named else "",
            created_at=timestamp(bearer.created_at),
            expires_at=timestamp(named.expires_at) if named else None,
            last_used_at=timestamp(bearer.last_at),
            fingerprint=named.digest.hex()[:16] if named else "",
        )
        fixed = asked.connection or asked.environment_connection
        if fixed:
            found = self._registry.snapshot.find(fixed)
            message.connection = found.name if found else ""
        elif asked.workspace is not None:
            message.workspace.CopyFrom(convert.workspace(asked.workspace))
        return message

    def _user(self, bearer: Bearer, now: datetime) -> pb.GatewayUser:
        return write(pb.GatewayUser, bearer, token=self._token(bearer), models=bearer.recent_models(now))


def _usage(key: UsageKey, counts: UsageCounts) -> pb.Usage:
    usage = write(pb.Usage, counts, connection=key.connection_name)
    usage.MergeFrom(write(pb.Usage, key, at=timestamp(key.at) if key.at != NEVER else None))
    return usage
