"""kill -9 at random moments while several programs change things through the real API.

NEXO_KILLS chooses how often (default: a handful; 500 before a release).
"""

import itertools
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

import nexo_client
from nexo.connections.terms import Provider
from nexo_client.types import ConnectionDraft, Workspace
from surroundings import PATIENCE_S, Nexod, Surroundings

KILLS = int(os.environ.get("NEXO_KILLS", "8"))
WRITERS = 3
ANCHOR = "anchor"
"""Is never removed, so that there is a default at every moment."""


class Book:
    """What the daemon acknowledged; the truth that a restart must show."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.names: set[str] = set()
        self.removed: set[str] = set()
        self.pending: set[str] = set()
        self.bound: dict[str, str] = {}
        self.revision = 0


def key_of(name: str) -> str:
    return f"sk-only-for-{name}"


def write(
    daemon: Nexod, book: Book, numbers: "itertools.count[int]", seed: int, committed: Callable[[], None]
) -> None:
    """Create, bind, switch and remove until the daemon is gone."""
    chance = random.Random(seed)
    try:
        with daemon.client() as client:
            while True:
                name = f"c{next(numbers)}"
                with book.lock:
                    book.pending.add(name)
                client.create_connection(
                    ConnectionDraft(
                        name=name,
                        provider=Provider.CUSTOM,
                        base_url="http://127.0.0.1:9/v1",
                        api_key=key_of(name),
                        checks_paused=True,
                    )
                )
                with book.lock:
                    book.names.add(name)
                    book.pending.discard(name)
                committed()
                workspace = Workspace(name=f"w-{name}")
                client.bind(workspace, name)
                with book.lock:
                    book.bound[f"w-{name}"] = name
                switched = client.set_default(name)
                with book.lock:
                    book.revision = max(book.revision, switched.revision)
                committed()
                if chance.random() < 0.3:
                    with book.lock:
                        book.pending.add(name)
                    client.unbind(workspace)
                    # The default, if it is this one, goes to the anchor.
                    client.delete_connection(name, replace_with=ANCHOR)
                    with book.lock:
                        book.names.discard(name)
                        book.removed.add(name)
                        book.bound.pop(f"w-{name}", None)
                        book.pending.discard(name)
                    committed()
    except nexo_client.NexoError:
        # Killed. What was under way may or may not have happened.
        return


def compare(daemon: Nexod, book: Book) -> None:
    """Nothing acknowledged is missing, nothing removed is back, and each key is its own."""
    with daemon.client() as client:
        connections = client.list_connections()
        found = {one.name for one in connections}
        assert book.names - book.pending <= found
        assert not book.removed & found
        assert found <= book.names | book.pending
        assert sum(one.is_default for one in connections) == 1
        status = client.status()
        assert status.revision >= book.revision
        bindings = {b.workspace.name: b.connection for b in client.list_workspaces()[0]}
        for workspace, name in book.bound.items():
            if name not in book.pending:
                assert bindings[workspace] == name
        for name in sorted(found - {ANCHOR})[-10:]:
            assert client.resolve(name).api_key == key_of(name)
        # From here on, what was found is what is known.
        book.names, book.pending = found, set()
        book.removed = set()
        book.bound = {w: n for w, n in bindings.items() if w and n in found}


def test_no_acknowledged_change_is_lost(surroundings: Surroundings) -> None:
    book = Book()
    numbers = itertools.count(1)
    chance = random.Random(20261123)
    changes = 0
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        client.create_connection(ConnectionDraft(name=ANCHOR, provider=Provider.OLLAMA, checks_paused=True))
    book.names.add(ANCHOR)
    daemon.kill()
    for round_ in range(KILLS):
        daemon = surroundings.start_nexod()
        compare(daemon, book)
        enough = threading.Event()
        goal = chance.randrange(1, 12)
        seen = itertools.count(1)

        def committed(
            seen: "itertools.count[int]" = seen, goal: int = goal, enough: threading.Event = enough
        ) -> None:
            nonlocal changes
            changes += 1
            if next(seen) >= goal:
                enough.set()

        writers = [
            threading.Thread(target=write, args=(daemon, book, numbers, 100 * round_ + n, committed))
            for n in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        assert enough.wait(PATIENCE_S)
        daemon.kill()
        for writer in writers:
            writer.join(PATIENCE_S)
            assert not writer.is_alive()
        with closing(sqlite3.connect(surroundings.data_dir / "connections.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            assert db.execute("SELECT count(*) FROM settings").fetchone() == (1,)
    daemon = surroundings.start_nexod()
    compare(daemon, book)
    print(f"{KILLS} kills, {changes} acknowledged changes, 0 lost, {len(book.names)} connections")
    assert surroundings.nexoctl("store", "check").code == 0
    assert daemon.stop() == 0


@pytest.mark.parametrize("way", ["resolve", "reveal", "follow"])
def test_a_hand_out_leaves_a_record_though_the_daemon_is_killed_with_it(
    surroundings: Surroundings, way: str
) -> None:
    nexod = surroundings.start_nexod()
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name="work", provider="custom", base_url="http://127.0.0.1:9/v1", api_key="k")
        )
    for number in range(4):
        place = Workspace(name=f"place-{number}")
        with nexod.client() as client:
            if way == "resolve":
                assert client.resolve(workspace=place).api_key == "k"
            elif way == "reveal":
                assert client.reveal("work").api_key == "k"
            else:
                assert client.follow(workspace=place).current.api_key == "k"
            os.kill(nexod.pid, signal.SIGKILL)
        nexod.process.wait()
        nexod = surroundings.start_nexod()
        with nexod.client() as client:
            record = client.handouts()
        assert any(one.workspace == ("" if way == "reveal" else place.name) for one in record)
