"""WorkspaceService: resolution, followers, bindings, explanations."""

from collections.abc import AsyncIterator
from functools import lru_cache

from google.protobuf.message import DecodeError

from nexo.connections.codec import enum_from_wire, seconds
from nexo.connections.errors import InvalidField
from nexo.connections.terms import Outcome
from nexo.connections.v1 import workspace_pb2 as pb
from nexo_daemon.domain.model import ClientInfo
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Question
from nexo_daemon.rpc.bounds import check_bounds
from nexo_daemon.rpc.drafts import client_info, question_of, require_workspace
from nexo_daemon.rpc.errors import Send
from nexo_daemon.rpc.follow import FollowHub
from nexo_daemon.rpc.resolver import LOOK_UPS_FOR_AN_ANSWER, Resolver, changes_too_fast, explained
from nexo_daemon.rpc.view import View

# Larger requests are not cached: the cache is for programs that send the same again and again.
_USUAL_SIZE = 2048


def _read(request: bytes) -> tuple[Question, ClientInfo]:
    try:
        message = pb.ResolveConnectionRequest.FromString(request)
    except DecodeError:
        raise InvalidField.of(
            "request", "is not a ResolveConnectionRequest", "generate the client from the .proto files again"
        ) from None
    check_bounds(message)
    return question_of(message.inquiry), client_info(message.client)


_asked = lru_cache(maxsize=1024)(_read)


class WorkspaceService:
    """Answers the calls of workspace.proto, which describes each."""

    def __init__(
        self,
        registry: Registry,
        health_board: HealthBoard,
        resolver: Resolver,
        hub: FollowHub,
        view: View,
    ) -> None:
        self._registry = registry
        self._health_board = health_board
        self._resolver = resolver
        self._hub = hub
        self._view = view

    async def ResolveConnection(self, request: bytes) -> bytes:
        question, client = _asked(request) if len(request) <= _USUAL_SIZE else _read(request)
        for _ in range(LOOK_UPS_FOR_AN_ANSWER):
            answer = await self._resolver.answer(question)
            if answer.problem is not None:
                raise answer.problem
            if await self._resolver.record(answer, method="ResolveConnection", client=client):
                return answer.handed_out
        raise changes_too_fast()

    async def RevealConnection(self, request: pb.RevealConnectionRequest) -> pb.RevealConnectionResponse:
        client = client_info(request.client)
        for _ in range(LOOK_UPS_FOR_AN_ANSWER):
            answer = await self._resolver.reveal(request.name)
            if answer.problem is not None:
                raise answer.problem
            # Selected before recording: a missing secret is not handed out.
            shown = _shown(request, answer.connection)
            if await self._resolver.record(answer, method="RevealConnection", client=client):
                return pb.RevealConnectionResponse(connection=shown)
        raise changes_too_fast()

    async def FollowConnection(
        self, requests: AsyncIterator[pb.FollowConnectionRequest], send: Send[pb.FollowConnectionResponse]
    ) -> None:
        await self._hub.serve(requests, send)

    async def BindWorkspace(self, request: pb.BindWorkspaceRequest) -> pb.BindWorkspaceResponse:
        binding = await self._registry.bind(
            require_workspace(request),
            request.connection,
            allow_fallback=request.allow_fallback,
            sticky_s=seconds(request.sticky) if request.HasField("sticky") else None,
        )
        return pb.BindWorkspaceResponse(
            binding=self._view.binding(binding), revision=self._registry.snapshot.revision
        )

    async def UnbindWorkspace(self, request: pb.UnbindWorkspaceRequest) -> pb.UnbindWorkspaceResponse:
        revision = await self._registry.unbind(require_workspace(request))
        return pb.UnbindWorkspaceResponse(revision=revision)

    async def ListWorkspaces(self, request: pb.ListWorkspacesRequest) -> pb.ListWorkspacesResponse:
        self._registry.snapshot.require_store()
        return pb.ListWorkspacesResponse(bindings=self._view.bindings(), followers=self._hub.followers())

    async def ExplainResolution(self, request: pb.ExplainResolutionRequest) -> pb.ExplainResolutionResponse:
        resolution = self._resolver.explain(question_of(request.inquiry))
        return explained(resolution, self._registry.snapshot.revision)

    async def ReportOutcome(self, request: pb.ReportOutcomeRequest) -> pb.ReportOutcomeResponse:
        connection = self._registry.snapshot.get(request.connection_id)
        if enum_from_wire(Outcome, request.outcome) is not Outcome.OK:
            self._health_board.suspect(connection)
        return pb.ReportOutcomeResponse()

    async def GetFallback(self, request: pb.GetFallbackRequest) -> pb.GetFallbackResponse:
        return pb.GetFallbackResponse(connections=self._fallback_names())

    async def SetFallback(self, request: pb.SetFallbackRequest) -> pb.SetFallbackResponse:
        revision = await self._registry.set_fallback(request.connections)
        return pb.SetFallbackResponse(connections=self._fallback_names(), revision=revision)

    def _fallback_names(self) -> list[str]:
        snapshot = self._registry.snapshot
        return [
            snapshot.connections[connection_id].name
            for connection_id in snapshot.settings.fallback_ids
            if connection_id in snapshot.connections
        ]


def _shown(
    request: pb.RevealConnectionRequest, found: pb.ResolvedConnection | None
) -> pb.ResolvedConnection | None:
    """The whole hand-out, or only the secret that was asked for."""
    which = request.WhichOneof("secret")
    if which is None or found is None:
        return found
    shown = pb.ResolvedConnection(connection_id=found.connection_id, name=found.name, revision=found.revision)
    if which == "api_key":
        shown.api_key = found.api_key
        missing = not found.api_key
    else:
        shown.headers.extend(one for one in found.headers if one.name.lower() == request.header.lower())
        missing = not shown.headers
    if missing:
        raise InvalidField.of(which, "there is none", f"look at: nexoctl show {found.name}")
    return shown
