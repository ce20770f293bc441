"""A process with many bare gRPC followers, so that servers are compared without the SDK.

`python crowd.py SOCKET COUNT` prints "ready" when all have their first message. For each revision that all of
them have received, it then prints the revision and the monotonic times in ns at which they received it.
"""

import asyncio
import json
import os
import sys
import time

import grpc

from nexo.connections.v1 import workspace_pb2, workspace_pb2_grpc

OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.default_authority", "localhost"),
    # Each follower has its own channel, as in separate processes.
    ("grpc.use_local_subchannel_pool", 1),
)


async def main(socket: str, count: int) -> None:
    got: dict[int, list[int]] = {}
    first: list[int] = []

    async def follow(number: int) -> None:
        async with grpc.aio.insecure_channel(f"unix:{socket}", options=OPTIONS) as channel:
            call = workspace_pb2_grpc.WorkspaceServiceStub(channel).FollowConnection()
            info = workspace_pb2.ClientInfo(name="crowd", pid=os.getpid(), program=f"follower-{number}")
            await call.write(
                workspace_pb2.FollowConnectionRequest(
                    hello=workspace_pb2.FollowConnectionRequest.Hello(client=info)
                )
            )
            subscribe = workspace_pb2.FollowConnectionRequest.Subscribe(follower=1)
            await call.write(workspace_pb2.FollowConnectionRequest(subscribe=subscribe))
            async for response in call:
                now = time.monotonic_ns()
                if not first or len(first) < count:
                    first.append(now)
                    if len(first) == count:
                        print(json.dumps("ready"), flush=True)
                    continue
                times = got.setdefault(response.revision, [])
                times.append(now)
                if len(times) == count:
                    print(json.dumps([response.revision, got.pop(response.revision)]), flush=True)

    await asyncio.gather(*(follow(number) for number in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
