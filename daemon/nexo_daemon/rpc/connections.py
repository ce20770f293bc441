"""ConnectionService: configuration, tests, the default."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from nexo.connections.codec import seconds, timestamp, write
from nexo.connections.errors import InvalidField
from nexo.connections.phrases import phrase
from nexo.connections.ranges import LIST_MODELS_S, TEST_S
from nexo.connections.terms import HealthState, KeyVerdict
from nexo.connections.v1 import connection_pb2 as pb
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.domain.probing import LayerResult, ProbeTarget, TestReport
from nexo_daemon.providers import catalog
from nexo_daemon.providers.prober import Prober
from nexo_daemon.registry.edits import Plan
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.tested import Proposal
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.drafts import edit_draft, new_draft
from nexo_daemon.rpc.errors import Send
from nexo_daemon.rpc.follow import FollowHub
from nexo_daemon.rpc.view import View

LISTED_AT_ONCE = 200
"""Connections of a long list in one go; then other calls run: 1 000 in one go delay them by 28 ms."""


class ConnectionService:
    """Answers the calls of connection.proto, which describes each."""

    def __init__(
        self,
        registry: Registry,
        health_board: HealthBoard,
        prober: Prober,
        view: View,
        hub: FollowHub,
    ) -> None:
        self._registry = registry
        self._health_board = health_board
        self._prober = prober
        self._view = view
        self._hub = hub

    async def ListConnections(self, request: pb.ListConnectionsRequest) -> pb.ListConnectionsResponse:
        snapshot = self._registry.snapshot
        snapshot.require_store()
        listed = []
        for number, value in enumerate(snapshot.connections.values(), 1):
            listed.append(self._view.connection(value, snapshot))
            if number % LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return pb.ListConnectionsResponse(connections=listed, revision=snapshot.revision)

    async def GetConnection(self, request: pb.GetConnectionRequest) -> pb.GetConnectionResponse:
        return pb.GetConnectionResponse(
            connection=self._view.connection(self._registry.snapshot.get(request.name))
        )

    async def CreateConnection(self, request: pb.CreateConnectionRequest) -> pb.CreateConnectionResponse:
        draft = edit_draft(request.draft, request.update_mask) if request.ticket else new_draft(request.draft)
        connection, warnings = await self._registry.create(
            draft, make_default=request.make_default, fixes=request.fixes, ticket=request.ticket
        )
        return pb.CreateConnectionResponse(
            connection=self._view.connection(connection),
            warnings=[write(pb.Suggestion, one) for one in warnings],
        )

    async def UpdateConnection(self, request: pb.UpdateConnectionRequest) -> pb.UpdateConnectionResponse:
        connection, warnings = await self._registry.update(
            request.name,
            edit_draft(request.draft, request.update_mask),
            revision=request.revision,
            keep_key_for_new_origin=request.keep_key_for_new_origin,
            fixes=request.fixes,
            ticket=request.ticket,
        )
        return pb.UpdateConnectionResponse(
            connection=self._view.connection(connection),
            warnings=[write(pb.Suggestion, one) for one in warnings],
        )

    async def DeleteConnection(self, request: pb.DeleteConnectionRequest) -> pb.DeleteConnectionResponse:
        revision = await self._registry.delete(
            request.name, replace_with=request.replace_with, force=request.force, revision=request.revision
        )
        return pb.DeleteConnectionResponse(revision=revision)

    async def TestConnection(
        self, request: pb.TestConnectionRequest, send: Send[pb.TestConnectionResponse]
    ) -> None:
        connection = self._registry.snapshot.get(request.name)

        def on_layer(layer: pb.LayerResult) -> Awaitable[None]:
            return send(pb.TestConnectionResponse(layer=layer))

        if request.update_mask.paths:
            proposal = Proposal(
                edit_draft(request.changes, request.update_mask),
                tuple(request.fixes),
                request.keep_key_for_new_origin,
                connection.id,
                connection.revision,
            )
            plan = self._registry.plan_edit(
                request.name,
                proposal.draft,
                keep_key_for_new_origin=proposal.consent,
                fixes=proposal.fixes,
            )
            result = await self._test_plan(request, proposal, plan, on_layer)
        else:
            report = await self._test(request, await self._registry.target(connection), on_layer)
            await self._remember(connection, report)
            result = convert.report(connection.name, report)
        await send(pb.TestConnectionResponse(result=result))

    async def TestDraftConnection(
        self,
        request: pb.TestDraftConnectionRequest,
        send: Send[pb.TestDraftConnectionResponse],
    ) -> None:
        draft = new_draft(request.draft)
        proposal = Proposal(draft, tuple(request.fixes))
        if draft.name is None or not draft.name.strip():
            # A test needs no name: a person may test before choosing one.
            draft = replace(draft, name="draft")
        plan = self._registry.plan_new(draft, proposal.fixes)
        result = await self._test_plan(
            request, proposal, plan, lambda layer: send(pb.TestDraftConnectionResponse(layer=layer))
        )
        await send(pb.TestDraftConnectionResponse(result=result))

    async def GetLastTest(self, request: pb.GetLastTestRequest) -> pb.GetLastTestResponse:
        connection = self._registry.snapshot.get(request.name)
        last = self._registry.last_tests.of(connection)
        if last is None:
            return pb.GetLastTestResponse()
        result = convert.report(connection.name, last.report)
        return pb.GetLastTestResponse(result=result, tested_at=timestamp(last.at))

    async def _test_plan(
        self,
        request: pb.TestConnectionRequest | pb.TestDraftConnectionRequest,
        proposal: Proposal,
        plan: Plan,
        send: Send[pb.LayerResult],
    ) -> pb.TestResult:
        """Test a planned connection; the result has a ticket if the proposal is to be kept."""
        era = self._registry.tickets.era
        report = await self._test(request, await self._registry.planned_target(plan), send)
        ticket = self._registry.ticket(proposal, report, era) if request.keep else ""
        return convert.report(plan.connection.name, report, ticket, plan.notes)

    async def _test(
        self,
        request: pb.TestConnectionRequest | pb.TestDraftConnectionRequest,
        target: ProbeTarget,
        send: Send[pb.LayerResult],
    ) -> TestReport:
        """Test the target as the request says, and send the result of each layer."""
        # Each layer sends one result, so the queue stays small.
        reports: asyncio.Queue[LayerResult | None] = asyncio.Queue()
        task = asyncio.ensure_future(
            self._prober.test(
                target,
                completion=request.completion,
                model=request.model,
                timeout_s=seconds(request.timeout) or TEST_S,
                on_layer=reports.put_nowait,
            )
        )
        task.add_done_callback(lambda _: reports.put_nowait(None))
        try:
            while (report := await reports.get()) is not None:
                await send(write(pb.LayerResult, report))
            return await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _remember(self, connection: StoredConnection, report: TestReport) -> None:
        verdict = report.proven_verdict
        if verdict is not None or report.facts is not None:
            # Stored before the health is updated, because the facts decide what the next checks ask.
            await self._registry.set_key_facts(
                connection.id,
                verdict=verdict,
                proven=verdict is KeyVerdict.VERIFIED,
                facts=report.facts,
                revision=connection.revision,
            )
        self._health_board.tested(connection, report)
        self._registry.last_tests.keep(connection, report)

    async def GetDefaultConnection(
        self, request: pb.GetDefaultConnectionRequest
    ) -> pb.GetDefaultConnectionResponse:
        snapshot = self._registry.snapshot
        default = snapshot.default
        return pb.GetDefaultConnectionResponse(
            connection=self._view.connection(default) if default else None, revision=snapshot.revision
        )

    async def SetDefaultConnection(
        self, request: pb.SetDefaultConnectionRequest
    ) -> pb.SetDefaultConnectionResponse:
        if request.WhichOneof("target") == "undo":
            current, previous = await self._registry.undo_default()
        elif request.name:
            current, previous = await self._registry.set_default(request.name)
        else:
            raise InvalidField.of("name", "is empty", "name the connection that becomes the default")
        response = pb.SetDefaultConnectionResponse(
            connection=self._view.connection(current),
            previous=self._view.connection(previous) if previous else None,
            revision=self._registry.snapshot.revision,
            warning=self._warning(current),
        )
        if request.HasField("wait"):
            followers, pending = await self._hub.wait_applied(response.revision, seconds(request.wait) or 0.0)
            response.followers = followers
            response.pending_followers.extend(pending)
        return response

    def _warning(self, connection: StoredConnection) -> str:
        health = self._health_board.of(connection)
        if not connection.enabled:
            return f"'{connection.name}' is disabled: programs get an error until it is enabled"
        if health.state in (HealthState.UNHEALTHY, HealthState.LIMITED):
            return f"'{connection.name}' is {health.state}: {phrase(health.reason)}. {health.advice}".strip()
        return ""

    async def ListModels(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        connection = self._registry.snapshot.get(request.name)
        timeout_s = seconds(request.timeout) or LIST_MODELS_S
        listing = await self._prober.list_models(await self._registry.target(connection), timeout_s=timeout_s)
        return write(pb.ListModelsResponse, listing)

    async def ListProviders(self, request: pb.ListProvidersRequest) -> pb.ListProvidersResponse:
        return pb.ListProvidersResponse(
            providers=[
                write(pb.ProviderInfo, entry, is_preset=bool(entry.preset)) for entry in catalog.entries()
            ]
        )
