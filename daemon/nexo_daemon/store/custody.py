"""The key slots of this store: opens its vault, and changes what opens it, crash-safe at every step.

The order is always: note a pending slot, make its outside half, read that back, then in one transaction pin
the new and empty the old slot, then discard the old outside half. Whatever step a crash hits, exactly one
pinned slot opens the vault, and the next start clears away what is left over.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from nexo_client.terms import VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import LimitReached, SecretTampered, VaultKeyLost, VaultLocked
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import resealing, rows, schema
from nexo_daemon.store.database import Database
from nexo_daemon.vault import derivation, outside
from nexo_daemon.vault.outside import OutsideError, Surroundings
from nexo_daemon.vault.sealing import DoesNotOpenError, new_key
from nexo_daemon.vault.slots import KeySlot, SlotKind, SlotState
from nexo_daemon.vault.vault import DataKey, Vault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What `nexoctl vault status` shows.

    Attributes:
        recovery_made_at: of the recovery code; None if there is none.
    """

    state: VaultState
    slot: str
    problem: str
    slot_made_at: datetime | None
    data_key_made_at: datetime | None
    recovery_made_at: datetime | None


class Custody:
    """Opens, locks and rekeys. Calls may take seconds (keyring, scrypt): not for the event loop."""

    def __init__(self, database: Database, vault: Vault, around: Surroundings, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self.surroundings = around
        self._clock = clock
        self._slots: dict[str, KeySlot] = {}
        self._data_key_made_at: datetime | None = None
        self._busy = threading.Lock()
        # A person who locks it wants it to stay locked.
        self._held = False

    # --- opening -----------------------------------------------------------------------------------------

    def open(self, slots: tuple[KeySlot, ...], data_keys: dict[str, datetime]) -> None:
        """At start: open with the pinned slot, or found the vault of a new store. Never prompts or raises."""
        self._slots = {slot.id: slot for slot in slots}
        self._data_key_made_at = next(iter(data_keys.values()), None)
        self._finish_leftovers()
        if self._pinned is not None or data_keys or self._database.read_only:
            self._unlock_quietly()
            return
        kind = ""
        try:
            kind = outside.choose(self.surroundings)
            self._pin(SlotKind(kind), DataKey(secrets.token_hex(8), new_key()), None)
        except OutsideError as error:
            self._vault.shut(error.state, kind, error.problem, error.hint)

    def try_quietly(self) -> bool:
        """Try the pinned slot again without prompting, if locked; whether the vault is now unlocked."""
        if self._held:
            return False
        if self._vault.state is VaultState.LOCKED and self._busy.acquire(blocking=False):
            try:
                if self._pinned is None:
                    self.open(tuple(self._slots.values()), {})
                else:
                    self._unlock_quietly()
            finally:
                self._busy.release()
        return self._vault.state is VaultState.UNLOCKED

    def unlock(self, *, passphrase: Secret | None = None, recovery_code: Secret | None = None) -> None:
        """Open on a person's request: the keyring may prompt.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: it did not open, and why.
            LimitReached: another vault command is running.
        """
        with self._alone():
            self._held = False
            if recovery_code is not None:
                self._unlock_with_code(recovery_code)
                return
            pinned = self._pinned
            if pinned is None:
                self._found_on_request()
                return
            try:
                slot_key = outside.fetch(pinned, self.surroundings, prompt=True, passphrase=passphrase)
                data_key = pinned.unwrap(slot_key)
            except OutsideError as error:
                if self._vault.state is not VaultState.UNLOCKED:
                    self._vault.shut(error.state, pinned.kind, error.problem, error.hint)
                raise _refusal(error.state, error.problem, error.hint) from None
            except DoesNotOpenError:
                if pinned.kind is SlotKind.PASSPHRASE:
                    raise VaultLocked("the passphrase is not the right one", hint="try again") from None
                self._shut_tampered(pinned)
                raise _refusal(self._vault.state, self._vault.problem, "") from None
            self._vault.unlocked(DataKey(pinned.data_key_id or "", data_key), pinned.kind)

    def lock(self) -> None:
        """Forget the data key until `unlock`."""
        pinned = self._pinned
        self._held = True
        self._vault.shut(
            VaultState.LOCKED, pinned.kind if pinned else "", "you locked it", "nexoctl vault unlock"
        )

    # --- changing ----------------------------------------------------------------------------------------

    def rekey(
        self, kind: SlotKind, *, passphrase: Secret | None = None, forget_secrets: bool = False
    ) -> None:
        """Pin a new slot in place of the present one; the data key and all secrets stay.

        Args:
            forget_secrets: when the key is lost: drop the sealed secrets, which nothing can open any more,
                and begin anew.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: it is not unlocked, or the new slot cannot be made.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old slot still is the one.
            LimitReached: another vault command is running.
        """
        if kind is SlotKind.PASSPHRASE and passphrase is None:
            raise VaultLocked("a passphrase slot needs a passphrase", hint="enter one")
        if kind is SlotKind.RECOVERY:
            raise VaultLocked("a recovery code cannot be the pinned slot", hint="nexoctl vault recovery")
        with self._alone():
            if self._pinned is None and self._data_key_made_at is None:
                data_key = DataKey(secrets.token_hex(8), new_key())
            elif forget_secrets and self._vault.state is not VaultState.UNLOCKED:
                data_key = DataKey(secrets.token_hex(8), new_key())
                log.warning("the sealed secrets are forgotten on request, because their key is lost")
            else:
                data_key = self._vault.data_key()
            try:
                self._pin(kind, data_key, passphrase)
            except OutsideError as error:
                raise _refusal(VaultState.LOCKED, f"nothing changed: {error.problem}", error.hint) from None

    def new_recovery_code(self) -> str:
        """Make a recovery code in place of any earlier one. It is shown once and stored nowhere.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: it is not unlocked.
            StoreReadOnly, StoreFull, StoreFailed: not saved; an earlier code is still good.
        """
        with self._alone():
            data_key = self._vault.data_key()
            code = derivation.new_recovery_code()
            slot = self._recovery_slot(code, data_key)
            with self._database.begin() as db:
                self._replace_recovery(db, slot)
            self._remember_recovery(slot)
            return code

    def rotate(self, *, passphrase: Secret | None = None) -> str:
        """Seal everything again under a new data key, in one transaction.

        Returns:
            The new recovery code if there was one, which is no longer good; else "".

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: not unlocked, or a secret does not open; unchanged.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old data key still is the one.
        """
        with self._alone():
            old = self._vault.data_key()
            pinned = self._require_pinned()
            try:
                slot_key = outside.fetch(pinned, self.surroundings, passphrase=passphrase)
                pinned.unwrap(slot_key)
            except OutsideError as error:
                raise _refusal(error.state, error.problem, error.hint) from None
            except DoesNotOpenError:
                raise VaultLocked("that does not open the pinned slot", hint="try again") from None
            new = DataKey(secrets.token_hex(8), new_key())
            wrapped = pinned.wrapping(new.id, new.key, slot_key, SlotState.PINNED)
            code = derivation.new_recovery_code() if self._recovery is not None else ""
            recovery = self._recovery_slot(code, new) if code else None
            now = self._clock.now()
            with self._database.begin() as db:
                db.execute(sa.insert(schema.data_keys), {"id": new.id, "created_at": now})
                resealing.reseal_all(db, old, new)
                _write_slot(db, wrapped)
                if recovery is not None:
                    self._replace_recovery(db, recovery)
                db.execute(sa.delete(schema.data_keys).where(schema.data_keys.c.id == old.id))
            self._slots[wrapped.id] = wrapped
            if recovery is not None:
                self._remember_recovery(recovery)
            self._data_key_made_at = now
            self._vault.unlocked(new, wrapped.kind, former=old)
            return code

    def status(self) -> VaultStatus:
        """For a person. Asks nothing outside of the process."""
        pinned, recovery = self._pinned, self._recovery
        return VaultStatus(
            self._vault.state,
            self._vault.slot,
            self._vault.problem,
            pinned.created_at if pinned else None,
            self._data_key_made_at,
            recovery.created_at if recovery else None,
        )

    @property
    def slots(self) -> tuple[KeySlot, ...]:
        """As they are in the store."""
        return tuple(self._slots.values())

    # --- steps -------------------------------------------------------------------------------------------

    @property
    def _pinned(self) -> KeySlot | None:
        return next((slot for slot in self._slots.values() if slot.state is SlotState.PINNED), None)

    @property
    def _recovery(self) -> KeySlot | None:
        return next((slot for slot in self._slots.values() if slot.state is SlotState.RECOVERY), None)

    def _require_pinned(self) -> KeySlot:
        if self._pinned is None:
            raise VaultKeyLost("the store has no key slot", hint="nexoctl store restore brings back a backup")
        return self._pinned

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise LimitReached(
                "another vault command is running", hint="answer its prompt, or wait and try again"
            )
        try:
            yield
        finally:
            self._busy.release()

    def _unlock_quietly(self) -> None:
        pinned = self._pinned
        if pinned is None:
            self._vault.shut(
                VaultState.KEY_LOST,
                "",
                "the store has no key slot",
                "nexoctl store restore brings back a backup",
            )
            return
        try:
            data_key = pinned.unwrap(outside.fetch(pinned, self.surroundings))
        except OutsideError as error:
            self._vault.shut(error.state, pinned.kind, error.problem, error.hint)
        except DoesNotOpenError:
            self._shut_tampered(pinned)
        else:
            self._vault.unlocked(DataKey(pinned.data_key_id or "", data_key), pinned.kind)

    def _shut_tampered(self, pinned: KeySlot) -> None:
        self._vault.shut(
            VaultState.TAMPERED,
            pinned.kind,
            f"the key in the slot '{pinned.kind}' was found but is not the one that locked this store",
            "put the right key back, or use the recovery code: nexoctl vault unlock --recovery",
        )

    def _unlock_with_code(self, code: Secret) -> None:
        slot = self._recovery
        if slot is None:
            raise VaultLocked("no recovery code was ever made for this store", hint="nexoctl vault unlock")
        try:
            data_key = slot.unwrap(derivation.from_recovery_code(code.reveal(), slot.id))
        except derivation.BadWordsError as error:
            raise VaultLocked(str(error), hint="type it again as it was printed") from None
        except DoesNotOpenError:
            raise VaultLocked(
                "the recovery code is well-formed but belongs to another store or an earlier code",
                hint="use the newest one that nexoctl vault recovery or rotate printed",
            ) from None
        kind = self._pinned.kind if self._pinned else SlotKind.RECOVERY
        lost = self._vault.state in (VaultState.KEY_LOST, VaultState.TAMPERED) or bool(
            self._vault.state is VaultState.UNLOCKED and self._vault.problem
        )
        self._vault.unlocked(
            DataKey(slot.data_key_id or "", data_key),
            kind,
            problem="it was opened with the recovery code; its slot will not open it" if lost else "",
            hint="nexoctl vault rekey --to key_file (or keyring, passphrase)" if lost else "",
        )

    def _found_on_request(self) -> None:
        try:
            kind = outside.choose(self.surroundings)
        except OutsideError:
            # The choice stands: a keyring that is there is asked, and this time it may prompt.
            kind = SlotKind.KEYRING
        try:
            if kind is SlotKind.KEYRING:
                outside.open_keyring()
            self._pin(kind, DataKey(secrets.token_hex(8), new_key()), None)
        except OutsideError as error:
            self._vault.shut(error.state, kind, error.problem, error.hint)
            raise _refusal(error.state, error.problem, error.hint) from None

    def _pin(self, kind: SlotKind, data_key: DataKey, passphrase: Secret | None) -> None:
        now = self._clock.now()
        pending = KeySlot(
            secrets.token_hex(8), kind, SlotState.PENDING, now, parameters=outside.parameters(kind)
        )
        with self._database.begin() as db:
            _write_slot(db, pending)
        self._slots[pending.id] = pending
        try:
            slot_key = outside.make(pending, self.surroundings, passphrase=passphrase)
        except OutsideError:
            self._finish_leftovers()
            raise
        pinned = pending.wrapping(data_key.id, data_key.key, slot_key, SlotState.PINNED)
        # What is about to be the only way in is proven to open before the old way is closed.
        if pinned.unwrap(outside.fetch(pending, self.surroundings, passphrase=passphrase)) != data_key.key:
            raise SecretTampered("the new slot does not open what it locked; nothing changed")
        retired = [
            slot.emptied(SlotState.RETIRED)
            for slot in self._slots.values()
            if slot.state is SlotState.PINNED
            or (slot.state is SlotState.RECOVERY and slot.data_key_id != data_key.id)
        ]
        with self._database.begin() as db:
            known = db.execute(sa.select(schema.data_keys.c.id)).scalars().all()
            if data_key.id not in known:
                # Founding, or beginning anew after a loss: nothing can open the old secrets.
                db.execute(sa.delete(schema.secrets))
                db.execute(sa.delete(schema.data_keys))
                db.execute(sa.insert(schema.data_keys), {"id": data_key.id, "created_at": now})
                self._data_key_made_at = now
            for slot in (pinned, *retired):
                _write_slot(db, slot)
        self._slots.update({slot.id: slot for slot in (pinned, *retired)})
        self._vault.unlocked(data_key, kind)
        self._finish_leftovers()

    def _finish_leftovers(self) -> None:
        """Discard the outside halves of slots that wrap nothing, then the slots themselves."""
        if self._database.read_only:
            return
        for slot in list(self._slots.values()):
            if slot.state not in (SlotState.PENDING, SlotState.RETIRED):
                continue
            try:
                outside.discard(slot, self.surroundings)
            except OutsideError as error:
                log.warning("a key slot that is no longer used is still there: %s", error.problem)
                continue
            with self._database.begin() as db:
                db.execute(sa.delete(schema.key_slots).where(schema.key_slots.c.id == slot.id))
            del self._slots[slot.id]

    def _recovery_slot(self, code: str, data_key: DataKey) -> KeySlot:
        empty = KeySlot(secrets.token_hex(8), SlotKind.RECOVERY, SlotState.RECOVERY, self._clock.now())
        key = derivation.from_recovery_code(code, empty.id)
        return empty.wrapping(data_key.id, data_key.key, key, SlotState.RECOVERY)

    def _replace_recovery(self, db: sa.Connection, slot: KeySlot) -> None:
        db.execute(sa.delete(schema.key_slots).where(schema.key_slots.c.state == str(SlotState.RECOVERY)))
        _write_slot(db, slot)

    def _remember_recovery(self, slot: KeySlot) -> None:
        others = {known.id: known for known in self._slots.values() if known.state is not SlotState.RECOVERY}
        self._slots = {**others, slot.id: slot}


def _write_slot(db: sa.Connection, slot: KeySlot) -> None:
    db.execute(sa.delete(schema.key_slots).where(schema.key_slots.c.id == slot.id))
    db.execute(sa.insert(schema.key_slots), rows.slot_to_row(slot))


def _refusal(state: VaultState, problem: str, hint: str) -> VaultLocked | VaultKeyLost | SecretTampered:
    text = f"the vault is {state.replace('_', ' ')}: {problem}"
    if state is VaultState.KEY_LOST:
        return VaultKeyLost(text, hint=hint)
    if state is VaultState.TAMPERED:
        return SecretTampered(text, hint=hint)
    return VaultLocked(text, hint=hint)
