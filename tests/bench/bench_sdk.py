"""Measures the cost of the Python SDK: reading a follower, and `resolve()` compared with an empty call."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain

import grpc
from measure import RUNS, Row, alternate, percentile, report
from servers import HERE, daemon, floor

from nexo.connections.v1 import workspace_pb2, workspace_pb2_grpc
from nexo_client import channel

READS = 20_000
CALLS = 300
SECONDS = 2.0
# Memory that grows with these reads is a leak.
GROWTH_READS = 1_000_000


def _each(call: Callable[[], object], times: int) -> list[float]:
    figures = []
    for _ in range(times):
        begin = time.perf_counter_ns()
        call()
        figures.append(time.perf_counter_ns() - begin)
    return figures


def rows() -> Iterator[Row]:
    with (
        floor() as (socket, _),
        daemon(2) as (_, nexod),
        nexod.client() as client,
        client.follow() as live,
        grpc.insecure_channel(f"unix:{socket}", options=channel.OPTIONS) as floor_channel,
    ):
        # The clock itself costs about as much as the read; it is in both figures.
        reads = [_each(lambda: live.current, READS) for _ in range(RUNS)]
        nothing = [_each(lambda: None, READS) for _ in range(RUNS)]
        yield Row(
            "live.current, p50",
            "us",
            [percentile(run, 0.5) / 1000 for run in reads],
            [percentile(run, 0.5) / 1000 for run in nothing],
            "calling a function that does nothing",
            "<= 1 us",
            "clock included in both",
        )

        empty = workspace_pb2_grpc.WorkspaceServiceStub(floor_channel).ResolveConnection
        request = workspace_pb2.ResolveConnectionRequest()
        for share, label, target in ((0.5, "p50", "<= 1.15 x"), (0.99, "p99", "<= 1.3 x")):
            for what, call in (
                ("resolve()", client.resolve),
                ("resolve(workspace='.')", lambda: client.resolve(workspace=".")),
            ):
                floors, ours = alternate(
                    lambda share=share: (
                        percentile(_each(lambda: empty(request, timeout=10), CALLS), share) / 1000
                    ),
                    lambda share=share, call=call: percentile(_each(call, CALLS), share) / 1000,
                )
                yield Row(f"{what}, {label}", "us", ours, floors, "an empty unary call", target)


def _caller(kind: str, socket: str, *words: str) -> float:
    command = [sys.executable, str(HERE / "caller.py"), kind, socket, *words]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _first(kind: str, socket: str) -> float:
    """Microseconds to the first answer; the best of three, because caches are cold for the first process."""
    return min(_caller(kind, socket, "first") for _ in range(3))


def _per_second(kind: str, socket: str, processes: int) -> float:
    """Calls per second of so many processes together."""
    return _caller(kind, socket, str(SECONDS), str(processes)) / SECONDS


def process_rows() -> Iterator[Row]:
    """The rows that are measured in separate client processes."""
    with floor() as (socket, _), daemon(2) as (_, nexod):
        ours_at = str(nexod.socket)
        floors, ours = alternate(lambda: _first("floor", socket), lambda: _first("sdk", ours_at))
        yield Row(
            "first resolve() of a process", "us", ours, floors, "a new channel, an empty call", "<= 1.1 x"
        )
        for processes in (1, 8, 64):
            floors, ours = alternate(
                lambda count=processes: _per_second("floor", socket, count),
                lambda count=processes: _per_second("sdk", ours_at, count),
            )
            yield Row(
                f"resolve() by {processes} process{'es' if processes > 1 else ''}",
                "calls/s",
                ours,
                floors,
                "the same with empty calls",
                ">= 0.9 x",
            )


def growth_rows() -> Iterator[Row]:
    """The growth of memory during a million reads."""
    with daemon(2) as (_, nexod), nexod.client() as client, client.follow() as live:
        for _ in range(10_000):
            _ = live.current
        before = sys.getallocatedblocks()
        for _ in range(GROWTH_READS):
            _ = live.current
        grown = sys.getallocatedblocks() - before
    yield Row("live.current, allocations after a million reads", "blocks", [grown], target="0 that grow")


if __name__ == "__main__":
    report("sdk", chain(rows(), growth_rows(), process_rows()))
