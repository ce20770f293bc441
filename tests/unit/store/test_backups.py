"""Backups are complete, private and rotated, and can be restored; a failed restore changes nothing."""

import errno
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from nexo.connections.errors import InvalidField, StoreFailed, VaultLocked
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import maintenance, restoring
from nexo_daemon.store.store import Store
from nexo_daemon.vault import derivation
from nexo_daemon.vault.slots import SlotKind
from store_parts import CANARY, StorePlace, put


def names(store: Store) -> list[str]:
    return [one.name for one in store.load().connections]


def key_of(store: Store, number: int = 1) -> str:
    (one,) = (c for c in store.load().connections if c.id == f"id-{number}")
    key = store.unseal(one).api_key
    return key.reveal() if key else ""


def test_a_backup_has_what_lies_in_the_log_only(place: StorePlace, store: Store) -> None:
    put(store, 1, 2)
    made = maintenance.backup(store, place.clock)
    assert (made.reason, made.at) == ("request", place.clock.now())
    with closing(sqlite3.connect(f"file:{made.path}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("SELECT count(*) FROM connections").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in made.path.parent.iterdir()] == [made.name]


def test_a_restore_keeps_a_vault_open_that_a_rekey_opened(place: StorePlace, store: Store) -> None:
    store.key_manager.lock()
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    maintenance.backup(store, place.clock)
    maintenance.restore(store, "", clock=place.clock)
    assert store.vault.state is VaultState.UNLOCKED
    store.key_manager.lock()
    maintenance.restore(store, "", clock=place.clock)
    assert store.vault.state is VaultState.LOCKED


def test_a_daily_backup_is_made_once_a_day_and_a_week_of_them_stays(place: StorePlace, store: Store) -> None:
    for _ in range(30):
        place.clock.turn(timedelta(hours=12))
        store.upkeep(place.clock.now())
    daily = store.backups.list()
    assert len(daily) == 7
    assert {b.reason for b in daily} == {"daily"}
    assert all(a.at - b.at == timedelta(days=1) for a, b in itertools.pairwise(daily))
    assert daily == tuple(sorted(daily, key=lambda b: b.at, reverse=True))


def test_many_backups_within_a_second_keep_the_newest(place: StorePlace, store: Store) -> None:
    made = [maintenance.backup(store, place.clock) for _ in range(25)]
    assert [one.name for one in store.backups.list()] == [one.name for one in reversed(made[-10:])]


def test_a_clock_that_was_set_back_takes_no_new_backup_away(place: StorePlace, store: Store) -> None:
    for _ in range(12):
        place.clock.turn(timedelta(days=1))
        store.upkeep(place.clock.now())
        maintenance.backup(store, place.clock)
    place.clock.turn(timedelta(days=-400))
    made = []
    for _ in range(12):
        place.clock.turn(timedelta(days=1))
        store.upkeep(place.clock.now())
        made.append(maintenance.backup(store, place.clock))
        assert made[-1].path.exists()
    listed = store.backups.list()
    assert {one.path for one in listed if one.reason == "request"} == {one.path for one in made[-10:]}
    assert [one.at for one in listed if one.reason == "daily"] == [one.at for one in reversed(made[-7:])]


def test_a_backup_that_was_cut_short_is_never_listed(place: StorePlace, store: Store) -> None:
    maintenance.backup(store, place.clock)
    (store.backups.directory / ".connections-20260301T120001Z-request.db.part").write_bytes(b"half")
    assert len(store.backups.list()) == 1


def test_a_restore_brings_back_what_was_and_keeps_what_is(place: StorePlace, store: Store) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    put(store, 2)
    with store.transaction() as tx:
        tx.delete_connection("id-1")
        revision = tx.next_revision()
    report, state = maintenance.restore(store, "", clock=place.clock)
    assert (report.connections, report.secrets, report.done) == (1, 3, True)
    assert [c.name for c in state.connections] == ["Work 1"]
    assert key_of(store) == f"{CANARY}-1"
    # A client that compares revisions must not take the old state for the one it has seen.
    assert state.settings.revision > revision
    (aside,) = store.backups.directory.glob("replaced-*")
    with closing(sqlite3.connect(aside / "connections.db")) as db:
        assert db.execute("SELECT name FROM connections").fetchall() == [("Work 2",)]
    put(store, 3)
    store.close()
    again = place.open()
    assert names(again) == ["Work 1", "Work 3"]
    again.close()


def test_a_dry_run_changes_nothing(place: StorePlace, store: Store) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    put(store, 2)
    before = sorted(path.name for path in place.file.parent.rglob("*"))
    report, _ = maintenance.restore(store, "", clock=place.clock, dry_run=True)
    assert not report.done
    store.reload()
    assert names(store) == ["Work 1", "Work 2"]
    assert sorted(path.name for path in place.file.parent.rglob("*")) == before


def test_a_backup_from_before_a_rekey_opens_with_the_slot_of_today(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(derivation._SCRYPT, "n", 1 << 10)
    put(store, 1)
    maintenance.backup(store, place.clock)
    words = Secret("correct horse battery")
    store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=words)
    maintenance.restore(store, "", clock=place.clock)
    # It is not locked by that: programs go on without a person who types the passphrase.
    assert (store.vault.state, store.vault.slot) == (VaultState.UNLOCKED, "passphrase")
    assert key_of(store) == f"{CANARY}-1"
    store.close()
    again = place.open()
    assert again.vault.slot == "passphrase"
    again.key_manager.unlock(passphrase=words)
    assert key_of(again) == f"{CANARY}-1"
    again.close()


def test_a_backup_whose_key_is_gone_is_refused(place: StorePlace, store: Store) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    store.key_manager.rotate()
    store.key_manager.rekey(SlotKind.KEY_FILE)
    with pytest.raises(StoreFailed, match="a key that is not here"):
        maintenance.restore(store, "", clock=place.clock)
    store.reload()
    assert key_of(store) == f"{CANARY}-1"
    put(store, 2)


def test_a_backup_from_before_a_rotation_opens_while_its_slot_is_there(
    place: StorePlace, store: Store
) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    store.key_manager.rotate()
    with store.transaction() as tx:
        revision = tx.next_revision()
    _, state = maintenance.restore(store, "", clock=place.clock)
    assert state.settings.revision > revision
    assert key_of(store) == f"{CANARY}-1"
    put(store, 2)
    store.close()
    again = place.open()
    assert (key_of(again, 1), key_of(again, 2)) == (f"{CANARY}-1", f"{CANARY}-2")
    again.close()


def test_the_newest_is_the_newest_of_the_past(place: StorePlace, store: Store) -> None:
    put(store, 1)
    place.clock.turn(timedelta(days=26_000))
    maintenance.backup(store, place.clock)
    place.clock.turn(timedelta(days=-26_000))
    put(store, 2)
    maintenance.backup(store, place.clock)
    maintenance.restore(store, "", clock=place.clock)
    assert names(store) == ["Work 1", "Work 2"]
    # A clock that lost its battery sees the future only.
    place.clock.turn(timedelta(days=-9_000))
    assert maintenance.restore(store, "", clock=place.clock, dry_run=True)[0].connections == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_locked_vault_proves_no_backup_and_replaces_nothing(
    place: StorePlace, store: Store, dry_run: bool
) -> None:
    put(store, 1)
    made = maintenance.backup(store, place.clock)
    with closing(sqlite3.connect(made.path)) as db:
        db.execute("UPDATE secrets SET ciphertext=zeroblob(length(ciphertext))")
        db.commit()
    store.key_manager.lock()
    # The key file opens the backup's own slot, so that its secrets are tried all the same.
    with pytest.raises(StoreFailed, match="do not open"):
        maintenance.restore(store, "", clock=place.clock, dry_run=dry_run)
    store.key_manager.unlock()
    words = Secret("correct horse battery")
    store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=words)
    maintenance.backup(store, place.clock)
    store.key_manager.lock()
    with pytest.raises(VaultLocked, match="nothing was changed"):
        maintenance.restore(store, "", clock=place.clock, dry_run=dry_run)
    store.key_manager.unlock(passphrase=words)
    store.reload()
    assert key_of(store) == f"{CANARY}-1"


def test_a_restore_needs_no_temporary_directory(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    monkeypatch.setattr(tempfile, "mkdtemp", None)
    maintenance.restore(store, "", clock=place.clock)
    assert key_of(store) == f"{CANARY}-1"


@pytest.mark.parametrize("links", [True, False])
def test_what_a_restore_replaces_is_kept_with_its_log(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(_self: Path, _target: Path) -> None:
            raise OSError(errno.EPERM, "no links on this file system")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    put(store, 1)
    maintenance.backup(store, place.clock)
    put(store, 2)
    store.database.close()
    Path(f"{place.file}-wal").write_bytes(b"a log")
    Path(f"{place.file}-wal").chmod(0o600)
    shutil.copy(place.file, place.root / "before")
    restoring._prepared(place.file).write_bytes(store.backups.list()[0].path.read_bytes())
    restoring.finish(place.file, store.backups.directory, place.clock.now())
    (aside,) = store.backups.directory.glob("replaced-*")
    assert (aside / "connections.db").read_bytes() == (place.root / "before").read_bytes()
    assert (aside / "connections.db-wal").read_bytes() == b"a log"
    assert {path.stat().st_mode & 0o777 for path in aside.iterdir()} == {0o600}
    assert not Path(f"{place.file}-wal").exists()


def test_of_what_restores_replaced_the_last_three_stay(place: StorePlace, store: Store) -> None:
    maintenance.backup(store, place.clock)
    for number in range(1, 6):
        put(store, number)
        place.clock.turn(timedelta(days=-1.5 if number == 5 else 1))
        maintenance.restore(store, store.backups.list()[-1].name, clock=place.clock)
    kept = sorted(store.backups.directory.glob("replaced-*"))
    assert [names_in(aside / "connections.db") for aside in kept] == [["Work 5"], ["Work 3"], ["Work 4"]]


def names_in(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        return [row[0] for row in db.execute("SELECT name FROM connections")]


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to(path.with_name("elsewhere.db"))


@pytest.mark.parametrize("spoil", [garbage, emptied, cut_short, linked])
def test_what_was_prepared_and_damaged_since_does_not_replace_the_store(
    place: StorePlace, store: Store, spoil: Callable[[Path], None]
) -> None:
    put(store, 1)
    made = maintenance.backup(store, place.clock)
    put(store, 2)
    store.close()
    prepared = restoring._prepared(place.file)
    shutil.copy(made.path, prepared)
    prepared.chmod(0o600)
    spoil(prepared)
    again = place.open()
    assert (again.state, len(again.load().connections)) == (StoreState.READ_WRITE, 2)
    again.close()
    assert not os.path.lexists(prepared)
    assert not list(store.backups.directory.glob("replaced-*"))


def test_what_a_killed_daemon_was_preparing_goes_at_the_next_start(place: StorePlace, store: Store) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    store.close()
    data, backups = place.file.parent, store.backups.directory
    left = [
        data / ".connections.db.0123456789abcdef",
        data / ".connections.db.0123456789abcdef-wal",
        backups / ".connections-20260301T120001Z-daily.db.part",
        backups / ".connections-20260301T120001Z-daily.db.part-journal",
    ]
    others = [data / ".connections.db.mine", data / "0123456789abcdef", backups / ".notes.part"]
    for path in (*left, *others):
        path.write_bytes(b"old keys")
    again = place.open()
    assert key_of(again) == f"{CANARY}-1"
    again.close()
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in others)


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5000:9000] = bytes(4000)
    path.write_bytes(bytes(data))


def test_a_damaged_backup_is_refused_and_the_next_one_is_there(place: StorePlace, store: Store) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    place.clock.turn(timedelta(seconds=1))
    newest = maintenance.backup(store, place.clock)
    spoil(newest.path)
    with pytest.raises(StoreFailed, match="nothing was changed"):
        maintenance.restore(store, "", clock=place.clock)
    put(store, 2)
    maintenance.restore(store, store.backups.list()[1].name, clock=place.clock)
    assert names(store) == ["Work 1"]


def test_a_backup_that_somebody_edited_is_refused(place: StorePlace, store: Store) -> None:
    put(store, 1)
    made = maintenance.backup(store, place.clock)
    with closing(sqlite3.connect(made.path, isolation_level=None)) as db:
        db.execute("UPDATE connections SET base_url='https://evil.example/v1'")
    put(store, 2)
    with pytest.raises(StoreFailed, match=r"is damaged.*nothing was changed"):
        maintenance.restore(store, made.name, clock=place.clock)
    store.reload()
    assert names(store) == ["Work 1", "Work 2"]


@pytest.mark.parametrize("name", ["nope.db", "../connections.db", "relative/path.db", "/no/such/file.db"])
def test_what_is_no_backup_is_not_found(store: Store, place: StorePlace, name: str) -> None:
    with pytest.raises(InvalidField) as caught:
        maintenance.restore(store, name, clock=place.clock)
    assert caught.value.hint


def test_a_file_that_is_not_ours_is_not_restored(store: Store, place: StorePlace, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreFailed, match="not a store"):
        maintenance.restore(store, str(path), clock=place.clock)


def test_a_damaged_store_is_mended_by_a_restore_while_the_daemon_runs(place: StorePlace) -> None:
    store = place.open()
    put(store, 1)
    maintenance.backup(store, place.clock)
    store.close()
    place.file.write_bytes(b"\0" * 8192)
    broken = place.open()
    assert broken.state is StoreState.READ_ONLY
    assert maintenance.check(broken).problems
    with pytest.raises(StoreFailed, match="useless"):
        maintenance.backup(broken, place.clock)
    maintenance.restore(broken, "", clock=place.clock)
    assert broken.state is StoreState.READ_WRITE
    assert broken.vault.state is VaultState.UNLOCKED
    assert key_of(broken) == f"{CANARY}-1"
    put(broken, 2)
    (aside,) = broken.backups.directory.glob("replaced-*")
    assert (aside / "connections.db").read_bytes() == b"\0" * 8192
    broken.close()


class CrashError(BaseException):
    """The moment the power goes."""


@pytest.mark.parametrize("step", ["carry_over", "commit", "finish"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_in_a_restore_leaves_the_old_or_the_new_store(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    put(store, 1)
    maintenance.backup(store, place.clock)
    put(store, 2)
    owner = restoring if step == "finish" else restoring.Candidate
    real = getattr(owner, step)

    def crash(*arguments: object) -> object:
        if when == "after":
            real(*arguments)
        raise CrashError

    monkeypatch.setattr(owner, step, crash)
    with pytest.raises(CrashError):
        maintenance.restore(store, "", clock=place.clock)
    monkeypatch.undo()
    store.close()
    again = place.open()
    assert again.state is StoreState.READ_WRITE, again.problem
    assert names(again) in (["Work 1"], ["Work 1", "Work 2"])
    if (step, when) in (("commit", "after"), ("finish", "before"), ("finish", "after")):
        assert names(again) == ["Work 1"]
    assert key_of(again) == f"{CANARY}-1"
    again.close()


def test_a_check_finds_nothing_in_a_sound_store(store: Store) -> None:
    put(store, 1, 2)
    report = maintenance.check(store)
    assert (report.problems, report.seals_checked, report.connections, report.secrets) == ((), True, 2, 6)


def test_a_check_names_the_connection_whose_secret_does_not_open(store: Store) -> None:
    put(store, 1, 2)
    with store.database.begin() as db:
        db.sqlite.execute("UPDATE secrets SET ciphertext=zeroblob(30) WHERE connection_id='id-2'")
    (problem,) = maintenance.check(store).problems
    assert "Work 2" in problem


def test_a_check_of_a_locked_vault_says_that_it_did_not_try(store: Store) -> None:
    put(store, 1)
    store.key_manager.lock()
    report = maintenance.check(store)
    assert (report.problems, report.seals_checked) == ((), False)
