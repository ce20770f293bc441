"""Client processes of the benchmarks: `python caller.py floor|sdk SOCKET first`, or `… SOCKET SECONDS COUNT`.

`first` prints the microseconds from making a channel to the first answer, with all libraries imported before.
Otherwise it forks COUNT processes, which begin together after each has had an answer and call one after
another, and prints the number of their calls within SECONDS.
"""

import os
import struct
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
    return lambda: call(request, timeout=60)


def sdk(socket: str) -> Callable[[], object]:
    """A call as a program makes it with the SDK."""
    return nexo_client.connect(socket, timeout_s=60).resolve


KINDS = {"floor": floor, "sdk": sdk}


def calls_of(kind: str, socket: str, seconds: float, ready: int, go: int) -> int:
    """The number of calls that one process makes after `go` is closed."""
    call = KINDS[kind](socket)
    call()
    os.write(ready, b"r")
    os.read(go, 1)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        call()
        count += 1
    return count


def together(kind: str, socket: str, seconds: float, processes: int) -> int:
    """The calls of so many processes, forked before grpc starts a thread, to import it only once."""
    ready, say_ready = os.pipe()
    go, say_go = os.pipe()
    figures, tell = os.pipe()
    for _ in range(processes):
        if os.fork() == 0:
            os.close(say_go)
            os.write(tell, struct.pack("q", calls_of(kind, socket, seconds, say_ready, go)))
            os._exit(0)
    os.close(say_ready)
    os.close(tell)
    for _ in range(processes):
        assert os.read(ready, 1) == b"r", "a client process has ended early"
    os.close(say_go)
    return sum(struct.unpack("q", os.read(figures, 8))[0] for _ in range(processes))


def main() -> None:
    kind, socket, what, *count = sys.argv[1:]
    if what == "first":
        begin = time.perf_counter_ns()
        KINDS[kind](socket)()
        print((time.perf_counter_ns() - begin) / 1000)
    else:
        print(together(kind, socket, float(what), int(count[0])))


if __name__ == "__main__":
    main()
