"""An invalid value in any column costs only its own row, and never the start, a list, or the upkeep."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from nexo.connections.errors import NexoError, SecretTampered
from nexo.connections.terms import HealthState, Outcome, StoreState
from nexo_daemon.domain.model import (
    Binding,
    ClientInfo,
    HandoutRecord,
    Health,
    Sample,
    Transition,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.domain.url import is_normal, origin
from nexo_daemon.registry.upkeep import steadily
from nexo_daemon.store import maintenance, schema
from nexo_daemon.store.files import StoreUnusable
from store_parts import NOON, HandClock, StorePlace, put
from unit.store.test_sealed_places import forge

HISTORY = {"health", "samples", "transitions", "handouts"}
# Each is of another kind, beyond what its kind can be, or no word of ours.
WRONG = ("'oj'", "1e300", "9e999", "-1", "x'ff'", "9223372036854775807")
PLACES = [
    (table.name, column.name)
    for table in schema.metadata.sorted_tables
    for column in table.c
    if table.name != "alembic_version" and column.name not in ("id", "digest")
]


def fill(place: StorePlace) -> None:
    """A row in every table."""
    store = place.open()
    put(store, 1, 2)
    old = NOON - timedelta(days=2)
    with store.transaction() as tx:
        tx.put_binding(Binding(WorkspaceKey(WorkspaceKind.PATH, "/work"), "id-2", "Work 2", NOON))
        tx.set_fallback(("id-2",))
    store.record_health(
        [Sample("id-1", old, Outcome.OK), Sample("id-1", old + timedelta(seconds=1), Outcome.OK)],
        [Transition("id-1", NOON, HealthState.UNKNOWN, HealthState.HEALTHY, "ok")],
        {"id-1": Health(HealthState.HEALTHY, "ok", NOON)},
    )
    store.record_handouts([(HandoutRecord(NOON, "id-1", "Work 1", "ResolveConnection", ClientInfo()), None)])
    store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> StorePlace:
    """The same for many tests, which copy it."""
    place = StorePlace(tmp_path_factory.mktemp("filled"), HandClock())
    fill(place)
    return place


def spoil(place: StorePlace, table: str, column: str, wrong: str) -> bool:
    """Put the word into one row; False if SQLite itself refuses it."""
    with closing(sqlite3.connect(place.file, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        try:
            db.execute(
                f"UPDATE {table} SET {column}={wrong} WHERE rowid=(SELECT min(rowid) FROM {table})"  # noqa: S608
            )
        except sqlite3.IntegrityError:
            return False
    if table == "connections":
        # A value of another kind has no digest; the row is refused before it is asked for.
        with suppress(TypeError, OverflowError):
            forge(place)
    return True


def live_a_day(place: StorePlace) -> None:
    """What a daemon does with its store, without a surprise: errors of ours only."""
    try:
        store = place.open()
    except StoreUnusable:
        return
    try:
        for one in store.load().connections:
            origin(one.base_url)
            try:
                store.unseal(one)
            except NexoError:
                continue
            assert is_normal(one.base_url, one.network.proxy_url)
        maintenance.check(store)
        store.history("id-1", NOON - timedelta(days=9), NOON)
        store.handouts(None, 10)
        try:
            store.upkeep(NOON)
        except NexoError:
            assert store.state is StoreState.READ_ONLY
    finally:
        store.close()


@pytest.mark.parametrize(("table", "column"), PLACES)
def test_one_wrong_word_costs_its_own_row(
    table: str, column: str, filled: StorePlace, tmp_path: Path
) -> None:
    for number, wrong in enumerate(WRONG):
        place = StorePlace(tmp_path / str(number), HandClock())
        shutil.copytree(filled.root, place.root)
        if spoil(place, table, column, wrong):
            live_a_day(place)


@pytest.mark.parametrize(
    ("table", "column"),
    [("samples", "outcome"), ("transitions", "to_state"), ("handouts", "source"), ("health", "state")],
)
def test_an_unknown_word_of_the_past_is_reported_and_kept(place: StorePlace, table: str, column: str) -> None:
    fill(place)
    spoil(place, table, column, "'oj'")
    store = place.open()
    assert store.state is StoreState.READ_WRITE
    store.upkeep(NOON)
    assert any(table in problem for problem in maintenance.check(store).problems)
    with store.database.reading() as db:
        found = db.execute(f"SELECT count(*) FROM {table} WHERE {column}='oj'").fetchone()  # noqa: S608
    assert found == (1,)
    store.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:43923\\@api1.example.com/v1",
        "https://x@api1.example.com/v1",
        "https://evil.example%2f@api1.example.com/v1",
        "https://api1.example.com/v1?a=b",
        "https://api1.example.com/v1#x",
        "https://api1.example.com/v1/",
        "https://API1.example.com/v1",
        "https://api1.example.com:443/v1",
        "\thttps://api1.example.com/v1",
        "https://api1.example.com/\x1bv1",
        "http://[::1",
        "http://api1.example.com:80:80",
        "",
    ],
)
def test_an_address_that_is_not_as_we_store_it_gets_no_key(place: StorePlace, address: str) -> None:
    fill(place)
    with closing(sqlite3.connect(place.file, isolation_level=None)) as db:
        db.execute("UPDATE connections SET base_url=? WHERE id='id-1'", (address,))
    forge(place)
    store = place.open()
    (one,) = (c for c in store.load().connections if c.id == "id-1")
    origin(one.base_url)
    with pytest.raises(SecretTampered):
        store.unseal(one)
    assert any("Work 1" in problem for problem in maintenance.check(store).problems)
    store.close()


@pytest.mark.parametrize(
    "name",
    [
        "connections-20261301T000000Z-daily.db",
        "connections-00000000T000000Z-daily.db",
        "connections-20260230T250000Z-9-request.db",
    ],
)
def test_an_odd_name_among_the_backups_is_nobodys(place: StorePlace, name: str) -> None:
    fill(place)
    store = place.open()
    store.backups.directory.mkdir(mode=0o700, exist_ok=True)
    (store.backups.directory / name).write_bytes(b"")
    store.upkeep(NOON)
    assert [one.reason for one in store.backups.list()] == ["daily"]
    assert (store.backups.directory / name).exists()
    store.close()


def test_a_surprise_in_a_task_costs_a_round_and_not_the_daemon() -> None:
    rounds: Iterator[int] = iter(range(5))

    async def work() -> None:
        if next(rounds) < 3:
            raise RuntimeError("nobody expected this")
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(steadily("upkeep", work, HandClock()))
    assert next(rounds) == 4
