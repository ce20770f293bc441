"""The key slots of a store, and how one replaces another. Crash-safe at every step.

The order is always: write a pending slot, create its wrapping key (in the keyring, say), read that back, then
in one transaction pin the new and empty the old slot, then discard the old wrapping key. Whichever step a
crash hits, exactly one pinned slot opens the vault, and the next start removes leftovers.

SQLite's log is written back before a wrapping key is discarded. A log that was lost or cut off would undo the
pinning, and the store would need the discarded key again; or the next start would take the pinned key, which
backups need, for a leftover.
"""

import logging
import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from nexo.connections.errors import NexoError, VaultKeyLost
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import resealing, rows, tables
from nexo_daemon.store.database import Database
from nexo_daemon.vault import derivation, wrapping_keys
from nexo_daemon.vault.slots import SlotKind, SlotState, WrappedKey
from nexo_daemon.vault.vault import DataKey
from nexo_daemon.vault.wrapping_keys import UnlockContext, WrappingKeyError

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing

log = logging.getLogger(__name__)


class KeySlots:
    """The slots in the store, and the only way to change them. Does not know the vault's state.

    Attributes:
        data_key_made_at: when the wrapped key was created; None before there is one.
    """

    def __init__(self, database: Database, context: UnlockContext, clock: Clock) -> None:
        self.data_key_made_at: datetime | None = None
        self._database = database
        self._context = context
        self._clock = clock
        self._slots: dict[str, WrappedKey] = {}

    def load(self, slots: tuple[WrappedKey, ...], data_keys: dict[str, datetime]) -> None:
        """Take over the stored slots."""
        self._slots = {slot.id: slot for slot in slots}
        self.data_key_made_at = next(iter(data_keys.values()), None)

    @property
    def all(self) -> tuple[WrappedKey, ...]:
        """All slots in the store."""
        return tuple(self._slots.values())

    @property
    def pinned(self) -> WrappedKey | None:
        """The slot that opens the vault."""
        return next((slot for slot in self._slots.values() if slot.state is SlotState.PINNED), None)

    @property
    def recovery(self) -> WrappedKey | None:
        """The slot that a recovery code opens."""
        return next((slot for slot in self._slots.values() if slot.state is SlotState.RECOVERY), None)

    def require_pinned(self) -> WrappedKey:
        """The slot that opens the vault. Raises `VaultKeyLost` when there is none."""
        if self.pinned is None:
            raise VaultKeyLost("the store has no key slot", hint="nexoctl store restore brings back a backup")
        return self.pinned

    def pin(self, kind: SlotKind, data_key: DataKey, passphrase: Secret | None) -> None:
        """Create a slot for the data key, and pin it instead of the present one.

        `discard_leftovers` then removes the wrapping key of the old slot. If the data key is new, the store
        begins anew: sealed secrets are deleted.

        Raises:
            WrappingKeyError: the wrapping key cannot be created; nothing changed.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old slot stays pinned.
        """
        now = self._clock.now()
        pending = WrappedKey(
            self._left_over(kind) or secrets.token_hex(8),
            kind,
            SlotState.PENDING,
            now,
            parameters=wrapping_keys.parameters(kind),
        )
        with self._database.begin() as db:
            _write_slot(db, pending)
        self._slots[pending.id] = pending
        try:
            slot_key = wrapping_keys.make(pending, self._context, passphrase=passphrase)
        except WrappingKeyError:
            self.discard_leftovers()
            raise
        # It was read back from its place, so the new slot opens before the old one is given up.
        pinned = pending.wrapping(data_key.id, data_key.key, slot_key, SlotState.PINNED)
        former = [
            slot
            for slot in self._slots.values()
            if slot.state is SlotState.PINNED
            or (slot.state is SlotState.RECOVERY and slot.data_key_id != data_key.id)
        ]
        with self._database.begin() as db:
            begins_anew = data_key.id not in [row["id"] for row in db.select(tables.data_keys)]
            if begins_anew:
                # A new store, or a new beginning after the key was lost: nothing can open the old secrets.
                # The wrapping keys of former slots stay, because they open the backups from before.
                db.delete(tables.secrets)
                db.delete(tables.data_keys)
                for slot in former:
                    db.delete(tables.key_slots, id=slot.id)
                db.insert(tables.data_keys, {"id": data_key.id, "created_at": now})
            retired = [] if begins_anew else [slot.emptied(SlotState.RETIRED) for slot in former]
            for slot in (pinned, *retired):
                _write_slot(db, slot)
        if begins_anew:
            self.data_key_made_at = now
        for slot in former:
            del self._slots[slot.id]
        self._slots.update({slot.id: slot for slot in (pinned, *retired)})
        self._database.write_back()

    def _left_over(self, kind: SlotKind) -> str | None:
        # Failed attempts while the keyring is away must not add a slot each; the entry can be overwritten.
        if kind is not SlotKind.KEYRING:
            return None
        pending = (one for one in self._slots.values() if one.state is SlotState.PENDING and one.kind is kind)
        return next((one.id for one in pending), None)

    def discard_leftovers(self, *, prompt: bool = False) -> None:
        """Discard the wrapping keys of unused slots, then the slots. Never raises.

        Args:
            prompt: a person asked for a change, so the keyring may ask back.
        """
        leftovers = [
            one for one in self._slots.values() if one.state in (SlotState.PENDING, SlotState.RETIRED)
        ]
        if not leftovers or self._database.read_only:
            return
        if not self._database.write_back():
            log.warning("key slots that are no longer used wait for the next start: the store is busy")
            return
        out_of_reach: set[SlotKind] = set()
        for slot in leftovers:
            if slot.kind in out_of_reach:
                continue
            try:
                wrapping_keys.discard(slot, self._context, prompt=prompt)
            except WrappingKeyError as error:
                # A keyring that hangs takes the whole time limit, so it is tried only once for each start.
                out_of_reach.add(slot.kind)
                log.warning("a key slot that is no longer used is still there: %s", error.problem)
                continue
            try:
                with self._database.begin() as db:
                    db.delete(tables.key_slots, id=slot.id)
            except NexoError as error:
                # The slot opens nothing, and the next start tries again.
                log.warning("a key slot that is no longer used is still in the store: %s", error.message)
                return
            del self._slots[slot.id]

    def make_recovery(self, code: str, data_key: DataKey) -> None:
        """Create a slot that the recovery code opens, instead of an earlier one.

        Raises:
            StoreReadOnly, StoreFull, StoreFailed: not saved; an earlier code stays valid.
        """
        slot = self._recovery_slot(code, data_key)
        with self._database.begin() as db:
            self._replace_recovery(db, slot)
        self._remember_recovery(slot)

    def rotate(self, old: DataKey, new: DataKey, slot_key: bytes, code: str) -> WrappedKey:
        """Seal all secrets with a new data key, in one transaction.

        Args:
            slot_key: the key of the pinned slot.
            code: for a recovery slot with the new data key; "" for none.

        Returns:
            The slot that is pinned afterwards.

        Raises:
            SecretTampered: a secret does not open; unchanged.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old data key stays in use.
        """
        wrapped = self.require_pinned().wrapping(new.id, new.key, slot_key, SlotState.PINNED)
        recovery = self._recovery_slot(code, new) if code else None
        now = self._clock.now()
        with self._database.begin() as db:
            db.insert(tables.data_keys, {"id": new.id, "created_at": now})
            resealing.reseal_all(db, old, new)
            _write_slot(db, wrapped)
            if recovery is not None:
                self._replace_recovery(db, recovery)
            db.delete(tables.data_keys, id=old.id)
        self._slots[wrapped.id] = wrapped
        if recovery is not None:
            self._remember_recovery(recovery)
        self.data_key_made_at = now
        return wrapped

    def _recovery_slot(self, code: str, data_key: DataKey) -> WrappedKey:
        empty = WrappedKey(secrets.token_hex(8), SlotKind.RECOVERY, SlotState.RECOVERY, self._clock.now())
        key = derivation.from_recovery_code(code, empty.id)
        return empty.wrapping(data_key.id, data_key.key, key, SlotState.RECOVERY)

    def _replace_recovery(self, db: "Writing", slot: WrappedKey) -> None:
        db.delete(tables.key_slots, state=str(SlotState.RECOVERY))
        _write_slot(db, slot)

    def _remember_recovery(self, slot: WrappedKey) -> None:
        others = {known.id: known for known in self._slots.values() if known.state is not SlotState.RECOVERY}
        self._slots = {**others, slot.id: slot}


def _write_slot(db: "Writing", slot: WrappedKey) -> None:
    db.delete(tables.key_slots, id=slot.id)
    db.insert(tables.key_slots, rows.slot_to_row(slot))
