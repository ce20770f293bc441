"""The floor for the gRPC figures: a server of the same kind that answers with constants.

`python floor_server.py SOCKET`. Unary calls get empty answers. `FollowConnection` sends one message at
subscription, and one of the same size to every stream at each call of `SetDefaultConnection`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc

from nexo.connections.v1 import (
    connection_pb2,
    connection_pb2_grpc,
    daemon_pb2,
    daemon_pb2_grpc,
    workspace_pb2,
    workspace_pb2_grpc,
)

MESSAGE = workspace_pb2.ResolvedConnection(
    connection_id="0" * 32,
    name="work-1",
    provider=connection_pb2.PROVIDER_CUSTOM,
    base_url="http://127.0.0.1:1/v1",
    auth_scheme=connection_pb2.AUTH_SCHEME_BEARER,
    api_key="sk-" + "0" * 45,
    source=workspace_pb2.RESOLUTION_SOURCE_DEFAULT,
    source_detail="the default",
    health=connection_pb2.Health(state=connection_pb2.HEALTH_STATE_UNKNOWN, reason="never"),
)


class Floor(
    connection_pb2_grpc.ConnectionServiceServicer,
    workspace_pb2_grpc.WorkspaceServiceServicer,
    daemon_pb2_grpc.DaemonServiceServicer,
):
    """Constants."""

    def __init__(self) -> None:
        self.revision = 1
        self.wakes: set[asyncio.Event] = set()

    async def GetStatus(self, request, context):
        return daemon_pb2.GetStatusResponse()

    async def ResolveConnection(self, request, context):
        return workspace_pb2.ResolveConnectionResponse()

    async def SetDefaultConnection(self, request, context):
        self.revision += 1
        for wake in self.wakes:
            wake.set()
        return connection_pb2.SetDefaultConnectionResponse(revision=self.revision)

    async def FollowConnection(self, requests, context) -> AsyncIterator[object]:
        wake = asyncio.Event()
        self.wakes.add(wake)

        async def read() -> None:
            async for request in requests:
                if request.WhichOneof("event") == "subscribe":
                    wake.set()

        reader = asyncio.create_task(read())
        try:
            while True:
                await wake.wait()
                wake.clear()
                yield workspace_pb2.FollowConnectionResponse(
                    followers=[1], connection=MESSAGE, revision=self.revision
                )
        finally:
            self.wakes.discard(wake)
            reader.cancel()


async def serve(socket: str) -> None:
    server = grpc.aio.server()
    floor = Floor()
    connection_pb2_grpc.add_ConnectionServiceServicer_to_server(floor, server)
    workspace_pb2_grpc.add_WorkspaceServiceServicer_to_server(floor, server)
    daemon_pb2_grpc.add_DaemonServiceServicer_to_server(floor, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
