"""Measures the daemon: start, idle cost, commit of a switch, and costs by the number of connections."""

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import grpc
from measure import RUNS, Row, alternate, percentile, report
from servers import cpu_s, daemon, endpoints, floor, rss_mb, wake_ups

from nexo.connections.v1 import (
    connection_pb2,
    connection_pb2_grpc,
    daemon_pb2,
    daemon_pb2_grpc,
    workspace_pb2,
    workspace_pb2_grpc,
)

OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost"))
IDLE_S = 60.0
CALLS = 300

# Without httpcore2, httpx and uvicorn, which the first answer does not need; they are imported after it.
IMPORTS = """
import asyncio, sqlite3, ssl
import cryptography.hazmat.primitives.ciphers.aead, grpc, grpc.aio, grpc_health.v1.health_pb2_grpc
import grpc_reflection.v1alpha.reflection_pb2_grpc, sqlalchemy, google.rpc.status_pb2
import nexo.connections.v1.daemon_pb2_grpc
"""


BESIDE_A_SERVER = (
    IMPORTS
    + """
import httpcore2, httpx, logging.handlers
sqlalchemy.create_engine("sqlite://").connect()
"""
)


def start_rows() -> Iterator[Row]:
    with daemon(1000) as (surroundings, nexod):
        nexod.stop()
        env = surroundings.env

        def imports() -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], env=env, check=True)
            return (time.perf_counter() - start) * 1000

        def start() -> float:
            begin = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "nexo_daemon"], env=env, stderr=subprocess.DEVNULL
            )
            channel = grpc.insecure_channel(
                f"unix:{surroundings.socket}",
                options=(
                    *OPTIONS,
                    ("grpc.initial_reconnect_backoff_ms", 5),
                    ("grpc.max_reconnect_backoff_ms", 5),
                    ("grpc.min_reconnect_backoff_ms", 5),
                ),
            )
            stub = daemon_pb2_grpc.DaemonServiceStub(channel)
            stub.GetStatus(daemon_pb2.GetStatusRequest(), timeout=30, wait_for_ready=True)
            took = (time.perf_counter() - begin) * 1000
            channel.close()
            process.terminate()
            process.wait()
            return took

        floors, ours = alternate(imports, start)
    yield Row(
        "daemon start to the first answer, 1000 connections",
        "ms",
        ours,
        floors,
        "importing its dependencies",
        "<= 1.2 x",
    )


def idle_rows() -> Iterator[Row]:
    with endpoints() as port, daemon(100, checked_at=port) as (_, nexod):
        # During the first round of checks the daemon is not idle.
        time.sleep(20)
        cpu, woke, begin = cpu_s(nexod.pid), wake_ups(nexod.pid), time.monotonic()
        time.sleep(IDLE_S)
        seconds = time.monotonic() - begin
        share = (cpu_s(nexod.pid) - cpu) / seconds * 100
        wakes = (wake_ups(nexod.pid) - woke) / seconds
        memory = rss_mb(nexod.pid)
        with floor(BESIDE_A_SERVER) as (_, floor_process):
            least = rss_mb(floor_process.pid)
    yield Row(
        "idle, 100 connections, no client: memory",
        "MB",
        [memory],
        [least],
        "an empty gRPC server and an empty database, with its dependencies imported",
        "<= 80 MB",
        note="pages of files that are in memory count, too, and differ between machines and runs",
    )
    yield Row(
        "idle, 100 connections, no client: CPU",
        "% of a core",
        [share],
        target="<= 0.2 %",
        note="checks included: they are the daemon's work",
    )
    yield Row(
        "idle, 100 connections, no client: wake-ups",
        "per second",
        [wakes],
        note="checks (a connection and its time-outs) and grpc's own poller threads",
    )


def commit_rows() -> Iterator[Row]:
    with floor() as (socket, _), daemon(2) as (_, nexod), tempfile.TemporaryDirectory() as directory:
        db = sqlite3.connect(f"{directory}/floor.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE settings (id INTEGER PRIMARY KEY, value TEXT)")
        db.execute("INSERT INTO settings VALUES (1, '')")
        with (
            grpc.insecure_channel(f"unix:{socket}", options=OPTIONS) as floor_channel,
            grpc.insecure_channel(f"unix:{nexod.socket}", options=OPTIONS) as our_channel,
        ):
            empty = daemon_pb2_grpc.DaemonServiceStub(floor_channel)
            switch = connection_pb2_grpc.ConnectionServiceStub(our_channel)
            number = 0

            def commit_and_call() -> float:
                figures = []
                for count in range(100):
                    begin = time.perf_counter()
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("UPDATE settings SET value = ? WHERE id = 1", (str(count),))
                    db.execute("COMMIT")
                    empty.GetStatus(daemon_pb2.GetStatusRequest(), timeout=10)
                    figures.append((time.perf_counter() - begin) * 1000)
                return statistics.median(figures)

            def set_default() -> float:
                nonlocal number
                figures = []
                for _ in range(100):
                    number += 1
                    request = connection_pb2.SetDefaultConnectionRequest(name=f"work-{number % 2}")
                    begin = time.perf_counter()
                    switch.SetDefaultConnection(request, timeout=10)
                    figures.append((time.perf_counter() - begin) * 1000)
                return statistics.median(figures)

            floors, ours = alternate(commit_and_call, set_default)
        db.close()
    yield Row(
        "SetDefaultConnection acknowledged",
        "ms",
        ours,
        floors,
        "one fsync'd SQLite commit and an empty call",
        "<= 1.5 x",
    )


def growth_rows() -> Iterator[Row]:
    for count in (10, 100, 1000, 10_000):
        with (
            daemon(count) as (_, nexod),
            grpc.insecure_channel(
                f"unix:{nexod.socket}", options=(*OPTIONS, ("grpc.max_receive_message_length", 1 << 26))
            ) as channel,
        ):
            yield from _costs_at(count, channel)
            yield Row(f"memory, {count} connections", "MB", [rss_mb(nexod.pid)])


def _costs_at(count: int, channel: grpc.Channel) -> Iterator[Row]:
    connections = connection_pb2_grpc.ConnectionServiceStub(channel)
    workspaces = workspace_pb2_grpc.WorkspaceServiceStub(channel)

    def resolve(_: int) -> object:
        return workspaces.ResolveConnection(workspace_pb2.ResolveConnectionRequest(), timeout=10)

    def switch(number: int) -> object:
        request = connection_pb2.SetDefaultConnectionRequest(name=f"work-{number % 2}")
        return connections.SetDefaultConnection(request, timeout=10)

    def list_all(_: int) -> object:
        return connections.ListConnections(connection_pb2.ListConnectionsRequest(), timeout=60)

    for name, call, times, wish in (
        ("resolve", resolve, CALLS, "flat"),
        ("switch", switch, CALLS, "flat"),
        ("list", list_all, RUNS, "linear"),
    ):
        _timed(call, 3)
        runs = [percentile(_timed(call, max(1, times // RUNS)), 0.5) for _ in range(RUNS)]
        yield Row(f"{name}, {count} connections", "ms", runs, target=wish)


def _timed(call: Callable[[int], object], times: int) -> list[float]:
    figures = []
    for number in range(times):
        begin = time.perf_counter()
        call(number)
        figures.append((time.perf_counter() - begin) * 1000)
    return figures


def rows() -> Iterator[Row]:
    yield from start_rows()
    yield from commit_rows()
    yield from growth_rows()
    yield from idle_rows()


if __name__ == "__main__":
    report("daemon", rows())
