"""Measures commands from a cold start: how long a person waits, and what a key helper costs a program."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from measure import Row, alternate, report
from servers import daemon

NEXOCTL = str(Path(sys.executable).with_name("nexoctl"))

CALL = """
import grpc, sys
channel = grpc.insecure_channel("unix:" + sys.argv[1], options=(("grpc.default_authority", "localhost"),))
channel.unary_unary("/nexo.connections.v1.DaemonService/GetStatus")(b"", timeout=10)
channel.close()
"""


def timed(command: list[str], env: Mapping[str, str]) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        done = subprocess.run(command, env=dict(env), capture_output=True, check=False)
        took = (time.perf_counter() - start) * 1000
        assert done.returncode == 0, (command, done.stderr)
        return took

    return run


def rows() -> Iterator[Row]:
    with daemon(100) as (surroundings, nexod):
        env = surroundings.env
        call = timed([sys.executable, "-c", CALL, str(nexod.socket)], env)
        for words in (["which"], ["default"], ["list"], ["resolve", "--format", "key"]):
            floors, ours = alternate(call, timed([NEXOCTL, *words], env))
            target = "" if words[0] == "resolve" else "<= 1.25 x"
            yield Row(
                f"nexoctl {' '.join(words)}, 100 connections",
                "ms",
                ours,
                floors,
                "python -c 'import grpc', one call",
                target,
            )
        nothing = timed([sys.executable, "-c", "pass"], env)
        for flag in ("--version", "--help"):
            floors, ours = alternate(nothing, timed([NEXOCTL, flag], env))
            yield Row(f"nexoctl {flag}", "ms", ours, floors, "python -c pass", "<= 4 x")


if __name__ == "__main__":
    report("cli", rows())
