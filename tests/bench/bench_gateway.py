"""Measures the gateway: delay added to a request and to a chunk, its costs, and its effect on `resolve()`.

The floor is a forwarder from the gateway's own libraries, uvicorn and httpcore2, without any rules. Floor and
provider run in separate processes. `litellm_proxy.py` compares LiteLLM's proxy with both.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from measure import RUNS, Row, alternate, percentile, report
from servers import HERE, daemon, rss_mb, wake_ups

import nexo_client
from surroundings import Nexod

REQUESTS = 300
CHUNKS = 300
HELD = 200
RESTS_S = 5.0
SETTLES_S = 0.3
BODY = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'


@dataclass(frozen=True)
class Server:
    """A server in a separate process."""

    port: int
    pid: int


@contextlib.contextmanager
def printing_its_port(script: str, *words: str) -> Iterator[Server]:
    """Start a server that prints its port, in a separate process."""
    command = [sys.executable, str(HERE / script), *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Line:
    """A persistent connection of a program to the gateway, to its floor or to the provider."""

    def __init__(self, port: int, prefix: str, token: str) -> None:
        self.port, self._prefix, self._token = port, prefix, token
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, what: str) -> None:
        head = (
            f"POST {self._prefix}/{what} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + BODY)

    def first_byte_ms(self) -> float:
        begin = time.perf_counter_ns()
        self.ask("small")
        came = self.socket.recv(65536)
        took = (time.perf_counter_ns() - begin) / 1e6
        # The body may arrive separately.
        while not came.endswith(b"}"):
            came += self.socket.recv(65536)
        assert came.startswith(b"HTTP/1.1 200"), came[:200]
        return took

    def close(self) -> None:
        self.socket.close()


def first_bytes(line: Line, share: float = 0.5) -> float:
    return percentile([line.first_byte_ms() for _ in range(REQUESTS)], share)


def delays_ms(line: Line) -> list[float]:
    """How old each chunk of a stream is when it arrives."""
    with line.socket.makefile("rb") as file:
        line.ask("stream")
        found: list[float] = []
        for text in file:
            if text.startswith(b"data: "):
                found.append((time.monotonic_ns() - int(text[6:])) / 1e6)
                if len(found) == CHUNKS:
                    return found
    raise AssertionError("the stream ended")


def connect(client: nexo_client.Client, provider: int) -> None:
    """Add a connection to a provider on this port of loopback."""
    url = f"http://127.0.0.1:{provider}/v1"
    key = "sk-" + "0" * 45
    client.create_connection(
        nexo_client.ConnectionDraft(name="work", provider="custom", base_url=url, api_key=key)
    )


@contextlib.contextmanager
def three() -> Iterator[tuple[Nexod, nexo_client.Client, int, Server, Server, str]]:
    """A daemon with its gateway open, and the ports of gateway, floor and provider."""
    with (
        printing_its_port("gateway_upstream.py") as provider,
        printing_its_port("floor_gateway.py", str(provider.port)) as floor,
        daemon(0) as (_, nexod),
        nexod.client() as client,
    ):
        connect(client, provider.port)
        run = client.gateway.mint()
        yield nexod, client, run.gateway.port, floor, provider, run.secret


def request_rows() -> Iterator[Row]:
    with three() as (_, _, gateway, floor, provider, token):
        ours, bare = Line(gateway, "/openai/v1", token), Line(floor.port, "/v1", "")
        for share, label, target in ((0.5, "p50", "<= 1.3 x"), (0.99, "p99", "")):
            floors, figures = alternate(
                lambda share=share: first_bytes(bare, share), lambda share=share: first_bytes(ours, share)
            )
            yield Row(
                f"first byte, {label}", "ms", figures, floors, "bare uvicorn + httpcore2, no rules", target
            )
        straight: list[list[float]] = []
        through: list[list[float]] = []
        for _ in range(RUNS):
            # A stream ends with its connection, so each stream needs a new one.
            for line, runs in (
                (Line(provider.port, "/v1", ""), straight),
                (Line(gateway, "/openai/v1", token), through),
            ):
                runs.append(delays_ms(line))
                line.close()
        for share, label, target in ((0.5, "p50", "<= 0.5 ms"), (0.99, "p99", "<= 2 ms")):
            added = [
                percentile(one, share) - percentile(other, share)
                for one, other in zip(through, straight, strict=True)
            ]
            yield Row(f"added delay of a chunk, {label}", "ms", added, target=target)
        for line in (ours, bare):
            line.close()


def gone_row() -> Iterator[Row]:
    """The time from the caller's close until the provider, in this process, sees its connection closed."""
    closed: list[int] = []
    seen, begun = threading.Event(), threading.Event()

    def provider(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                begun.set()
                while connection.recv(65536):
                    pass
                closed.append(time.perf_counter_ns())
                seen.set()

    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        daemon(0) as (_, nexod),
        nexod.client() as client,
    ):
        threading.Thread(target=provider, args=(listening,), daemon=True).start()
        connect(client, listening.getsockname()[1])
        run = client.gateway.mint()
        took = []
        for _ in range(50):
            seen.clear()
            begun.clear()
            line = Line(run.gateway.port, "/openai/v1", run.secret)
            line.ask("x")
            assert begun.wait(20)
            begin = time.perf_counter_ns()
            line.close()
            assert seen.wait(20)
            took.append((closed[-1] - begin) / 1e6)
        listening.shutdown(socket.SHUT_RDWR)
    yield Row("caller gone before the first byte -> provider left", "ms", took, target="<= 50 ms")


