"""A store that cannot be trusted is served read-only or refused, and its bytes stay as they are."""

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nexo.connections.errors import StoreReadOnly
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.model import Binding, Credentials, WorkspaceKey, WorkspaceKind
from nexo_daemon.store import maintenance
from nexo_daemon.store.files import StoreUnusable
from store_parts import CANARY, NOON, StorePlace, connection, put


@pytest.fixture
def used(place: StorePlace) -> StorePlace:
    """A store with content, closed."""
    store = place.open()
    put(store, 1, 2)
    with store.transaction() as tx:
        tx.put_binding(Binding(WorkspaceKey(WorkspaceKind.NAME, "w"), "id-2", "Work 2", NOON))
    store.close()
    return place


def no_bytes(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_bytes(b"This is somebody's diary.\n" * 40)


def foreign_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE diary (day TEXT)")
        db.commit()
    path.chmod(0o600)


def first_page_gone(path: Path) -> None:
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


@pytest.mark.parametrize("spoil", [no_bytes, text, foreign_database, first_page_gone])
def test_what_is_not_a_store_is_left_alone_and_nothing_can_be_changed(
    used: StorePlace, spoil: Callable[[Path], None]
) -> None:
    spoil(used.file)
    before = used.bytes()
    store = used.open()
    assert store.state is StoreState.READ_ONLY
    assert str(used.file) in store.problem
    assert "nexoctl store restore" in store.problem
    assert store.load().connections == ()
    with pytest.raises(StoreReadOnly), store.transaction() as tx:
        tx.insert_connection(connection(9), _none())
    store.close()
    assert used.bytes() == before


def _none() -> Credentials:
    return Credentials()


def test_a_damaged_table_leaves_the_rest_readable(used: StorePlace) -> None:
    with closing(sqlite3.connect(used.file)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name='health'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with used.file.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    before = used.bytes()
    store = used.open()
    assert store.state is StoreState.READ_ONLY
    assert "damaged" in store.problem
    assert [c.name for c in store.load().connections] == ["Work 1", "Work 2"]
    assert store.unseal(store.load().connections[0]).api_key is not None
    store.close()
    assert used.bytes() == before


def test_lost_bindings_take_the_default_with_them(used: StorePlace) -> None:
    """Else a workspace whose override is unreadable would silently get another account."""
    with closing(sqlite3.connect(used.file)) as db:
        db.execute("UPDATE bindings SET value='x'")
        db.commit()
    store = used.open()
    state = store.load()
    assert (state.bindings, state.settings.default_id) == ((), None)
    assert len(state.connections) == 2
    store.close()


def test_a_newer_schema_is_refused_and_nothing_is_changed(used: StorePlace) -> None:
    with closing(sqlite3.connect(used.file)) as db:
        db.execute("UPDATE alembic_version SET version_num='9999'")
        db.commit()
    before = used.bytes()
    with pytest.raises(StoreUnusable, match="newer version") as caught:
        used.open()
    assert "9999" in caught.value.message
    assert used.bytes()["connections.db"] == before["connections.db"]


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
@pytest.mark.parametrize("which", ["connections.db", "."])
def test_a_mode_that_lets_others_in_is_refused_and_the_mend_is_named(
    used: StorePlace, which: str, mode: int
) -> None:
    path = used.file.parent / which
    path.chmod(mode | (stat.S_IXUSR if path.is_dir() else 0))
    with pytest.raises(StoreUnusable) as caught:
        used.open()
    assert caught.value.hint.startswith("chmod ")
    assert str(path) in caught.value.hint


def test_a_link_in_the_place_of_the_file_is_refused(used: StorePlace, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.db"
    used.file.rename(moved)
    used.file.symlink_to(moved)
    with pytest.raises(StoreUnusable, match="not a regular file"):
        used.open()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_another_user_is_refused(used: StorePlace) -> None:
    os.chown(used.file, 12345, 12345)
    with pytest.raises(StoreUnusable, match="belongs to user 12345"):
        used.open()


def test_a_read_only_file_is_served_read_only(used: StorePlace) -> None:
    used.file.chmod(0o400)
    before = used.bytes()
    store = used.open()
    assert store.state is StoreState.READ_ONLY
    assert "read-only" in store.problem
    assert store.vault.state is VaultState.UNLOCKED
    assert [c.name for c in store.load().connections] == ["Work 1", "Work 2"]
    assert store.unseal(store.load().connections[0]).api_key is not None
    with pytest.raises(StoreReadOnly), store.transaction() as tx:
        tx.next_revision()
    # It is sound, so a copy of it is worth having.
    assert maintenance.backup(store, used.clock).size > 0
    store.close()
    assert used.bytes() == before


def test_a_read_only_store_with_a_log_shows_what_was_committed_last(place: StorePlace) -> None:
    store = place.open()
    put(store, 1)
    copy = place.root / "copy"
    shutil.copytree(place.file.parent, copy / "data", copy_function=shutil.copy2)
    store.close()
    frozen = StorePlace(copy, place.clock)
    shutil.copytree(place.key_file.parent, copy / "config")
    (copy / "data").chmod(0o700)
    frozen.file.chmod(0o400)
    before = frozen.bytes()
    assert before["connections.db-wal"]
    reopened = frozen.open()
    assert [c.name for c in reopened.load().connections] == ["Work 1"]
    reopened.close()
    assert frozen.bytes() == before


def test_the_private_copy_goes_away(
    used: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    # 2**22 is the largest process id that Linux ever gives (proc(5)).
    (temporary / "nexo-read-only-4194305-killed").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    used.file.chmod(0o400)
    store = used.open()
    (copy,) = temporary.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in copy.iterdir()} == {0o600}
    store.close()
    assert list(temporary.iterdir()) == []


def test_a_missing_key_file_is_key_lost_and_no_new_key_is_made(used: StorePlace) -> None:
    used.key_file.unlink()
    for _ in range(2):
        store = used.open()
        assert store.vault.state is VaultState.KEY_LOST
        assert str(used.key_file) in store.vault.problem
        assert not used.key_file.exists()
        assert store.state is StoreState.READ_WRITE
        store.close()


def test_another_stores_key_file_is_key_lost(used: StorePlace, tmp_path: Path) -> None:
    other = StorePlace(tmp_path / "other", used.clock)
    other.open().close()
    shutil.copy(other.key_file, used.key_file)
    before = used.key_file.read_bytes()
    store = used.open()
    assert store.vault.state is VaultState.KEY_LOST
    store.close()
    assert used.key_file.read_bytes() == before


def test_a_wrong_key_in_the_right_line_is_tampered(used: StorePlace) -> None:
    title, line = used.key_file.read_text().splitlines()
    slot = line.split()[0]
    used.key_file.write_text(f"{title}\n{slot} {'A' * 43}=\n")
    store = used.open()
    assert store.vault.state is VaultState.TAMPERED
    store.close()


def test_two_stores_share_a_key_file_without_harm(place: StorePlace, tmp_path: Path) -> None:
    first, second = place.open(), None
    try:
        from nexo_daemon.store.store import Store

        second = Store.open(
            tmp_path / "second" / "c.db",
            key_file=place.key_file,
            clock=place.clock,
            context=place.context,
        )
        put(first, 1)
        put(second, 1)
        assert second.vault.data_key() != first.vault.data_key()
    finally:
        first.close()
        if second is not None:
            second.close()
    again = place.open()
    key = again.unseal(again.load().connections[0]).api_key
    assert key is not None
    assert key.reveal() == f"{CANARY}-1"
    again.close()


def test_a_start_that_was_cut_short_leaves_nothing_that_is_taken_for_a_store(place: StorePlace) -> None:
    place.file.parent.mkdir(parents=True, mode=0o700)
    (place.file.parent / ".connections.db.0123456789abcdef").write_bytes(b"SQLite format 3\0 half")
    store = place.open()
    assert store.state is StoreState.READ_WRITE
    store.close()


def test_a_file_system_without_links_will_do(place: StorePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    store = place.open()
    assert store.state is StoreState.READ_WRITE
    assert [path.name for path in place.file.parent.glob(".*")] == []
    store.close()


def test_an_unwritable_place_is_refused_with_a_way_out(place: StorePlace) -> None:
    place.root.joinpath("data").write_text("a file where the directory should be")
    with pytest.raises(StoreUnusable) as caught:
        place.open()
    assert caught.value.hint


def test_a_store_that_another_program_holds_is_not_called_damaged(used: StorePlace) -> None:
    with closing(sqlite3.connect(used.file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnusable, match="another program"):
            used.open()
    store = used.open()
    assert store.state is StoreState.READ_WRITE
    store.close()
