"""With a real keyring, each of its conditions leads to its own vault state within a deadline."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import secretstorage

from keyring_session import KeyringSession
from nexo.connections.errors import KeyReferenceFailed, VaultKeyLost, VaultLocked
from nexo.connections.terms import VaultState
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store.store import Store
from nexo_daemon.vault import desktop_keyring, keyring_child, wrapping_keys
from nexo_daemon.vault.desktop_keyring import KeyringState, KeyringUnusableError
from nexo_daemon.vault.references import References
from nexo_daemon.vault.sealing import key_to_text, new_key
from nexo_daemon.vault.slots import SlotKind
from store_parts import CANARY, StorePlace, put, recovery_code
from surroundings import wait_for

pytestmark = pytest.mark.needs("keyring")

DEADLINE_S = 8.0


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringSession]:
    """A bus in our environment; the service is not started yet."""
    with KeyringSession(tmp_path / "session") as session:
        for name, value in session.environment.items():
            monkeypatch.setenv(name, value)
        yield session


@pytest.fixture
def place(place: StorePlace) -> StorePlace:
    """A store that chooses its slot itself."""
    place.slot = None
    return place


def key_of(store: Store) -> str:
    key = store.unseal(store.load().connections[0]).api_key
    return key.reveal() if key else ""


def test_an_unlocked_keyring_is_chosen_and_opens_the_vault_again(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start()
    store = place.open()
    assert (store.vault.state, store.vault.slot) == (VaultState.UNLOCKED, "keyring")
    assert not place.key_file.exists()
    put(store, 1)
    store.close()
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_without_a_service_the_key_file_is_chosen_and_stays(
    keyring: KeyringSession, place: StorePlace
) -> None:
    store = place.open()
    assert store.vault.slot == "key_file"
    put(store, 1)
    store.close()
    # A keyring that appears later changes nothing: the choice is pinned.
    keyring.start()
    store = place.open()
    assert (store.vault.state, store.vault.slot) == (VaultState.UNLOCKED, "key_file")
    store.close()


def test_a_service_without_a_default_collection_is_not_made_to_prompt(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start(unlocked=False)
    assert desktop_keyring.probe() is KeyringState.EMPTY
    store = place.open()
    assert store.vault.slot == "key_file"
    store.close()


def test_a_locked_keyring_locks_the_vault_and_no_key_is_made(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    keyring.lock()
    assert desktop_keyring.probe() is KeyringState.LOCKED
    store = place.open()
    assert (store.vault.state, store.vault.slot) == (VaultState.LOCKED, "keyring")
    assert "locked" in store.vault.problem
    with pytest.raises(VaultLocked):
        key_of(store)
    assert not store.key_manager.try_quietly()
    keyring.stop()
    keyring.start()
    assert store.key_manager.try_quietly()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_keyring_that_is_locked_at_the_first_start_is_waited_for(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start()
    keyring.lock()
    store = place.open()
    assert store.vault.state is VaultState.LOCKED
    assert not place.key_file.exists()
    keyring.stop()
    keyring.start()
    assert store.key_manager.try_quietly()
    assert store.vault.slot == "keyring"
    put(store, 1)
    store.close()
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_dialog_that_cannot_be_shown_is_not_advised_again(
    keyring: KeyringSession, place: StorePlace
) -> None:
    """Over ssh: nobody sees the dialog, so the keyring dismisses it."""
    keyring.start()
    store = place.open()
    put(store, 1)
    code = recovery_code(store)
    store.close()
    keyring.lock()
    store = place.open()
    assert store.vault.state is VaultState.LOCKED
    for _ in range(2):
        with pytest.raises(VaultLocked) as refused:
            store.key_manager.unlock()
        assert "over ssh" in refused.value.hint
        assert "asks it to open" not in refused.value.hint
        assert "nexoctl vault unlock --recovery" in refused.value.hint
    store.key_manager.unlock(recovery_code=Secret(code))
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_wiped_keyring_is_key_lost_and_never_a_new_key(keyring: KeyringSession, place: StorePlace) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    keyring.wipe()
    for _ in range(2):
        store = place.open()
        assert store.vault.state is VaultState.KEY_LOST
        with pytest.raises(VaultKeyLost) as caught:
            key_of(store)
        assert "recovery" in caught.value.hint
        store.close()


def test_another_default_collection_does_not_lose_the_key(keyring: KeyringSession, place: StorePlace) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    keyring.make_default("second")
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    # The entry that is no longer used is removed from where it is.
    [entry] = [slot.id for slot in store.key_manager.slots]
    store.key_manager.rekey(SlotKind.KEYRING)
    assert desktop_keyring.get(wrapping_keys.KEYRING_SERVICE, entry) is None
    store.close()
    # The new one is in the second collection, and the first one is the default again.
    keyring.make_default("login")
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    keyring.lock()
    store.close()
    store = place.open()
    assert store.vault.state is VaultState.UNLOCKED
    store.close()


def test_the_collection_of_the_session_is_no_place_for_a_key(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start()
    keyring.make_default("session")
    assert desktop_keyring.probe() is KeyringState.EMPTY
    store = place.open()
    assert (store.vault.state, store.vault.slot) == (VaultState.UNLOCKED, "key_file")
    with pytest.raises(VaultLocked, match="no default collection"):
        store.key_manager.rekey(SlotKind.KEYRING)
    store.close()


@pytest.mark.parametrize("lost", ["removed", "another"])
def test_a_key_that_is_lost_while_the_vault_is_unlocked_is_noticed_and_stored_again(
    keyring: KeyringSession, place: StorePlace, lost: str
) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    store = place.open()
    [stored] = store.load().connections
    keys = store.key_manager
    [entry] = [slot.id for slot in keys.slots]
    assert not keys.prove_slot()
    keyring.lock()
    # This proves nothing: a person can unlock it.
    assert not keys.prove_slot()
    assert store.vault.problem == ""
    keyring.wipe()
    if lost == "another":
        desktop_keyring.put(wrapping_keys.KEYRING_SERVICE, entry, key_to_text(new_key()))
    assert keys.prove_slot()
    assert not keys.prove_slot()
    # None of these gives up the last copy of the key, or advises a code that need not exist.
    for work in (keys.rotate, keys.unlock):
        with pytest.raises(VaultKeyLost, match="in memory only") as caught:
            work()
        assert "nexoctl vault rekey --to keyring" in caught.value.hint
        assert (store.unseal(stored).api_key or Secret("")).reveal() == f"{CANARY}-1"
    assert "nexoctl vault rekey --to keyring" in store.vault.problem
    keys.rekey(SlotKind.KEYRING)
    assert store.vault.problem == ""
    store.close()
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_hung_service_costs_a_deadline_and_no_more(keyring: KeyringSession, place: StorePlace) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    keyring.suspend()
    context = replace(place.context, keyring_deadline_s=1.5)
    begun = time.monotonic()
    store = Store.open(place.file, key_file=place.key_file, clock=place.clock, context=context)
    took = time.monotonic() - begun
    assert store.vault.state is VaultState.LOCKED
    assert "does not answer" in store.vault.problem
    assert took < 1.5 + DEADLINE_S
    keyring.resume()
    # On a busy machine an answer may take as long.
    wait_for(store.key_manager.try_quietly, "the keyring answers in time")
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_a_command_waits_for_what_the_daemon_tries_by_itself(
    keyring: KeyringSession, place: StorePlace
) -> None:
    """The daemon asks a keyring that hangs again and again; a person must not be refused meanwhile."""
    keyring.start()
    store = place.open()
    put(store, 1)
    code = recovery_code(store)
    store.close()
    keyring.suspend()
    store = place.open()
    keys = store.key_manager
    trial = threading.Thread(target=keys.try_quietly)
    trial.start()
    wait_for(keys._busy.locked, "the daemon asks the keyring")
    keys.unlock(recovery_code=Secret(code))
    assert key_of(store) == f"{CANARY}-1"
    trial.join()
    store.close()


def test_a_service_that_died_locks_and_a_new_one_opens(keyring: KeyringSession, place: StorePlace) -> None:
    keyring.start()
    store = place.open()
    put(store, 1)
    store.close()
    keyring.stop()
    store = place.open()
    assert store.vault.state is VaultState.LOCKED
    assert "no keyring service" in store.vault.problem
    keyring.start()
    assert store.key_manager.try_quietly()
    store.close()


def test_rekeying_to_the_keyring_and_back_leaves_nothing_behind(
    keyring: KeyringSession, place: StorePlace
) -> None:
    keyring.start()
    place.slot = SlotKind.KEY_FILE
    store = place.open()
    put(store, 1)
    store.key_manager.rekey(SlotKind.KEYRING)
    assert not place.key_file.exists()
    (slot,) = store.key_manager.slots
    assert desktop_keyring.get(wrapping_keys.KEYRING_SERVICE, slot.id) is not None
    store.key_manager.rekey(SlotKind.KEY_FILE)
    assert desktop_keyring.get(wrapping_keys.KEYRING_SERVICE, slot.id) is None
    store.close()
    store = place.open()
    assert key_of(store) == f"{CANARY}-1"
    store.close()


def test_rekeying_to_a_locked_keyring_changes_nothing(keyring: KeyringSession, place: StorePlace) -> None:
    place.slot = SlotKind.KEY_FILE
    store = place.open()
    put(store, 1)
    keyring.start()
    keyring.lock()
    with pytest.raises(VaultLocked, match="nothing changed"):
        store.key_manager.rekey(SlotKind.KEYRING)
    store.close()
    store = place.open()
    assert (store.vault.slot, key_of(store)) == ("key_file", f"{CANARY}-1")
    store.close()


def test_a_plaintext_backend_that_somebody_configured_is_not_used(
    keyring: KeyringSession, place: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "modules" / "plain_backend.py"
    module.parent.mkdir()
    witness = tmp_path / "witness"
    module.write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Plain(KeyringBackend):\n    priority = 99\n"
        f"    def set_password(self, s, u, p): open({str(witness)!r}, 'w').write(p)\n"
        f"    def get_password(self, s, u): open({str(witness)!r}, 'w').write('asked')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "plain_backend.Plain")
    keyring.start()
    store = place.open()
    assert store.vault.slot == "keyring"
    put(store, 1)
    store.close()
    assert not witness.exists()


def test_what_is_kept_in_the_keyring_opens_nothing_else(keyring: KeyringSession, place: StorePlace) -> None:
    """The keyring holds the key of the slot: not the data key, and no API key."""
    keyring.start()
    store = place.open()
    put(store, 1)
    (slot,) = store.key_manager.slots
    kept = desktop_keyring.get(wrapping_keys.KEYRING_SERVICE, slot.id) or ""
    assert kept
    assert CANARY not in kept
    assert kept.encode() not in b"".join(place.bytes().values())
    store.close()


def test_what_may_not_prompt_cannot(keyring: KeyringSession) -> None:
    """A dialog that nobody asked for, at login for example, would be the first thing that a person sees."""
    keyring.start()
    with closing(keyring_child.quiet_bus()) as bus:
        collection = secretstorage.get_default_collection(bus)
        made = collection.create_item("label", {"service": "quiet"}, b"secret")
        assert made.get_secret() == b"secret"
        keyring.lock()
        for work in (collection.unlock, made.unlock):
            with pytest.raises(keyring_child.WouldAsk):
                work()


def test_a_dialog_that_nobody_answers_is_named(
    keyring: KeyringSession, place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.start()
    store = place.open()
    keyring.suspend()
    store.key_manager.lock()
    monkeypatch.setattr(desktop_keyring, "PROMPT_DEADLINE_S", 0.5)
    with pytest.raises(VaultLocked) as refused:
        store.key_manager.unlock()
    assert refused.value.hint.startswith("answer its dialog, then nexoctl vault unlock; if there is none, ")
    store.close()


def test_a_child_that_dies_is_an_error_and_not_an_absent_entry(
    keyring: KeyringSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.start()
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(KeyringUnusableError) as caught:
        desktop_keyring.get("service", "user")
    assert caught.value.state is KeyringState.FAILED


def test_a_reference_into_the_keyring_is_found(keyring: KeyringSession) -> None:
    keyring.start()
    desktop_keyring.put("openai", "me", "sk-from-the-keyring")

    async def scenario() -> None:
        found = References(SystemClock())
        assert (await found.fetch("keyring:openai/me")).reveal() == "sk-from-the-keyring"
        with pytest.raises(KeyReferenceFailed, match="no such entry"):
            await found.fetch("keyring:openai/you")
        await found.aclose()

    asyncio.run(scenario())
