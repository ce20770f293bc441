"""A locked vault stays locked, even if it is locked at any step of a running command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.errors import NexoError, VaultLocked
from nexo.connections.terms import VaultState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import maintenance
from nexo_daemon.store.database import Database
from nexo_daemon.store.store import Store
from nexo_daemon.vault import derivation, wrapping_keys
from nexo_daemon.vault.derivation import new_recovery_code
from nexo_daemon.vault.slots import SlotKind
from store_parts import StorePlace, put, recovery_code


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real derivation at a cost that a test can pay."""
    monkeypatch.setitem(derivation._SCRYPT, "n", 1 << 10)


def quietly(store: Store) -> None:
    store.vault.shut(VaultState.LOCKED, "key_file", "the keyring does not answer yet", "")
    store.key_manager.try_quietly()


def restore(store: Store, place: StorePlace) -> None:
    made = maintenance.backup(store, place.clock)
    maintenance.restore(store, made.name, clock=place.clock)


def with_code(store: Store, place: StorePlace) -> None:
    store.key_manager.unlock(recovery_code=Secret(CODES[place.file]))


CODES: dict[Path, str] = {}
COMMANDS: dict[str, Callable[[Store, StorePlace], object]] = {
    "rotate": lambda store, place: store.key_manager.rotate(recovery_code=Secret(new_recovery_code())),
    "rekey": lambda store, place: store.key_manager.rekey(SlotKind.KEY_FILE),
    "rekey to a passphrase": lambda store, place: store.key_manager.rekey(
        SlotKind.PASSPHRASE, passphrase=Secret("correct horse battery")
    ),
    "unlock": lambda store, place: store.key_manager.unlock(),
    "recovery": lambda store, place: recovery_code(store),
    "unlock with the code": with_code,
    "the quiet try": lambda store, place: quietly(store),
    "restore": restore,
}


class Steps:
    """Counts what a command does outside of itself, and calls `lock` at the chosen step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, lock: Callable[[], None]) -> None:
        self.taken = 0
        self._at = at
        self._lock = lock
        for owner, name in (
            (wrapping_keys, "fetch"),
            (wrapping_keys, "make"),
            (wrapping_keys, "discard"),
            (Database, "begin"),
            (Database, "reading"),
            (derivation, "from_recovery_code"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            self.taken += 1
            if self.taken == self._at:
                self._lock()
            return real(*args, **kwargs)

        return stepped


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_under_way_undoes_a_lock(
    place: StorePlace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.open()
    put(store, 1, 2)
    store.reload()
    CODES[place.file] = recovery_code(store)
    at, reached = 1, True
    while reached:
        store.key_manager.unlock()
        with monkeypatch.context() as patch:
            steps = Steps(patch, at, store.key_manager.lock)
            try:
                COMMANDS[name](store, place)
                failed = False
            except NexoError:
                failed = True
            reached = steps.taken >= at
        if reached:
            assert store.vault.state is VaultState.LOCKED, f"step {at}"
            assert "you locked it" in store.key_manager.status().problem
            assert not store.key_manager.try_quietly()
            with pytest.raises(VaultLocked):
                store.vault.data_key()
        else:
            assert at > 1
            assert not failed
        at += 1
        store.key_manager.unlock(passphrase=Secret("correct horse battery"))
        store.reload()
        assert all(store.unseal(one).api_key for one in store.load().connections)
        if name == "rekey to a passphrase":
            store.key_manager.rekey(SlotKind.KEY_FILE)
    store.close()


def test_an_unlock_that_was_locked_meanwhile_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Steps(monkeypatch, 1, store.key_manager.lock)
    with pytest.raises(VaultLocked, match="locked while it was being opened"):
        store.key_manager.unlock()


def test_each_lock_is_a_new_generation(store: Store) -> None:
    before = store.vault.generation
    store.key_manager.lock()
    assert store.vault.is_locked
    assert store.vault.generation > before
    locked = store.vault.generation
    store.key_manager.unlock()
    assert store.vault.generation == locked


def test_a_restore_does_not_open_what_was_locked(place: StorePlace, store: Store) -> None:
    put(store, 1)
    made = maintenance.backup(store, place.clock)
    store.key_manager.lock()
    store.reopen()
    assert made.path.exists()
    assert store.vault.state is VaultState.LOCKED
