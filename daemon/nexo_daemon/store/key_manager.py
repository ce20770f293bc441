"""Opens, locks and rekeys the vault of a store: the commands, one at a time.

`key_slots` changes the slots in a crash-safe order; `nexo_daemon.vault.wrapping_keys` handles the keys
outside the store (keyring, key file, passphrase).
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from nexo.connections.errors import (
    InvalidField,
    LimitReached,
    NexoError,
    SecretTampered,
    VaultKeyLost,
    VaultLocked,
)
from nexo.connections.model.vault import KeySlot, Vault
from nexo.connections.terms import VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store import resealing
from nexo_daemon.store.database import Database
from nexo_daemon.store.key_slots import KeySlots
from nexo_daemon.vault import derivation, wrapping_keys
from nexo_daemon.vault.sealing import DoesNotOpenError, new_key
from nexo_daemon.vault.slots import SlotKind, WrappedKey
from nexo_daemon.vault.vault import DataKey, SecretVault
from nexo_daemon.vault.wrapping_keys import UnlockContext, WrappingKeyError

log = logging.getLogger(__name__)

_MARGIN_S = 2.0
"""Time beyond the keyring's limit for ending its helper process."""

_OTHER_KEY = "the key in the slot '{}' was found but is not the one that locked this store"
_OTHER_KEY_HINT = "put the right key back, or use the recovery code: nexoctl vault unlock --recovery"


