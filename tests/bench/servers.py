"""Starts the two servers of a comparison as separate processes: the real daemon and the floor."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nexo_client
from surroundings import Nexod, Surroundings

HERE = Path(__file__).resolve().parent

# As for an installed program, bytecode is cached; otherwise each start would compile all our modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@contextmanager
def floor(before: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A floor server; gives its socket and process.

    Args:
        before: Python code that it runs first.
    """
    serve = f"import runpy; runpy.run_path({str(HERE / 'floor_server.py')!r}, run_name='__main__')"
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/floor.sock"
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{serve}", socket], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield socket, process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def endpoints() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "endpoints.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def host(number: int, *, hangs: bool = False) -> str:
    return f"127.{9 if hangs else 1}.{number // 200}.{number % 200 + 1}"


@contextmanager
def daemon(connections: int, *, checked_at: int = 0) -> Iterator[tuple[Surroundings, Nexod]]:
    """A real daemon with that many connections.

    Args:
        checked_at: port of the `endpoints`, with one host for each connection; 0 pauses the checks and uses a
            closed port.
    """
    with Surroundings() as surroundings:
        # Started as by a person, because a fork of the tests' process has its memory, too.
        surroundings.forks = False
        nexod = surroundings.start_nexod()
        with nexod.client() as client:
            if not checked_at:
                client.update_health_settings(paused=True)
            for number in range(connections):
                client.create_connection(
                    nexo_client.ConnectionDraft(
                        name=f"work-{number}",
                        provider="custom",
                        base_url=f"http://{host(number)}:{checked_at}/v1"
                        if checked_at
                        else "http://127.0.0.1:1/v1",
                        api_key="sk-" + "0" * 45,
                    )
                )
        yield surroundings, nexod


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB (proc(5), statm)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """CPU time that a process has used (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wake_ups(pid: int) -> int:
    """Voluntary context switches of all threads of a process: how often it woke."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total
