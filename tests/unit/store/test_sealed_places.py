"""A row that was edited behind the daemon's back cannot send a key to another place."""

import sqlite3
from contextlib import closing

import pytest

from nexo.connections.errors import NexoError, SecretTampered
from nexo.connections.terms import StoreState
from nexo_daemon.domain.model import Credentials, StoredState
from nexo_daemon.store import maintenance, rows, tables
from store_parts import CANARY, StorePlace, connection, put


def forge(place: StorePlace, *statements: str) -> None:
    """Edit the file as somebody with sqlite3 and our source code would, digests included."""
    with closing(sqlite3.connect(place.file, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            db.execute(statement)
        for values in list(tables.select(db, tables.connections)):
            db.execute("UPDATE connections SET digest=? WHERE id=?", (rows.digest(values), values["id"]))


def outcome(place: StorePlace) -> tuple[StoredState, dict[str, str]]:
    """What the store hands out for each connection, or the reason why not."""
    store = place.open()
    state = store.load()
    found = {}
    for one in state.connections:
        try:
            key = store.unseal(one).api_key
            found[one.id] = key.reveal() if key else ""
        except NexoError as error:
            found[one.id] = str(error.reason)
    store.close()
    return state, found


@pytest.fixture
def two(place: StorePlace) -> StorePlace:
    store = place.open()
    put(store, 1, 2)
    store.close()
    return place


GOOD = {"id-1": f"{CANARY}-1", "id-2": f"{CANARY}-2"}


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("UPDATE connections SET base_url='https://evil.example.com/v1' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET base_url='http://api1.example.com/v1' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET base_url='https://api1.example.com:444/v1' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET proxy='url', proxy_url='http://evil:1' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET ca_bundle='/tmp/evil.pem' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET no_proxy='[\"*\"]' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET base_url='https://api1.example.com/other' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET base_url='https://api1.example.com' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET auth_scheme='x_api_key' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET auth_scheme='none' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET provider='anthropic' WHERE id='id-1'", {"id-1"}),
        ("UPDATE connections SET preset='groq' WHERE id='id-1'", {"id-1"}),
        # Nor is a new seal taken for one of the first form, which said less.
        ("UPDATE secrets SET form=1 WHERE connection_id='id-1'", {"id-1"}),
        ("UPDATE secrets SET form=3 WHERE connection_id='id-1'", {"id-1"}),
        ("UPDATE secrets SET connection_id='id-2', position=position+9 WHERE connection_id='id-1'", {"id-2"}),
        ("UPDATE secrets SET name='X-Evil' WHERE name='X-Team' AND connection_id='id-1'", {"id-1"}),
        ("UPDATE secrets SET kind='api_key' WHERE name='X-Other' AND connection_id='id-1'", {"id-1"}),
        ("UPDATE secrets SET ciphertext=zeroblob(40) WHERE connection_id='id-1'", {"id-1"}),
        # A key in the clear, in the place of a sealed one, is not taken for one.
        (
            "UPDATE secrets SET ciphertext=CAST('sk-clear' AS BLOB) WHERE connection_id='id-1'",
            {"id-1"},
        ),
        ("UPDATE secrets SET nonce=zeroblob(12) WHERE connection_id='id-1'", {"id-1"}),
        ("UPDATE secrets SET nonce=x'' WHERE connection_id='id-1'", {"id-1"}),
    ],
)
def test_an_edited_row_gives_up_no_key(two: StorePlace, edit: str, broken: set[str]) -> None:
    forge(two, edit)
    _, found = outcome(two)
    for connection_id, result in found.items():
        if connection_id in broken:
            assert result == SecretTampered.reason
        else:
            assert result in (GOOD[connection_id], "")


