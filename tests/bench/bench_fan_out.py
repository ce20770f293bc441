"""Measures how soon a switch of the default reaches 1 000 followers, and the memory for each follower."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
from measure import RUNS, Row, percentile, report
from servers import HERE, daemon, floor, rss_mb

from nexo.connections.v1 import connection_pb2, connection_pb2_grpc

FOLLOWERS = 1000
PROCESSES = 4
SWITCHES = 5


@contextmanager
def crowd(socket: str) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, str(HERE / "crowd.py"), socket, str(FOLLOWERS // PROCESSES)]
    crowds = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    try:
        for process in crowds:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == "ready"
        yield crowds
    finally:
        for process in crowds:
            process.kill()
            process.wait()


def switcher(
    socket: str,
) -> tuple[grpc.Channel, Callable[[int], connection_pb2.SetDefaultConnectionResponse]]:
    channel = grpc.insecure_channel(f"unix:{socket}", options=(("grpc.default_authority", "localhost"),))
    stub = connection_pb2_grpc.ConnectionServiceStub(channel)

    def switch(number: int) -> connection_pb2.SetDefaultConnectionResponse:
        return stub.SetDefaultConnection(
            connection_pb2.SetDefaultConnectionRequest(name=f"work-{number % 2}"), timeout=30
        )

    return channel, switch


def time_switches(
    switch: Callable[[int], connection_pb2.SetDefaultConnectionResponse],
    crowds: list[subprocess.Popen[str]],
    start: int,
) -> list[float]:
    """For each switch: ms from the call until the last follower has it.

    Not from the call's answer, which our daemon often sends after it has told the last follower.
    """
    figures = []
    for number in range(start, start + SWITCHES):
        called = time.monotonic_ns()
        revision = switch(number).revision
        last = 0
        for process in crowds:
            assert process.stdout is not None
            seen, times = json.loads(process.stdout.readline())
            assert seen == revision, (seen, revision)
            last = max(last, *times)
        figures.append((last - called) / 1e6)
    return figures


def rows() -> Iterator[Row]:
    with floor() as (floor_socket, floor_process), daemon(2) as (_, nexod):
        before = rss_mb(floor_process.pid), rss_mb(nexod.pid)
        with crowd(floor_socket) as floor_crowd, crowd(str(nexod.socket)) as our_crowd:
            grown = rss_mb(floor_process.pid) - before[0], rss_mb(nexod.pid) - before[1]
            floor_channel, floor_switch = switcher(floor_socket)
            our_channel, our_switch = switcher(str(nexod.socket))
            floors: list[list[float]] = []
            ours: list[list[float]] = []
            # work-0 is the default already, so the first switch has to choose another one.
            number = 1
            for _ in range(RUNS + 1):
                floors.append(time_switches(floor_switch, floor_crowd, number))
                ours.append(time_switches(our_switch, our_crowd, number))
                number += SWITCHES + (SWITCHES % 2 == 0)
            floor_channel.close()
            our_channel.close()
    name = "the same fan-out of an equal message"
    for share, label, target in ((0.5, "p50", ""), (0.99, "p99", "<= 1.3 x")):
        yield Row(
            f"switch -> last of {FOLLOWERS} followers, {label} of {SWITCHES} switches a run",
            "ms",
            [percentile(run, share) for run in ours[1:]],
            [percentile(run, share) for run in floors[1:]],
            name,
            target,
        )
    yield Row(
        "memory per follower",
        "kB",
        [grown[1] * 1000 / FOLLOWERS],
        [grown[0] * 1000 / FOLLOWERS],
        "an empty stream",
        "<= 1.3 x",
        "one run: memory does not alternate",
    )


if __name__ == "__main__":
    report("fan_out", rows())
