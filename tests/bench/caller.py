"""A client process of the benchmarks: `python caller.py floor|sdk SOCKET first|SECONDS`.

`first`: microseconds from making a channel to the first answer, its libraries imported already. Otherwise
it says "ready", waits for a line, and prints how many calls it made in so many seconds, one after another.
"""

import sys
import time
from collections.abc import Callable

import grpc

import nexo_client
from nexo.connections.v1 import workspace_pb2, workspace_pb2_grpc
from nexo_client import channel
from nexo_client.client import Client  # noqa: F401 - its import is no part of a call
from nexo_client.types import ResolvedConnection  # noqa: F401


def floor(socket: str) -> Callable[[], object]:
    """An empty call on a channel like ours."""
    made = grpc.insecure_channel(f"unix:{socket}", options=channel.OPTIONS)
    call = workspace_pb2_grpc.WorkspaceServiceStub(made).ResolveConnection
    request = workspace_pb2.ResolveConnectionRequest()
    return lambda: call(request, timeout=10)


def sdk(socket: str) -> Callable[[], object]:
    """What a program writes."""
    return nexo_client.connect(socket).resolve


def main() -> None:
    kind, socket, what = sys.argv[1:]
    begin = time.perf_counter_ns()
    call = {"floor": floor, "sdk": sdk}[kind](socket)
    call()
    if what == "first":
        print((time.perf_counter_ns() - begin) / 1000)
        return
    print("ready", flush=True)
    sys.stdin.readline()
    count, end = 0, time.monotonic() + float(what)
    while time.monotonic() < end:
        call()
        count += 1
    print(count)


if __name__ == "__main__":
    main()
