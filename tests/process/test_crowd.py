"""A crowd of followers, a default that is switched from two sides at once, and a daemon that is killed.

In full, 20 processes with 50 followers each and 100 switches: NEXO_TEST_CROWD=full (`make test-crowd`).
Otherwise the same code with fewer of each.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nexo_client import Client
from nexo_client.errors import DaemonNotRunning, DeadlineExceeded, ShuttingDown
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings, wait_for


@dataclass(frozen=True)
class Size:
    processes: int
    followers: int
    switches: int
    patience_s: float = 60.0


SIZE = Size(20, 50, 100, 300.0) if os.environ.get("NEXO_TEST_CROWD") == "full" else Size(4, 10, 12)
FOLLOWER = Path(__file__).parent / "follower.py"
AWAY_EXIT = 3
NAMES = ("one", "two")


@dataclass
class Tally:
    """What both sides have done; the highest revision that was acknowledged."""

    done: int = 0
    acknowledged: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, revision: int) -> None:
        with self.lock:
            self.done += 1
            self.acknowledged = max(self.acknowledged, revision)


def switch_by_client(client: Client, times: int, tally: Tally) -> None:
    """As the tray does it."""
    for number in range(times):
        while True:
            try:
                tally.note(client.set_default(NAMES[number % 2]).revision)
            except (DaemonNotRunning, DeadlineExceeded, ShuttingDown):
                # The daemon was killed under this call: whether it was done is not known.
                threading.Event().wait(0.05)
                continue
            break


def switch_by_nexoctl(surroundings: Surroundings, times: int, tally: Tally) -> None:
    for number in range(times):
        while True:
            done = surroundings.nexoctl("--json", "default", NAMES[(number + 1) % 2], expect=None)
            if done.code == 0:
                tally.note(int(done.json.get("revision", 0)))
                break
            if done.code != AWAY_EXIT:
                tally.failures.append(repr(done))
                return


def start_crowd(surroundings: Surroundings) -> list["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(FOLLOWER), str(SIZE.followers)]
    crowd = [surroundings.spawn(command) for _ in range(SIZE.processes)]
    for process in crowd:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip() == b'"ready"', line + process.stdout.read()
    return crowd


def run_threads(*works: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "daemon killed in the middle"])
def test_every_follower_ends_on_the_same_revision(
    nexod: Nexod, surroundings: Surroundings, killed: bool
) -> None:
    with nexod.client() as client:
        for name in NAMES:
            client.create_connection(
                ConnectionDraft(name=name, provider="custom", base_url="http://127.0.0.1:9/v1", api_key=name)
            )
        crowd = start_crowd(surroundings)
        assert len(client.status().followers) == SIZE.processes

        tally = Tally()
        half = SIZE.switches // 2
        threads = run_threads(
            lambda: switch_by_client(client, SIZE.switches - half, tally),
            lambda: switch_by_nexoctl(surroundings, half, tally),
        )
        if killed:
            wait_for(
                lambda: tally.done >= SIZE.switches // 3 or tally.failures,
                "a third of the switches",
                patience_s=SIZE.patience_s,
            )
            nexod.kill()
            surroundings.start_nexod()
        for thread in threads:
            thread.join(SIZE.patience_s)
        assert not any(thread.is_alive() for thread in threads)
        assert tally.failures == []
        assert tally.done == SIZE.switches

        wait_for(
            lambda: len(client.status().followers) == SIZE.processes,
            "nobody is lost",
            patience_s=SIZE.patience_s,
        )
        last = "two" if client.status().default_connection == "one" else "one"
        final = client.set_default(last, wait_s=SIZE.patience_s)
        assert final.revision > tally.acknowledged
        assert (final.followers, final.pending_followers) == (SIZE.processes, ())

        for process in crowd:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{final.revision}\n".encode())
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            changes = told.pop("fewest_changes")
            assert told == {
                "revisions": [final.revision],
                "connections": [last],
                "stale": 0,
                "out_of_order": 0,
            }
            assert changes > 0
