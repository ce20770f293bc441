"""Random corruption: never a crash, never a wrong secret, never an overwrite of what could not be read."""

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nexo.connections.errors import NexoError
from nexo.connections.terms import StoreState
from nexo_daemon.domain.model import Binding, WorkspaceKey, WorkspaceKind
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Store
from store_parts import NOON, HandClock, StorePlace, connection, credentials

ROUNDS = int(os.environ.get("NEXO_CORRUPTIONS", "150"))
KEYS = {f"id-{n}": f"sk-only-for-{n}" for n in range(1, 9)}


def flip_bits(data: bytearray, random_: random.Random) -> None:
    for _ in range(random_.choice((1, 1, 2, 8, 64))):
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)


def overwrite_page(data: bytearray, random_: random.Random) -> None:
    page = random_.randrange(len(data) // 4096) * 4096
    data[page : page + 4096] = random_.randbytes(4096)


def zero_range(data: bytearray, random_: random.Random) -> None:
    start = random_.randrange(len(data))
    end = min(len(data), start + random_.randrange(1, 2000))
    data[start:end] = bytes(end - start)


def swap_pages(data: bytearray, random_: random.Random) -> None:
    one, two = (random_.randrange(len(data) // 4096) * 4096 for _ in range(2))
    data[one : one + 4096], data[two : two + 4096] = data[two : two + 4096], data[one : one + 4096]


def truncate(data: bytearray, random_: random.Random) -> None:
    del data[random_.randrange(len(data)) :]


def copy_within(data: bytearray, random_: random.Random) -> None:
    size = random_.randrange(1, 400)
    source, target = (random_.randrange(len(data) - size) for _ in range(2))
    data[target : target + size] = data[source : source + size]


HARM: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits,
    flip_bits,
    overwrite_page,
    zero_range,
    swap_pages,
    truncate,
    copy_within,
)


def swap_blobs(path: Path, random_: random.Random) -> None:
    """A corruption that SQLite itself finds sound: sealed values exchanged between rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        rows = db.execute("SELECT id, nonce, ciphertext FROM secrets").fetchall()
        one, two = random_.sample(rows, 2)
        for row, other in ((one, two), (two, one)):
            db.execute("UPDATE secrets SET nonce=?, ciphertext=? WHERE id=?", (other[1], other[2], row[0]))
        db.execute("PRAGMA journal_mode=DELETE")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> StorePlace:
    """A store with eight connections, bindings and a default, closed."""
    place = StorePlace(tmp_path_factory.mktemp("original"), HandClock())
    store = place.open()
    with store.transaction() as tx:
        for number in range(1, 9):
            made = connection(number, revision=tx.next_revision())
            tx.insert_connection(made, credentials(KEYS[made.id]))
            key = WorkspaceKey(WorkspaceKind.NAME, f"client-{number}")
            tx.put_binding(Binding(key, made.id, made.name, NOON))
        tx.set_default("id-1", None)
    store.close()
    return place


def examine(store: Store) -> Counter[str]:
    """Whatever is left of the store: what it hands out is right or refused. What became of the eight keys."""
    state = store.load()
    keys = Counter({"connection lost": 8 - len(state.connections)})
    for one in state.connections:
        try:
            key = store.unseal(one).api_key
        except NexoError:
            keys["refused"] += 1
            continue
        keys["right" if key else "none"] += 1
        # None is what a connection shows whose secrets are gone; it is never another one's key.
        assert key is None or key.reveal() == KEYS[one.id]
        assert one.base_url == f"https://api{one.id[3:]}.example.com/v1"
    if state.settings.default_id is not None:
        assert state.settings.default_id == "id-1"
    # Every workspace either is still bound as it was, or nothing resolves silently.
    bound = {b.workspace.value: b.connection_id for b in state.bindings}
    assert all(bound[name] == f"id-{name[7:]}" for name in bound)
    if len(bound) < 8:
        assert state.settings.default_id is None
    return keys


def test_random_corruption_never_hands_out_a_wrong_secret(original: StorePlace, tmp_path: Path) -> None:
    clean = original.file.read_bytes()
    seen: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    for seed in range(ROUNDS):
        random_ = random.Random(seed)
        place = StorePlace(tmp_path / str(seed), HandClock())
        place.file.parent.mkdir(parents=True, mode=0o700)
        shutil.copytree(original.key_file.parent, place.key_file.parent)
        data = bytearray(clean)
        if seed % 8 == 7:
            place.file.write_bytes(data)
            swap_blobs(place.file, random_)
        else:
            random_.choice(HARM)(data, random_)
            place.file.write_bytes(bytes(data))
        place.file.chmod(0o600)
        before = place.file.read_bytes()
        for _ in range(2):
            try:
                store = place.open()
            except StoreUnusable:
                assert place.file.read_bytes() == before
                seen["refused"] += 1
                continue
            seen[store.state.value] += 1
            try:
                keys += examine(store)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            store.close()
            if store.state is StoreState.READ_ONLY:
                assert place.file.read_bytes() == before, seed
        shutil.rmtree(place.root)
    print(f"{ROUNDS} corruptions, each opened twice: {dict(seen)}; keys: {dict(keys)}, 0 wrong")
