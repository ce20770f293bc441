"""Whoever can wait learns that a call is under way before it is told to us, and for how long that holds."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nexo.connections import paths
from nexo_daemon.rpc.calls import ANSWERED_S, ARRIVES_S, ARRIVES_TURNS, Calls, TellingLoop
from nexo_daemon.rpc.server import Methods
from surroundings import PATIENCE_S

EARLY = 1e-6
TURN = "a turn"
QUIET = [TURN] * ARRIVES_TURNS


@pytest.mark.parametrize(
    ("story", "under_way"),
    [
        ([], False),
        (["woken"], True),
        (["woken", *QUIET[1:]], True),
        # It was no call that had come.
        (["woken", *QUIET], False),
        (["woken", *QUIET[1:], "woken", *QUIET[1:]], True),
        (["woken", ARRIVES_S - EARLY], True),
        (["woken", ARRIVES_S + EARLY], False),
        (["woken", *QUIET[1:], "began", *QUIET], True),
        (["began", ANSWERED_S - EARLY], True),
        (["began", ANSWERED_S + EARLY], False),
        (["woken", "began", "woken", "answered"], False),
        (["began", "answered", "woken"], True),
        (["began", "answered", "began"], True),
    ],
    ids=str,
)
def test_until_when_a_call_is_under_way(story: list[str | float], under_way: bool) -> None:
    now = [100.0]
    calls = Calls(lambda: now[0])
    for step in story:
        if isinstance(step, float):
            now[0] += step
        elif step == TURN:
            calls.are_under_way()
        else:
            getattr(calls, step)()
    assert calls.are_under_way() is under_way


def test_grpc_wakes_the_loop_by_a_reader_before_it_tells_of_a_call(tmp_path: Path) -> None:
    seen: list[str] = []

    class Seen(Calls):
        def __init__(self) -> None:
            # Time stands still: what follows tells whether it knew, and not whether it was quick.
            super().__init__(lambda: 1.0)

        def woken(self) -> None:
            seen.append("woken")
            super().woken()

        def began(self) -> None:
            seen.append("began")
            super().began()

        def answered(self) -> None:
            seen.append("answered")
            super().answered()

    calls = Seen()

    class Servicer(health_pb2_grpc.HealthServicer):
        async def Check(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - the contract's name
            seen.append(f"in it: {calls.are_under_way()}")
            return health_pb2.HealthCheckResponse()

    address = paths.grpc_name(tmp_path / "s")

    def ask() -> None:
        # On a thread, as another program: its own events wake another loop.
        with grpc.insecure_channel(address, options=(("grpc.default_authority", "localhost"),)) as channel:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)

    async def run() -> None:
        server = grpc.aio.server()
        methods: Any = Methods(calls)
        health_pb2_grpc.add_HealthServicer_to_server(Servicer(), methods)
        server.add_generic_rpc_handlers((methods,))
        server.add_insecure_port(address)
        await server.start()
        seen.clear()
        await asyncio.to_thread(ask)
        await server.stop(None)

    with asyncio.Runner(loop_factory=lambda: TellingLoop(calls.woken)) as runner:
        runner.run(asyncio.wait_for(run(), PATIENCE_S))
    told = [event for event in seen if event != "woken"]
    assert told == ["began", "in it: True", "answered"]
    assert seen[0] == "woken"