def held_kb(pid: int, port: int, prefix: str, token: str) -> float:
    """The resident memory for each open, silent stream."""
    before = rss_mb(pid)
    lines = [Line(port, prefix, token) for _ in range(HELD)]
    for line in lines:
        line.ask("hold")
    for line in lines:
        line.socket.recv(65536)
    each = (rss_mb(pid) - before) * 1000 / HELD
    for line in lines:
        line.close()
    return each


def memory_row() -> Iterator[Row]:
    with three() as (nexod, _, gateway, floor, _, token):
        # Only once for each, because a second run would use the memory of the first again.
        first_bytes(Line(gateway, "/openai/v1", token))
        first_bytes(Line(floor.port, "/v1", ""))
        floors = held_kb(floor.pid, floor.port, "/v1", "")
        ours = held_kb(nexod.pid, gateway, "/openai/v1", token)
    what = f"memory of an open stream, {HELD} at once"
    yield Row(what, "kB", [ours], [floors], "bare uvicorn + httpcore2", "<= 20 kB")


def resolves_ms(client: nexo_client.Client, count: int = 1500) -> float:
    """The 99th percentile of `resolve()`."""
    figures = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        client.resolve()
        figures.append((time.perf_counter_ns() - begin) / 1e6)
    return percentile(figures, 0.99)


CALLERS = """
import selectors, sys, threading
sys.path.insert(0, sys.argv[1])
from bench_gateway import Line
kind, port, token, count, prefix = sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6]
lines = [Line(port, prefix, token) for _ in range(count)]
def closed_loop(line):
    while True:
        line.first_byte_ms()
def streams():
    selector = selectors.DefaultSelector()
    for line in lines:
        line.ask("stream")
        selector.register(line.socket, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            key.fileobj.recv(65536)
for target in [streams] if kind == "stream" else [lambda line=line: closed_loop(line) for line in lines]:
    threading.Thread(target=target, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def callers(kind: str, port: int, token: str, count: int, prefix: str = "/openai/v1") -> Iterator[None]:
    """Programs that use a gateway all the time, in a separate process."""
    words = [sys.executable, "-c", CALLERS, str(HERE), kind, str(port), token, str(count), prefix]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        time.sleep(SETTLES_S)
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(frozen=True)
class Beside:
    """A load, and the targets for `resolve()` under it, each relative to the floor that it names."""

    kind: str
    count: int
    what: str
    to_nothing: str = ""
    to_elsewhere: str = ""


LOADS = (
    # With caller, provider and readers of the streams on two cores, a gateway in a separate process slows
    # resolve() down as well, so it is the floor.
    Beside("stream", 5, "5 streams of 200 chunks a second", to_elsewhere="<= 1.3 x"),
    Beside("loop", 8, "8 callers in a closed loop", to_nothing="<= 3 x"),
)


def resolve_rows() -> Iterator[Row]:
    with three() as (_, client, gateway, floor, _, token):
        for load in LOADS:

            def beside(load: Beside = load) -> float:
                with callers(load.kind, gateway, token, load.count):
                    return resolves_ms(client)

            def elsewhere(load: Beside = load) -> float:
                with callers(load.kind, floor.port, "", load.count, "/v1"):
                    return resolves_ms(client)

            what = f"resolve(), p99, beside {load.what}"
            floors, ours = alternate(lambda: resolves_ms(client), beside)
            yield Row(what, "ms", ours, floors, "beside nothing", load.to_nothing)
            # The daemon is idle then, so any delay is due to the processors.
            same, ours = alternate(elsewhere, beside)
            name = "beside as many at the bare gateway, in another process"
            yield Row(
                f"{what}, to bare libraries in a process of their own",
                "ms",
                ours,
                same,
                name,
                load.to_elsewhere,
            )


def idle_rows() -> Iterator[Row]:
    """The cost of an open gateway without requests."""
    with daemon(10) as (_, nexod), nexod.client() as client:
        client.resolve(connection="work-0")
        memory, closed, opened = list[float](), list[float](), list[float]()
        for _ in range(3):
            for on, woken in ((False, closed), (True, opened)):
                client.gateway.switch(on)
                time.sleep(1.0)
                memory.append(rss_mb(nexod.pid))
                before = wake_ups(nexod.pid)
                time.sleep(RESTS_S)
                woken.append((wake_ups(nexod.pid) - before) / RESTS_S)
    yield Row("an open gateway at rest: memory", "MB", [memory[1] - memory[0]], target="<= 3 MB")
    yield Row("an open gateway at rest: wake-ups", "/s", opened, closed, "closed", "no more")


if __name__ == "__main__":
    report("gateway", chain(request_rows(), gone_row(), memory_row(), resolve_rows(), idle_rows()))
