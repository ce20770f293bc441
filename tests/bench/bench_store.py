"""Measures a durable switch of the default, compared with the same update committed with bare sqlite3."""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import Row, alternate, report

from nexo_daemon.store.store import Store
from store_parts import HandClock, StorePlace, put

COMMITS = 200
CONNECTIONS = 100


def _ours(store: Store) -> float:
    times = []
    for number in range(COMMITS):
        start = time.perf_counter()
        with store.transaction() as tx:
            tx.next_revision()
            tx.set_default(f"id-{1 + number % CONNECTIONS}", "id-1")
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _bare(db: sqlite3.Connection) -> float:
    times = []
    for number in range(COMMITS):
        start = time.perf_counter()
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "UPDATE settings SET default_id=?, revision=revision+1", (f"id-{1 + number % CONNECTIONS}",)
        )
        db.execute("COMMIT")
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _open_ms(place: StorePlace) -> float:
    start = time.perf_counter()
    store = place.open()
    took = (time.perf_counter() - start) * 1000
    store.close()
    return took


def _sqlite_ms(place: StorePlace) -> float:
    start = time.perf_counter()
    with closing(sqlite3.connect(place.file)) as db:
        db.execute("SELECT * FROM connections").fetchall()
    return (time.perf_counter() - start) * 1000


def rows() -> Iterator[Row]:
    """Commit, start, and the opening of secrets."""
    with tempfile.TemporaryDirectory() as directory:
        place = StorePlace(Path(directory) / "ours", HandClock())
        bare_place = StorePlace(Path(directory) / "bare", HandClock())
        for one in (place, bare_place):
            store = one.open()
            put(store, *range(1, CONNECTIONS + 1))
            store.close()
        store = place.open()
        bare = sqlite3.connect(bare_place.file, isolation_level=None)
        bare.execute("PRAGMA synchronous=FULL")
        floors, ours = alternate(lambda: _bare(bare), lambda: _ours(store))
        yield Row("set-default commit", "ms", ours, floors, "sqlite3, the same update")
        connections = store.load().connections

        def unseal() -> float:
            start = time.perf_counter()
            for one in connections:
                store.unseal(one)
            return (time.perf_counter() - start) / len(connections) * 1e6

        unseal()
        yield Row("open the 3 secrets of a connection", "us", [unseal() for _ in range(7)])
        bare.close()
        store.close()
        floors, ours = alternate(lambda: _sqlite_ms(place), lambda: _open_ms(place))
        yield Row(
            f"open and check a store of {CONNECTIONS}", "ms", ours, floors, "sqlite3, read the connections"
        )


if __name__ == "__main__":
    report("store", rows())
