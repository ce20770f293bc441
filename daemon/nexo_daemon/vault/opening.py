"""How the vault opens at start: the pinned slot gives up its key or the vault says in which way it does not.

Never makes a key where there has been one: a missing outside half is "key lost", a wrong one "tampered".
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nexo_client.terms import VaultState
from nexo_daemon.vault import keyfile
from nexo_daemon.vault.sealing import DoesNotOpenError, new_key
from nexo_daemon.vault.slots import KeySlot, SlotKind, SlotState
from nexo_daemon.vault.vault import DataKey, Vault


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new vault has to store: its slot, and the data key that the slot wraps."""

    slot: KeySlot
    data_key: DataKey
    created_at: datetime


def found_with_key_file(key_file: Path, now: datetime) -> Founding:
    """Make the first data key, wrapped by a fresh key that is on disk in the key file when this returns.

    Raises:
        KeyFileUnreadableError: there is a key file that is not safely ours.
        OSError: the key file could not be written.
    """
    slot = KeySlot(secrets.token_hex(8), SlotKind.KEY_FILE, SlotState.PENDING, now)
    slot_key = new_key()
    keyfile.add(key_file, slot.id, slot_key)
    data_key = DataKey(secrets.token_hex(8), new_key())
    pinned = slot.wrapping(data_key.id, data_key.key, slot_key, SlotState.PINNED)
    return Founding(pinned, data_key, now)


def open_vault(vault: Vault, slots: Sequence[KeySlot], key_file: Path) -> None:
    """Unlock with the pinned slot, or say why not. Never prompts, never raises for what it finds."""
    pinned = next((slot for slot in slots if slot.state is SlotState.PINNED), None)
    if pinned is None or pinned.data_key_id is None:
        vault.shut(
            VaultState.KEY_LOST,
            "",
            "the store has no key slot",
            "nexoctl store restore brings back a backup",
        )
        return
    slot_key = _from_key_file(vault, pinned, key_file)
    if slot_key is None:
        return
    try:
        data_key = pinned.unwrap(slot_key)
    except DoesNotOpenError:
        vault.shut(
            VaultState.TAMPERED,
            pinned.kind,
            f"the key of the slot '{pinned.kind}' was found but is not the one that locked this store",
            "put the right key back, or use the recovery code: nexoctl vault unlock --recovery",
        )
        return
    vault.unlocked(DataKey(pinned.data_key_id, data_key), pinned.kind)


def _from_key_file(vault: Vault, slot: KeySlot, key_file: Path) -> bytes | None:
    try:
        slot_key = keyfile.read(key_file, slot.id)
    except keyfile.KeyFileUnreadableError as error:
        vault.shut(VaultState.LOCKED, slot.kind, str(error), error.hint)
        return None
    if slot_key is None:
        vault.shut(
            VaultState.KEY_LOST,
            slot.kind,
            f"the key file {key_file} is missing or has no key for this store",
            "put it back from a backup of that directory, or use the recovery code: "
            "nexoctl vault unlock --recovery",
        )
    return slot_key
