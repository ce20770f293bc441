"""DaemonService: status, the event stream, shutdown, the audit record."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from nexo.connections.codec import moment, write
from nexo.connections.v1 import daemon_pb2 as pb
from nexo.connections.v1 import health_pb2
from nexo_daemon.domain.model import HandoutRecord, Transition
from nexo_daemon.registry import bus
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.drafts import client_info
from nexo_daemon.rpc.errors import Send
from nexo_daemon.rpc.shares import Shares
from nexo_daemon.rpc.view import View

HANDOUT_LIMIT = 10_000
WATCHER_LIMIT = 256
WATCHERS_OF_A_PROGRAM = 64
_LOOK_S = 0.5


class DaemonService:
    """Answers the calls of daemon.proto, which describes each."""

    def __init__(self, registry: Registry, journal: Journal, view: View, stop: Callable[[], None]) -> None:
        self._registry = registry
        self._journal = journal
        self._view = view
        self._stop = stop
        self._watchers = Shares("watchers", most=WATCHER_LIMIT, of_a_program=WATCHERS_OF_A_PROGRAM)

    async def GetStatus(self, request: pb.GetStatusRequest) -> pb.GetStatusResponse:
        # Wait for the present state of the store, but answer even if the disk does not.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._registry.on_store_thread(self._registry.store.look)
        return pb.GetStatusResponse(status=self._view.status())

    async def Watch(self, request: pb.WatchRequest, send: Send[pb.WatchResponse]) -> None:
        sequence = 1
        who = client_info(request.client)
        with self._watchers.one_of(who.pid), self._registry.bus.subscribe() as watcher:
            revision = self._registry.snapshot.revision
            await send(pb.WatchResponse(sequence=sequence, revision=revision, snapshot=self._view.snapshot()))
            async for event in watcher.events():
                response = self._response(event)
                if response is not None:
                    sequence += 1
                    response.sequence = sequence
                    response.revision = self._registry.snapshot.revision
                    await send(response)

    def _response(self, event: bus.Event) -> pb.WatchResponse | None:
        connections = self._registry.snapshot.connections
        match event:
            case bus.ConnectionChanged(connection_id):
                connection = connections.get(connection_id)
                # Removed in the meantime: the event about that is in the queue.
                return pb.WatchResponse(connection=self._view.connection(connection)) if connection else None
            case bus.ConnectionRemoved(connection_id, name):
                return pb.WatchResponse(
                    removed=pb.WatchResponse.ConnectionRemoved(id=connection_id, name=name)
                )
            case bus.Sign.BINDINGS_CHANGED:
                return pb.WatchResponse(bindings=pb.WatchResponse.Bindings(bindings=self._view.bindings()))
            case bus.Sign.STATUS_CHANGED:
                return pb.WatchResponse(status=self._view.status())
            case Transition():
                connection = connections.get(event.connection_id)
                if connection is None:
                    return None
                return pb.WatchResponse(
                    transition=write(health_pb2.HealthTransition, event, connection_name=connection.name)
                )
            case HandoutRecord():
                return pb.WatchResponse(handout=convert.handout(event))
            case bus.Sign.LAGGED:
                return pb.WatchResponse(lagged=pb.WatchResponse.Lagged())
            case bus.Sign.DAEMON_STOPS:
                return pb.WatchResponse(shutting_down=pb.WatchResponse.ShuttingDown())

    async def Shutdown(self, request: pb.ShutdownRequest) -> pb.ShutdownResponse:
        self._stop()
        return pb.ShutdownResponse(pid=os.getpid())

    async def ListHandouts(self, request: pb.ListHandoutsRequest) -> pb.ListHandoutsResponse:
        connection_id = self._registry.snapshot.get(request.name).id if request.name else None
        since = moment(request.since)
        limit = min(request.limit or 100, HANDOUT_LIMIT)
        await self._journal.flush()
        store = self._registry.store
        handouts = await self._registry.on_store_thread(lambda: store.handouts(connection_id, limit, since))
        return pb.ListHandoutsResponse(handouts=[convert.handout(h) for h in handouts])
