"""WorkspaceService: hand-outs, followers, bindings, the explainer."""

from collections.abc import AsyncIterator
from functools import lru_cache

from google.protobuf.message import DecodeError

from nexo.connections.v1 import workspace_pb2 as pb
from nexo.connections.v1 import workspace_pb2_grpc
from nexo_client.terms import Outcome
from nexo_client.wire import enum_from_wire, enum_to_wire
from nexo_daemon.domain.errors import InvalidField
from nexo_daemon.domain.model import ClientInfo
from nexo_daemon.registry.lights import Lights
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Inquiry
from nexo_daemon.registry.routing import Routing
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.bounds import check_bounds
from nexo_daemon.rpc.drafts import client_info, inquiry, require_workspace
from nexo_daemon.rpc.errors import Context, metadata_of, speaks_errors
from nexo_daemon.rpc.follow import FollowHub
from nexo_daemon.rpc.resolver import Resolver
from nexo_daemon.rpc.view import View

# Larger ones are not remembered: the memory is for the programs that ask again and again.
_USUAL_SIZE = 2048


def _read(request: bytes) -> tuple[Inquiry, ClientInfo]:
    try:
        message = pb.ResolveConnectionRequest.FromString(request)
    except DecodeError:
        raise InvalidField(
            "request", "is no ResolveConnectionRequest", "generate the client from the .proto files anew"
        ) from None
    check_bounds(message)
    return inquiry(message.inquiry), client_info(message.client)


_asked = lru_cache(maxsize=1024)(_read)


@speaks_errors
class WorkspaceService(workspace_pb2_grpc.WorkspaceServiceServicer):
    """See workspace.proto."""

    def __init__(
        self,
        registry: Registry,
        routing: Routing,
        lights: Lights,
        resolver: Resolver,
        hub: FollowHub,
        view: View,
    ) -> None:
        self._registry = registry
        self._routing = routing
        self._lights = lights
        self._resolver = resolver
        self._hub = hub
        self._view = view

    async def ResolveConnection(  # type: ignore[override]  # noqa: N802 - encoded both ways, see `server`
        self, request: bytes, context: Context
    ) -> bytes:
        """See workspace.proto."""
        question, client = _asked(request) if len(request) <= _USUAL_SIZE else _read(request)
        answer = await self._resolver.answer(question)
        if answer.problem is not None:
            raise answer.problem
        self._resolver.record(answer, method="ResolveConnection", client=client)
        return answer.handed_out

    async def RevealConnection(  # noqa: N802
        self, request: pb.RevealConnectionRequest, context: Context
    ) -> pb.RevealConnectionResponse:
        """See workspace.proto."""
        answer = await self._resolver.reveal(request.name)
        if answer.problem is not None:
            raise answer.problem
        self._resolver.record(answer, method="RevealConnection", client=client_info(request.client))
        return pb.RevealConnectionResponse(connection=answer.connection)

    async def FollowConnection(  # type: ignore[override]  # noqa: N802 - grpc.aio takes a coroutine that writes, too
        self, request: AsyncIterator[pb.FollowConnectionRequest], context: Context
    ) -> None:
        """See workspace.proto."""
        await self._hub.serve(request, context.write)

    async def BindWorkspace(  # noqa: N802
        self, request: pb.BindWorkspaceRequest, context: Context
    ) -> pb.BindWorkspaceResponse:
        """See workspace.proto."""
        binding = await self._routing.bind(
            require_workspace(request), request.connection, allow_fallback=request.allow_fallback
        )
        return pb.BindWorkspaceResponse(
            binding=self._view.binding(binding), revision=self._registry.snapshot.revision
        )

    async def UnbindWorkspace(  # noqa: N802
        self, request: pb.UnbindWorkspaceRequest, context: Context
    ) -> pb.UnbindWorkspaceResponse:
        """See workspace.proto."""
        revision = await self._routing.unbind(require_workspace(request))
        return pb.UnbindWorkspaceResponse(revision=revision)

    async def ListWorkspaces(  # noqa: N802
        self, request: pb.ListWorkspacesRequest, context: Context
    ) -> pb.ListWorkspacesResponse:
        """See workspace.proto."""
        self._registry.snapshot.require_store()
        return pb.ListWorkspacesResponse(bindings=self._view.bindings(), followers=self._hub.followers())

    async def ExplainResolution(  # noqa: N802
        self, request: pb.ExplainResolutionRequest, context: Context
    ) -> pb.ExplainResolutionResponse:
        """See workspace.proto."""
        resolution = self._resolver.explain(inquiry(request.inquiry))
        problem = resolution.problem
        return pb.ExplainResolutionResponse(
            connection_name=resolution.connection.name if resolution.connection else "",
            source=enum_to_wire(resolution.source),
            steps=[convert.step(step) for step in resolution.steps],
            problem=pb.ResolutionProblem(
                reason=problem.reason, message=problem.message, metadata=metadata_of(problem)
            )
            if problem
            else None,
            revision=self._registry.snapshot.revision,
        )

    async def ReportOutcome(  # noqa: N802
        self, request: pb.ReportOutcomeRequest, context: Context
    ) -> pb.ReportOutcomeResponse:
        """See workspace.proto."""
        connection = self._registry.snapshot.get(request.connection_id)
        if enum_from_wire(Outcome, request.outcome) is not Outcome.OK:
            self._lights.suspect(connection)
        return pb.ReportOutcomeResponse()

    async def GetFallback(  # noqa: N802
        self, request: pb.GetFallbackRequest, context: Context
    ) -> pb.GetFallbackResponse:
        """See workspace.proto."""
        return pb.GetFallbackResponse(connections=self._fallback_names())

    async def SetFallback(  # noqa: N802
        self, request: pb.SetFallbackRequest, context: Context
    ) -> pb.SetFallbackResponse:
        """See workspace.proto."""
        revision = await self._routing.set_fallback(request.connections)
        return pb.SetFallbackResponse(connections=self._fallback_names(), revision=revision)

    def _fallback_names(self) -> list[str]:
        snapshot = self._registry.snapshot
        return [
            snapshot.connections[connection_id].name
            for connection_id in snapshot.settings.fallback_ids
            if connection_id in snapshot.connections
        ]