class KeyManager:
    """Opens, locks and rekeys. Calls may take seconds (keyring, scrypt): do not call it on the event loop."""

    def __init__(self, database: Database, vault: SecretVault, context: UnlockContext, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self.context = context
        self._slots = KeySlots(database, context, clock)
        self._busy = threading.Lock()
        # The holder of the lock tries something by itself, with a time limit: commands wait for it.
        self._quiet = False
        # A vault locked by a person stays locked until a person unlocks it.
        self._held = False
        self._holding = threading.Lock()
        # The vault's generation when the running command began.
        self._since = 0

    # --- opening -----------------------------------------------------------------------------------------

    def open(self, slots: tuple[WrappedKey, ...], data_keys: dict[str, datetime]) -> None:
        """At start or after a restore, open with the pinned slot, or set up the vault of a new store.

        No prompt, no error.
        """
        self._slots.load(slots, data_keys)
        self._slots.discard_leftovers()
        if not self._may_open():
            # A restore opens the store again, but must not unlock what a person locked.
            self.lock()
            return
        if self._vault.state is VaultState.UNLOCKED and self._vault.data_key().id in data_keys:
            # After a restore: the key in memory opens its secrets, even if the slot needs a person.
            self._unlocked(self._vault.data_key(), self._vault.slot, problem=self._vault.problem)
            return
        if self._slots.pinned is not None or data_keys or self._database.read_only:
            self._unlock_quietly()
            return
        kind = ""
        try:
            kind = wrapping_keys.choose(self.context)
            self._pin(SlotKind(kind), DataKey(secrets.token_hex(8), new_key()), None, prompt=False)
        except WrappingKeyError as error:
            self._shut(error.state, kind, error.problem, error.hint)
        except NexoError as error:
            # A full disk must not prevent the start; the next try may succeed.
            self._shut(VaultState.LOCKED, kind, error.message, error.hint)

    def try_quietly(self) -> bool:
        """Try the pinned slot without prompting if the vault is not unlocked; returns whether it is then.

        A key that was lost may come back: with a disk that is mounted, or a keyring that a person opens.
        """
        with self._by_itself() as may:
            if may and self._vault.state is not VaultState.UNLOCKED:
                if self._slots.pinned is None:
                    if self._vault.state is VaultState.LOCKED:
                        self.open(self._slots.all, {})
                elif self._may_open():
                    self._unlock_quietly()
        return self._vault.state is VaultState.UNLOCKED

    def prove_slot(self) -> bool:
        """Try quietly whether its slot would unlock an unlocked vault again.

        The result is in the vault's `problem`. A slot that needs a person, and a keyring that is locked or
        away, prove nothing.

        Returns:
            Whether the result is another one than before.
        """
        with self._by_itself() as may:
            pinned, before = self._slots.pinned, self._vault.problem
            unlocked = may and self._vault.state is VaultState.UNLOCKED
            if not unlocked or pinned is None or pinned.kind is SlotKind.PASSPHRASE:
                return False
            try:
                pinned.unwrap(wrapping_keys.fetch(pinned, self.context))
            except WrappingKeyError as error:
                self._refused(pinned, error.state, error.problem, error.hint)
            except DoesNotOpenError:
                self._refused(pinned, VaultState.TAMPERED, _OTHER_KEY.format(pinned.kind), "")
            else:
                self._vault.note("", "")
            return self._vault.problem != before

    def unlock(self, *, passphrase: Secret | None = None, recovery_code: Secret | None = None) -> None:
        """Unlock on a person's request; the keyring may prompt.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: it did not unlock (with the reason), or was locked
                meanwhile.
            LimitReached: another vault command is running.
        """
        with self._alone():
            with self._holding:
                self._held = False
                self._since = self._vault.generation
            if recovery_code is not None:
                self._unlock_with_code(recovery_code)
            elif self._slots.pinned is None:
                self._found_on_request()
            else:
                self._unlock_pinned(self._slots.pinned, passphrase)
            if self._vault.generation != self._since:
                raise VaultLocked(
                    "the vault was locked while it was being opened, and stays locked",
                    hint="nexoctl vault unlock",
                )

    def lock(self, why: str = "you locked it") -> None:
        """Forget the data key until `unlock`. Runs at once: a running command ends without unlocking."""
        pinned = self._slots.pinned
        with self._holding:
            self._held = True
            self._vault.lock(pinned.kind if pinned else "", why, "nexoctl vault unlock")

    # --- changing ----------------------------------------------------------------------------------------

    def rekey(
        self, kind: SlotKind, *, passphrase: Secret | None = None, forget_secrets: bool = False
    ) -> None:
        """Replace the pinned slot by a new one; data key and secrets stay.

        Args:
            forget_secrets: if the key is lost, delete the sealed secrets, which nothing can open any more,
                and begin with a new data key.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: the vault is not unlocked, or the slot cannot be
                created.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old slot stays pinned.
            LimitReached: another vault command is running.
        """
        if kind is SlotKind.PASSPHRASE and passphrase is None:
            raise VaultLocked("a passphrase slot needs a passphrase", hint="enter one")
        if kind is SlotKind.RECOVERY:
            raise VaultLocked("a recovery code cannot be the pinned slot", hint="nexoctl vault recovery")
        with self._alone():
            if self._slots.pinned is None and self._slots.data_key_made_at is None:
                data_key = DataKey(secrets.token_hex(8), new_key())
            elif forget_secrets and self._vault.state is not VaultState.UNLOCKED:
                data_key = DataKey(secrets.token_hex(8), new_key())
                log.warning("the sealed secrets are deleted on request, because their key is lost")
            else:
                data_key = self._vault.data_key()
            try:
                self._pin(kind, data_key, passphrase)
            except WrappingKeyError as error:
                raise VaultLocked(f"nothing changed: {error.problem}", hint=error.hint) from None
            with self._holding:
                # Unlocked by this command, unless it was locked meanwhile.
                self._held = self._held and self._vault.generation != self._since

    def set_recovery_code(self, code: Secret) -> None:
        """Let this code open the vault, instead of an earlier one. The person has written it down already.

        Raises:
            InvalidField: it is not a valid recovery code.
            VaultLocked, VaultKeyLost, SecretTampered: the vault is not unlocked.
            StoreReadOnly, StoreFull, StoreFailed: not saved; an earlier code stays valid.
        """
        _check_code(code)
        with self._alone():
            self._slots.make_recovery(code.reveal(), self._vault.data_key())

    def rotate(self, *, passphrase: Secret | None = None, recovery_code: Secret | None = None) -> None:
        """Seal all secrets with a new data key, in one transaction.

        Args:
            recovery_code: replaces the present recovery code; required if there is one.

        Raises:
            InvalidField: there is a recovery code, and no new one is given.
            VaultLocked, VaultKeyLost, SecretTampered: not unlocked, or a secret does not open; unchanged.
            StoreReadOnly, StoreFull, StoreFailed: not saved; the old data key stays in use.
        """
        with self._alone():
            old = self._vault.data_key()
            pinned = self._slots.require_pinned()
            if self._slots.recovery is not None and recovery_code is None:
                raise InvalidField.of(
                    "recovery_code",
                    "is missing: the present code does not open secrets that are sealed with a new data key",
                    "take a new one first: nexoctl vault rotate does",
                )
            if recovery_code is not None:
                _check_code(recovery_code)
            try:
                slot_key = wrapping_keys.fetch(pinned, self.context, passphrase=passphrase)
                pinned.unwrap(slot_key)
            except WrappingKeyError as error:
                raise self._refused(pinned, error.state, error.problem, error.hint) from None
            except DoesNotOpenError:
                if pinned.kind is SlotKind.PASSPHRASE:
                    raise VaultLocked("the passphrase is wrong", hint="try again") from None
                raise self._refused(pinned, VaultState.TAMPERED, _OTHER_KEY.format(pinned.kind), "") from None
            new = DataKey(secrets.token_hex(8), new_key())
            code = recovery_code.reveal() if recovery_code is not None else ""
            wrapped = self._slots.rotate(old, new, slot_key, code)
            # If the vault was locked meanwhile, it stays locked.
            self._vault.unlocked(new, wrapped.kind, former=old, since=self._since)

    def status(self) -> Vault:
        """The state for users. Accesses nothing outside the process."""
        pinned, recovery = self._slots.pinned, self._slots.recovery
        return Vault(
            self._vault.state,
            next((slot for slot in KeySlot if slot == self._vault.slot), None),
            self._vault.problem,
            pinned.created_at if pinned else None,
            self._slots.data_key_made_at,
            recovery.created_at if recovery else None,
        )

    @property
    def slots(self) -> tuple[WrappedKey, ...]:
        """The slots in the store."""
        return self._slots.all

    # --- steps -------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        limit_s = self.context.keyring_deadline_s + _MARGIN_S if self._quiet else 0.0
        if not self._busy.acquire(timeout=limit_s):
            raise LimitReached(
                "another vault command is running", hint="answer its prompt, or wait and try again"
            )
        try:
            self._since = self._vault.generation
            yield
        finally:
            self._busy.release()

    @contextmanager
    def _by_itself(self) -> Iterator[bool]:
        """Whether the daemon may try something of its own accord: not while a command is running."""
        if not self._busy.acquire(blocking=False):
            yield False
            return
        self._quiet = True
        try:
            yield True
        finally:
            self._quiet = False
            self._busy.release()

    def _may_open(self) -> bool:
        """Whether no person has locked the vault; records the generation at which opening begins."""
        with self._holding:
            self._since = self._vault.generation
            return not self._held

    def _shut(self, state: VaultState, slot: str, problem: str, hint: str) -> None:
        self._vault.shut(state, slot, problem, hint, since=self._since)

    def _unlock_pinned(self, pinned: WrappedKey, passphrase: Secret | None) -> None:
        try:
            slot_key = wrapping_keys.fetch(pinned, self.context, prompt=True, passphrase=passphrase)
            data_key = pinned.unwrap(slot_key)
        except WrappingKeyError as error:
            raise self._refused(pinned, error.state, error.problem, error.hint) from None
        except DoesNotOpenError:
            if pinned.kind is SlotKind.PASSPHRASE:
                raise VaultLocked("the passphrase is wrong", hint="try again") from None
            raise self._refused(
                pinned, VaultState.TAMPERED, _OTHER_KEY.format(pinned.kind), _OTHER_KEY_HINT
            ) from None
        self._unlocked(DataKey(pinned.data_key_id or "", data_key), pinned.kind)

    def _unlocked(self, key: DataKey, slot: str, *, problem: str = "", hint: str = "") -> None:
        try:
            resealing.reseal_old_forms(self._database, key)
        except NexoError as error:
            # Secrets in the old form can still be opened; the next start tries again.
            log.warning("the secrets stay sealed in the old form: %s", error.message)
        self._vault.unlocked(key, slot, problem=problem, hint=hint, since=self._since)

    def _unlock_quietly(self) -> None:
        pinned = self._slots.pinned
        if pinned is None:
            self._shut(
                VaultState.KEY_LOST,
                "",
                "the store has no key slot",
                "nexoctl store restore brings back a backup",
            )
            return
        try:
            data_key = pinned.unwrap(wrapping_keys.fetch(pinned, self.context))
        except WrappingKeyError as error:
            self._shut(error.state, pinned.kind, error.problem, error.hint)
        except DoesNotOpenError:
            self._shut(VaultState.TAMPERED, pinned.kind, _OTHER_KEY.format(pinned.kind), _OTHER_KEY_HINT)
        else:
            self._unlocked(DataKey(pinned.data_key_id or "", data_key), pinned.kind)

    def _refused(self, pinned: WrappedKey, state: VaultState, problem: str, hint: str) -> NexoError:
        """The error for a slot that did not open; an unlocked vault stays so, and says what is lost."""
        if self._vault.state is not VaultState.UNLOCKED:
            self._shut(state, pinned.kind, problem, hint)
            return _refusal(state, problem, hint)
        if state is VaultState.LOCKED:
            return VaultLocked(f"the vault stays unlocked, but its slot cannot be read: {problem}", hint=hint)
        problem = f"{problem}; the daemon has the key in memory only"
        hint = f"before it ends or the vault is locked: nexoctl vault rekey --to {pinned.kind}"
        self._vault.note(problem, hint)
        return VaultKeyLost(problem, hint=hint)

    def _unlock_with_code(self, code: Secret) -> None:
        slot = self._slots.recovery
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
        kind = self._slots.pinned.kind if self._slots.pinned else SlotKind.RECOVERY
        lost = self._vault.state in (VaultState.KEY_LOST, VaultState.TAMPERED) or bool(
            self._vault.state is VaultState.UNLOCKED and self._vault.problem
        )
        self._unlocked(
            DataKey(slot.data_key_id or "", data_key),
            kind,
            problem="it was unlocked with the recovery code; its key slot does not unlock it" if lost else "",
            hint="nexoctl vault rekey --to key_file (or keyring, passphrase)" if lost else "",
        )

    def _found_on_request(self) -> None:
        try:
            kind = wrapping_keys.choose(self.context)
        except WrappingKeyError:
            # The choice stands: a keyring that is there is asked, and this time it may prompt.
            kind = SlotKind.KEYRING
        try:
            if kind is SlotKind.KEYRING:
                wrapping_keys.open_keyring()
            self._pin(kind, DataKey(secrets.token_hex(8), new_key()), None)
        except WrappingKeyError as error:
            self._shut(error.state, kind, error.problem, error.hint)
            raise _refusal(error.state, error.problem, error.hint) from None

    def _pin(
        self, kind: SlotKind, data_key: DataKey, passphrase: Secret | None, *, prompt: bool = True
    ) -> None:
        self._slots.pin(kind, data_key, passphrase)
        self._unlocked(data_key, kind)
        self._slots.discard_leftovers(prompt=prompt)


def _check_code(code: Secret) -> None:
    try:
        derivation.from_recovery_code(code.reveal(), "")
    except derivation.BadWordsError as error:
        raise InvalidField.of("recovery_code", str(error), "enter the code that was shown") from None


def _refusal(state: VaultState, problem: str, hint: str) -> VaultLocked | VaultKeyLost | SecretTampered:
    text = f"the vault is {state.replace('_', ' ')}: {problem}"
    if state is VaultState.KEY_LOST:
        return VaultKeyLost(text, hint=hint)
    if state is VaultState.TAMPERED:
        return SecretTampered(text, hint=hint)
    return VaultLocked(text, hint=hint)
