"""What the Python SDK costs a program: the read of a follower, and `resolve()` beside an empty call."""

import time
from collections.abc import Callable, Iterator

import grpc
from measure import RUNS, Row, alternate, percentile, report
from servers import daemon, floor

from nexo.connections.v1 import workspace_pb2, workspace_pb2_grpc
from nexo_client import channel

READS = 20_000
CALLS = 300


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
        for share, label, target in ((0.5, "p50", "<= 1.15 x"), (0.99, "p99", "")):
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


if __name__ == "__main__":
    report("sdk", rows())