def test_every_column_that_decides_where_a_key_goes_is_tried_above() -> None:
    """A column more, and this says that the seal and the cases above have to know it."""
    said = {"id", "name", "name_folded", "default_model", "model_map", "enabled", "key_reference"}
    said |= {"revision", "digest"}
    said |= {"created_at", "updated_at"}
    names = {column.name for column in tables.connections.columns}
    said |= {name for name in names if name.startswith(("key_", "previous_", "check"))}
    assert names - said == set(rows.ENDPOINT)


@pytest.fixture
def referring(place: StorePlace) -> StorePlace:
    """A connection whose key is kept elsewhere, and one that has its own."""
    store = place.open()
    with store.transaction() as tx:
        made = connection(1, revision=tx.next_revision(), key_reference="file:/home/me/key")
        tx.insert_connection(made, Credentials())
    put(store, 2)
    store.close()
    return place


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("UPDATE connections SET base_url='https://evil.example.com/v1' WHERE id='id-1'", "id-1"),
        ("UPDATE connections SET proxy='url', proxy_url='http://evil:1' WHERE id='id-1'", "id-1"),
        ("UPDATE connections SET key_reference='command:evil' WHERE id='id-1'", "id-1"),
        ("UPDATE connections SET key_reference='file:/home/me/.ssh/id_rsa' WHERE id='id-1'", "id-1"),
        ("DELETE FROM secrets WHERE connection_id='id-1'", "id-1"),
        ("UPDATE connections SET key_reference='command:evil' WHERE id='id-2'", "id-2"),
        ("UPDATE secrets SET connection_id='id-2', position=9 WHERE connection_id='id-1'", "id-2"),
    ],
)
def test_an_edited_row_looks_no_reference_up(referring: StorePlace, edit: str, broken: str) -> None:
    assert outcome(referring)[1] == {"id-1": "", "id-2": f"{CANARY}-2"}
    store = referring.open()
    # A reference is sealed and is no secret.
    assert (
        maintenance.check(store).secrets
        == next(c for c in store.load().connections if c.id == "id-2").secrets
        == 3
    )
    store.close()
    forge(referring, edit)
    assert outcome(referring)[1][broken] == SecretTampered.reason
    store = referring.open()
    (problem,) = (one for one in maintenance.check(store).problems if f"Work {broken[3:]}" in one)
    assert "does not open" in problem
    store.close()


def test_swapped_blobs_open_nowhere(two: StorePlace) -> None:
    forge(
        two,
        "CREATE TEMP TABLE t AS SELECT * FROM secrets",
        "UPDATE secrets SET (nonce, ciphertext) = (SELECT nonce, ciphertext FROM t WHERE t.kind=secrets.kind "
        "AND t.position=secrets.position AND t.connection_id<>secrets.connection_id)",
    )
    assert set(outcome(two)[1].values()) == {SecretTampered.reason}


def test_a_whole_row_under_another_connections_id_does_not_open(two: StorePlace) -> None:
    forge(
        two,
        "UPDATE connections SET id='tmp' WHERE id='id-1'",
        "UPDATE connections SET id='id-1' WHERE id='id-2'",
        "UPDATE connections SET id='id-2' WHERE id='tmp'",
    )
    assert set(outcome(two)[1].values()) == {SecretTampered.reason}


@pytest.mark.parametrize(
    "flip",
    [
        "UPDATE connections SET default_model='model-b' WHERE id='id-1'",
        "UPDATE connections SET name='Work 8' WHERE id='id-1'",
        "UPDATE connections SET model_map='[[\"a\", \"b\"]]' WHERE id='id-1'",
        "UPDATE settings SET default_id='id-2'",
        "UPDATE settings SET revision=0",
    ],
)
def test_flipped_bits_that_sqlite_does_not_notice_are_noticed(two: StorePlace, flip: str) -> None:
    with closing(sqlite3.connect(two.file, isolation_level=None)) as db:
        db.execute(flip)
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    before = two.file.read_bytes()
    store = two.open()
    assert store.state is StoreState.READ_ONLY
    assert "damaged" in store.problem
    assert store.load().settings.default_id is None
    store.close()
    assert two.file.read_bytes() == before
