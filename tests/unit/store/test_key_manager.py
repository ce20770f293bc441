"""The keys that open the vault, and that no step of a key change can lose access to it."""

import contextlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa

from nexo.connections.errors import (
    InvalidField,
    LimitReached,
    SecretTampered,
    StoreFull,
    VaultKeyLost,
    VaultLocked,
)
from nexo.connections.terms import VaultState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import key_slots, maintenance, sqlite
from nexo_daemon.store.database import Database
from nexo_daemon.store.store import Store
from nexo_daemon.vault import derivation, desktop_keyring, keyfile, wrapping_keys
from nexo_daemon.vault.derivation import new_recovery_code
from nexo_daemon.vault.desktop_keyring import KeyringState, KeyringUnusableError
from nexo_daemon.vault.sealing import new_key
from nexo_daemon.vault.slots import SlotKind, SlotState, WrappedKey
from nexo_daemon.vault.wrapping_keys import UnlockContext, WrappingKeyError
from store_parts import CANARY, StorePlace, put, recovery_code

WORDS = Secret("correct horse battery")


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real derivation at a cost that a test can pay."""
    monkeypatch.setitem(derivation._SCRYPT, "n", 1 << 10)


def key_of(store: Store, number: int = 1) -> str:
    (one,) = (c for c in store.load().connections if c.id == f"id-{number}")
    key = store.unseal(one).api_key
    return key.reveal() if key else ""


def lines(place: StorePlace) -> list[str]:
    if not place.key_file.exists():
        return []
    return [line.split()[0] for line in place.key_file.read_text().splitlines() if not line.startswith("#")]


def reopened(place: StorePlace, store: Store) -> Store:
    store.close()
    return place.open()


def test_the_slot_of_a_new_store_is_pinned_and_shown(store: Store, place: StorePlace) -> None:
    status = store.key_manager.status()
    assert (status.state, status.slot, status.problem) == (VaultState.UNLOCKED, "key_file", "")
    assert status.slot_made_at == status.data_key_made_at == place.clock.now()
    assert status.recovery_made_at is None
    assert lines(place) == [slot.id for slot in store.key_manager.slots]


def test_locking_forgets_the_key_and_unlocking_finds_it(store: Store) -> None:
    put(store, 1)
    store.reload()
    store.key_manager.lock()
    assert store.vault.state is VaultState.LOCKED
    with pytest.raises(VaultLocked) as caught:
        key_of(store)
    assert caught.value.hint == "nexoctl vault unlock"
    with pytest.raises(VaultLocked):
        put(store, 2)
    store.key_manager.unlock()
    assert key_of(store) == f"{CANARY}-1"


def test_a_new_key_file_slot_replaces_the_old_one(place: StorePlace, store: Store) -> None:
    put(store, 1)
    (old,) = lines(place)
    store.key_manager.rekey(SlotKind.KEY_FILE)
    (new,) = lines(place)
    assert new != old
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    assert [slot.state for slot in store.key_manager.slots] == [SlotState.PINNED]
    store.close()


def test_a_passphrase_slot_starts_locked_and_opens_by_the_passphrase_only(
    place: StorePlace, store: Store
) -> None:
    put(store, 1)
    store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=WORDS)
    assert not place.key_file.exists()
    store = reopened(place, store)
    assert (store.vault.state, store.vault.slot) == (VaultState.LOCKED, "passphrase")
    with pytest.raises(VaultLocked, match="needs your passphrase"):
        store.key_manager.unlock()
    with pytest.raises(VaultLocked, match="passphrase is wrong"):
        store.key_manager.unlock(passphrase=Secret("wrong horse battery"))
    assert store.vault.state is VaultState.LOCKED
    store.key_manager.unlock(passphrase=WORDS)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_short_passphrase_is_refused_and_nothing_changes(place: StorePlace, store: Store) -> None:
    put(store, 1)
    with pytest.raises(VaultLocked, match="at least 8"):
        store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=Secret("short"))
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_systemd_credential_opens_while_systemd_gives_it(place: StorePlace, store: Store) -> None:
    put(store, 1)
    store.close()
    directory = place.root / "credentials"
    directory.mkdir()
    (directory / wrapping_keys.CREDENTIAL_NAME).write_bytes(secrets.token_bytes(32))

    def open_with(credentials: Path | None) -> Store:
        context = UnlockContext(place.key_file, credentials_directory=credentials)
        return Store.open(place.file, key_file=place.key_file, clock=place.clock, context=context)

    store = open_with(directory)
    store.key_manager.rekey(SlotKind.SYSTEMD_CREDENTIAL)
    store.close()
    store = open_with(directory)
    assert key_of(store) == f"{CANARY}-1"
    store.close()
    store = open_with(None)
    assert store.vault.state is VaultState.LOCKED
    assert "LoadCredential=nexo-vault-key" in store.vault.problem
    store.close()
    (directory / wrapping_keys.CREDENTIAL_NAME).write_bytes(secrets.token_bytes(32))
    store = open_with(directory)
    assert store.vault.state is VaultState.TAMPERED
    store.close()
    (directory / wrapping_keys.CREDENTIAL_NAME).unlink()
    store = open_with(directory)
    assert store.vault.state is VaultState.KEY_LOST
    store.close()


def test_a_recovery_code_opens_when_the_key_file_is_gone(place: StorePlace, store: Store) -> None:
    put(store, 1)
    code = recovery_code(store)
    place.key_file.unlink()
    store = reopened(place, store)
    assert store.vault.state is VaultState.KEY_LOST
    with pytest.raises(VaultKeyLost):
        store.key_manager.unlock()
    sloppy = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    store.key_manager.unlock(recovery_code=Secret(sloppy))
    assert key_of(store) == f"{CANARY}-1"
    assert "vault rekey" in store.vault.problem
    store.key_manager.rekey(SlotKind.KEY_FILE)
    assert store.vault.problem == ""
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.key_manager.lock()
    store.key_manager.unlock(recovery_code=Secret(code))
    store.close()


def test_only_the_newest_recovery_code_is_good(store: Store) -> None:
    old = recovery_code(store)
    new = recovery_code(store)
    assert old != new
    store.key_manager.lock()
    with pytest.raises(VaultLocked, match="earlier code"):
        store.key_manager.unlock(recovery_code=Secret(old))
    with pytest.raises(VaultLocked, match="typing mistake"):
        store.key_manager.unlock(recovery_code=Secret(new[:-3]))
    store.key_manager.unlock(recovery_code=Secret(new))
    assert store.vault.state is VaultState.UNLOCKED


def test_a_code_that_was_only_proposed_changes_nothing(place: StorePlace, store: Store) -> None:
    """Its answer may not have arrived: the earlier one is good until somebody has the new one in hand."""
    code = recovery_code(store)
    before = place.bytes()
    for bad in ("", "words", new_recovery_code()[:-1]):
        with pytest.raises(InvalidField, match="recovery_code"):
            store.key_manager.set_recovery_code(Secret(bad))
        with pytest.raises(InvalidField, match="recovery_code"):
            store.key_manager.rotate(recovery_code=Secret(bad))
    with pytest.raises(InvalidField, match="recovery_code"):
        store.key_manager.rotate()
    assert place.bytes() == before
    store.key_manager.lock()
    store.key_manager.unlock(recovery_code=Secret(code))
    store.close()


def test_the_recovery_code_is_stored_nowhere(place: StorePlace, store: Store) -> None:
    code = recovery_code(store)
    store.close()
    for path in place.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert code.encode() not in content
            assert code.replace("-", "").encode() not in content


def test_rotation_seals_everything_under_a_new_key(place: StorePlace, store: Store) -> None:
    put(store, 1, 2)
    code = recovery_code(store)
    before = store.reload()
    old = store.vault.data_key()
    place.clock.turn(timedelta(days=1))
    new_code = new_recovery_code()
    store.key_manager.rotate(recovery_code=Secret(new_code))
    assert store.vault.data_key() != old
    # What is in memory from before still opens until it is read again.
    assert store.unseal(before.connections[0]).api_key == Secret(f"{CANARY}-1")
    after = store.reload()
    assert {s.key_id for c in after.connections for s in c.sealed} == {store.vault.data_key().id}
    assert store.key_manager.status().data_key_made_at == place.clock.now()
    store = reopened(place, store)
    assert (key_of(store, 1), key_of(store, 2)) == (f"{CANARY}-1", f"{CANARY}-2")
    store.key_manager.lock()
    with pytest.raises(VaultLocked):
        store.key_manager.unlock(recovery_code=Secret(code))
    store.key_manager.unlock(recovery_code=Secret(new_code))
    store.close()


def test_rotation_stops_at_a_secret_that_does_not_open(place: StorePlace, store: Store) -> None:
    put(store, 1, 2)
    with store.database.begin() as db:
        db.sqlite.execute("UPDATE secrets SET ciphertext=zeroblob(30) WHERE connection_id='id-2'")
    old = store.vault.data_key()
    with pytest.raises(SecretTampered, match="Work 2"):
        store.key_manager.rotate()
    assert store.vault.data_key() == old
    store = reopened(place, store)
    assert key_of(store, 1) == f"{CANARY}-1"
    store.close()


def test_after_a_loss_a_new_start_is_possible_on_request_only(place: StorePlace, store: Store) -> None:
    put(store, 1)
    place.key_file.unlink()
    store = reopened(place, store)
    with pytest.raises(VaultKeyLost):
        store.key_manager.rekey(SlotKind.KEY_FILE)
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    assert store.vault.state is VaultState.UNLOCKED
    (one,) = store.reload().connections
    assert one.sealed == ()
    put(store, 2)
    store = reopened(place, store)
    assert key_of(store, 2) == f"{CANARY}-2"
    store.close()


def test_a_recovery_code_opens_nothing_after_a_new_start(place: StorePlace, store: Store) -> None:
    code = Secret(recovery_code(store))
    place.key_file.unlink()
    store = reopened(place, store)
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    assert store.key_manager.status().recovery_made_at is None
    store = reopened(place, store)
    with pytest.raises(VaultLocked):
        store.key_manager.unlock(recovery_code=code)
    assert store.key_manager.status().recovery_made_at is None
    store.close()


def test_forgetting_is_not_done_to_a_vault_that_opens(place: StorePlace, store: Store) -> None:
    put(store, 1)
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def full(_db: object, _slot: WrappedKey) -> None:
    raise StoreFull("the disk is full", hint="free some space")


def test_a_full_disk_keeps_nobody_from_starting(place: StorePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(key_slots, "_write_slot", full)
        store = place.open()
        assert (store.vault.state, store.key_manager.status().slot_made_at) == (VaultState.LOCKED, None)
        assert "the disk is full" in store.vault.problem
        assert not store.key_manager.try_quietly()
    assert store.key_manager.try_quietly()
    put(store, 1)
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_slot_that_cannot_be_cleared_away_waits_for_the_next_start(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    with monkeypatch.context() as patched:

        def crash(*_: object, **__: object) -> None:
            raise CrashError

        patched.setattr(wrapping_keys, "discard", crash)
        with pytest.raises(CrashError):
            store.key_manager.rekey(SlotKind.KEY_FILE)
    store.close()

    def no_room(_: Database) -> NoReturn:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "begin", no_room)
        store = place.open()
        assert key_of(store) == f"{CANARY}-1"
        assert len(store.key_manager.slots) == 2
        store.close()
    store = place.open()
    assert len(store.key_manager.slots) == 1
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_new_start_that_could_not_be_saved_is_none(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    place.key_file.unlink()
    store = reopened(place, store)
    before = store.key_manager.status()
    place.clock.turn(timedelta(hours=1))
    write = key_slots._write_slot

    def full_later(db: sa.Connection, slot: WrappedKey) -> None:
        (full if slot.state is SlotState.PINNED else write)(db, slot)

    with monkeypatch.context() as patched:
        patched.setattr(key_slots, "_write_slot", full_later)
        with pytest.raises(StoreFull):
            store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    assert store.key_manager.status() == before
    assert [len(one.sealed) for one in store.load().connections] == [3]
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)
    assert store.key_manager.status().data_key_made_at == place.clock.now()
    store.close()


def test_two_vault_commands_do_not_run_at_once(store: Store) -> None:
    with store.key_manager._alone(), pytest.raises(LimitReached):
        store.key_manager.rotate()


class CrashError(BaseException):
    """The moment the power goes."""


STEPS: tuple[tuple[object, str], ...] = (
    (wrapping_keys, "make"),
    (keyfile, "add"),
    (WrappedKey, "wrapping"),
    (WrappedKey, "unwrap"),
    (wrapping_keys, "fetch"),
    (wrapping_keys, "discard"),
    (keyfile, "remove"),
)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("where", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.key_manager.rekey(SlotKind.KEY_FILE),
        lambda store: store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=WORDS),
        lambda store: store.key_manager.rotate(),
    ],
    ids=["to a key file", "to a passphrase", "rotate"],
)
def test_a_crash_at_any_step_leaves_exactly_one_way_in(
    place: StorePlace,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Store], object],
    where: object,
    name: str,
    when: str,
) -> None:
    put(store, 1)
    real = getattr(where, name)

    def crash(*arguments: object, **named: object) -> object:
        if when == "after":
            real(*arguments, **named)
        raise CrashError

    monkeypatch.setattr(where, name, crash)
    with contextlib.suppress(CrashError):
        change(store)
    monkeypatch.undo()
    monkeypatch.setitem(derivation._SCRYPT, "n", 1 << 10)
    # Nothing of the first process is closed in order.
    again = place.open()
    if again.vault.state is VaultState.LOCKED:
        again.key_manager.unlock(passphrase=WORDS)
    assert key_of(again) == f"{CANARY}-1"
    pinned = [slot for slot in again.key_manager.slots if slot.state is SlotState.PINNED]
    assert len(pinned) == 1
    assert [slot for slot in again.key_manager.slots if slot.state is not SlotState.PINNED] == []
    expected = [pinned[0].id] if pinned[0].kind is SlotKind.KEY_FILE else []
    assert lines(place) == expected
    again.close()


def nothing(_: Store) -> None:
    """The store as its first start left it."""


def forget(store: Store) -> None:
    store.key_manager.lock()
    store.key_manager.rekey(SlotKind.KEY_FILE, forget_secrets=True)


@pytest.mark.parametrize(
    "change",
    [
        nothing,
        lambda store: store.key_manager.rekey(SlotKind.KEY_FILE),
        lambda store: store.key_manager.rekey(SlotKind.PASSPHRASE, passphrase=WORDS),
        lambda store: store.key_manager.rotate(),
        forget,
    ],
    ids=["first start", "to a key file", "to a passphrase", "rotate", "forget the secrets"],
)
def test_a_log_that_was_cut_off_takes_no_key_from_the_store_or_a_backup(
    place: StorePlace, tmp_path: Path, change: Callable[[Store], object]
) -> None:
    store = place.open()
    put(store, 1)
    early = maintenance.backup(store, place.clock)
    change(store)
    late = maintenance.backup(store, place.clock)
    size = Path(f"{place.file}-wal").stat().st_size
    for cut in range(0, size + 1, 1500):
        copy = StorePlace(tmp_path / f"cut at {cut}", place.clock)
        shutil.copytree(place.root, copy.root)
        os.truncate(f"{copy.file}-wal", cut)
        again = copy.open()
        if again.vault.state is VaultState.LOCKED:
            again.key_manager.unlock(passphrase=WORDS)
        assert again.vault.state is VaultState.UNLOCKED
        for backup in (late, early):
            report, _ = maintenance.restore(again, backup.name, clock=place.clock)
            assert report.done
        assert key_of(again) == f"{CANARY}-1"
        again.close()
        shutil.rmtree(copy.root)
    store.close()


def test_a_key_is_not_discarded_while_only_the_log_says_that_it_is_unused(
    place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.05)
    store = place.open()
    put(store, 1)
    (old,) = lines(place)
    with contextlib.closing(sqlite3.connect(place.file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM connections").fetchall()
        store.key_manager.rekey(SlotKind.KEY_FILE)
        assert old in lines(place)
        assert len(lines(place)) == 2
    store = reopened(place, store)
    assert old not in lines(place)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_an_outside_half_that_cannot_be_made_changes_nothing(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    before = place.key_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyfile, "_replace", full)
    with pytest.raises(VaultLocked, match="nothing changed"):
        store.key_manager.rekey(SlotKind.KEY_FILE)
    monkeypatch.undo()
    assert place.key_file.read_bytes() == before
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_tries_while_the_keyring_is_away_leave_one_slot_at_most(
    place: StorePlace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    asked: list[str] = []

    def hung(service: str, user: str, *_: object, **__: object) -> None:
        asked.append(user)
        raise KeyringUnusableError(KeyringState.HUNG)

    monkeypatch.setattr(desktop_keyring, "put", hung)
    monkeypatch.setattr(desktop_keyring, "remove", hung)
    for _ in range(4):
        with pytest.raises(VaultLocked, match="does not answer"):
            store.key_manager.rekey(SlotKind.KEYRING)
    assert sorted(slot.state for slot in store.key_manager.slots) == [SlotState.PENDING, SlotState.PINNED]
    asked.clear()
    store = reopened(place, store)
    # Each question may take its whole deadline.
    assert len(asked) == 1
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_locked_keyring_at_the_first_start_is_not_passed_over(
    place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: UnlockContext) -> SlotKind:
        raise WrappingKeyError(
            VaultState.LOCKED, "the keyring of the desktop is locked", "nexoctl vault unlock"
        )

    monkeypatch.setattr(wrapping_keys, "choose", locked)
    store = place.open()
    assert store.vault.state is VaultState.LOCKED
    assert not place.key_file.exists()
    store.close()
    monkeypatch.undo()
    # The next start asks again, because no key was ever made.
    store = place.open()
    assert store.vault.state is VaultState.UNLOCKED
    store.close()


def test_a_locked_keyring_can_be_done_without(place: StorePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: UnlockContext) -> SlotKind:
        raise WrappingKeyError(VaultState.LOCKED, "locked", "")

    monkeypatch.setattr(wrapping_keys, "choose", locked)
    store = place.open()
    store.key_manager.rekey(SlotKind.KEY_FILE)
    put(store, 1)
    store = reopened(place, store)
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_trying_quietly_opens_what_became_available(place: StorePlace, store: Store) -> None:
    put(store, 1)
    place.key_file.chmod(0o644)
    store = reopened(place, store)
    assert store.vault.state is VaultState.LOCKED
    assert "chmod 600" in store.vault.problem
    assert not store.key_manager.try_quietly()
    place.key_file.chmod(0o600)
    assert store.key_manager.try_quietly()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


@pytest.mark.parametrize("state", [VaultState.KEY_LOST, VaultState.TAMPERED])
def test_a_key_that_comes_back_opens_the_vault_without_a_person(
    place: StorePlace, store: Store, state: VaultState
) -> None:
    """The key file may be on a disk that is mounted after the start of the daemon."""
    put(store, 1)
    away = place.key_file.with_name("away")
    place.key_file.rename(away)
    if state is VaultState.TAMPERED:
        keyfile.add(place.key_file, store.key_manager.slots[0].id, new_key())
    store = reopened(place, store)
    assert store.vault.state is state
    assert not store.key_manager.try_quietly()
    away.rename(place.key_file)
    assert store.key_manager.try_quietly()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_trying_quietly_makes_no_new_key_for_a_store_that_has_lost_its_slots(
    place: StorePlace, store: Store
) -> None:
    put(store, 1)
    store.close()
    with contextlib.closing(sqlite3.connect(place.file)) as db:
        db.execute("DELETE FROM key_slots")
        db.commit()
    store = place.open()
    assert store.vault.state is VaultState.KEY_LOST
    assert not store.key_manager.try_quietly()
    assert (store.vault.state, store.key_manager.slots) == (VaultState.KEY_LOST, ())
    store.close()
