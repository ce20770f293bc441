"""The vault: seals and opens fields with the data key in memory. No files, prompts or SQL.

`store.key_manager` provides the data key; the store keeps the key slots.
"""

import threading
from dataclasses import field, replace

from nexo.connections.errors import SecretTampered, VaultKeyLost, VaultLocked
from nexo.connections.terms import VaultState
from nexo.connections.values import frozen
from nexo_daemon.domain.model import SealedSecret, SecretKind
from nexo_daemon.domain.secret import Secret
from nexo_daemon.vault import sealing


@frozen
class DataKey:
    """The key that seals fields."""

    id: str
    key: bytes = field(repr=False)


@frozen
class _Condition:
    state: VaultState
    slot: str
    problem: str = ""
    hint: str = ""
    key: DataKey | None = None
    former: DataKey | None = None


class SecretVault:
    """Seals and opens fields. Calls take microseconds; thread-safe: the state is replaced as a whole."""

    def __init__(self) -> None:
        self._condition = _Condition(VaultState.LOCKED, "", "the vault has not been opened yet")
        self._generation = 0
        self._changing = threading.Lock()

    @property
    def generation(self) -> int:
        """How often it was locked. Work from an earlier generation must not unlock it or use secrets."""
        return self._generation

    @property
    def is_locked(self) -> bool:
        """Whether there is no data key."""
        return self._condition.key is None

    @property
    def state(self) -> VaultState:
        """Whether secrets can be opened."""
        return self._condition.state

    @property
    def slot(self) -> str:
        """Kind of the pinned slot: keyring, key_file, passphrase or systemd_credential."""
        return self._condition.slot

    @property
    def problem(self) -> str:
        """Why it is locked, or will be after a restart, and the next step; empty if neither."""
        condition = self._condition
        return f"{condition.problem}; {condition.hint}" if condition.hint else condition.problem

    def __repr__(self) -> str:
        return f"Vault({self.state}, {self.slot})"

    def unlocked(
        self,
        key: DataKey,
        slot: str,
        *,
        former: DataKey | None = None,
        problem: str = "",
        hint: str = "",
        since: int | None = None,
    ) -> bool:
        """Set the data key. Returns whether the vault is unlocked; not if it was locked meanwhile.

        Args:
            since: the generation in which unlocking began; None skips the check.
            former: opens what was read into memory before a rotation.
            problem: why the next start will not unlock it; empty if it will.
        """
        return self._become(_Condition(VaultState.UNLOCKED, slot, problem, hint, key, former), since)

    def shut(
        self, state: VaultState, slot: str, problem: str, hint: str, *, since: int | None = None
    ) -> None:
        """Drop the data key, for a reason. `since` as in `unlocked`."""
        self._become(_Condition(state, slot, problem, hint), since)

    def note(self, problem: str, hint: str) -> None:
        """While it is unlocked, say why the next start will not unlock it; empty if it will."""
        with self._changing:
            if self._condition.state is VaultState.UNLOCKED:
                self._condition = replace(self._condition, problem=problem, hint=hint)

    def lock(self, slot: str, problem: str, hint: str) -> None:
        """Drop the data key; work in progress does not bring it back."""
        with self._changing:
            self._generation += 1
            self._condition = _Condition(VaultState.LOCKED, slot, problem, hint)

    def _become(self, condition: _Condition, since: int | None) -> bool:
        with self._changing:
            current = since is None or since == self._generation
            if current:
                self._condition = condition
            return current

    def data_key(self) -> DataKey:
        """The data key.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: depending on the state.
        """
        condition = self._condition
        if condition.key is not None:
            return condition.key
        text = f"the vault is {condition.state.replace('_', ' ')}: {condition.problem}"
        if condition.state is VaultState.KEY_LOST:
            raise VaultKeyLost(text, hint=condition.hint)
        if condition.state is VaultState.TAMPERED:
            raise SecretTampered(text, hint=condition.hint)
        raise VaultLocked(text, hint=condition.hint)

    def seal(
        self,
        secret: Secret,
        *,
        row_id: str,
        connection_id: str,
        kind: SecretKind,
        name: str = "",
        position: int = 0,
        destination: sealing.Destination,
    ) -> SealedSecret:
        """Encrypt one field for its place and destination.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered: there is no key to seal with.
        """
        data_key = self.data_key()
        place = sealing.SealedPlace(row_id, connection_id, kind, name, data_key.id, destination)
        nonce, ciphertext = sealing.seal(
            data_key.key, secret.reveal().encode("utf-8"), place.associated_data()
        )
        return SealedSecret(
            row_id, kind, name, position, destination.origin, data_key.id, nonce, ciphertext, sealing.FORM
        )

    def open(self, sealed: SealedSecret, *, connection_id: str, destination: sealing.Destination) -> Secret:
        """Decrypt one field.

        Args:
            ties: where and how it will be sent.

        Raises:
            VaultLocked, VaultKeyLost: there is no key.
            SecretTampered: the bytes, their place or their destination were changed.
        """
        data_key = self.data_key()
        former = self._condition.former
        if former is not None and sealed.key_id == former.id:
            data_key = former
        place = sealing.SealedPlace(
            sealed.id,
            connection_id,
            sealed.kind,
            sealed.name,
            sealed.key_id,
            destination,
            sealed.form,
        )
        try:
            plaintext = sealing.unseal(data_key.key, sealed.nonce, sealed.ciphertext, place.associated_data())
        except sealing.DoesNotOpenError:
            raise SecretTampered(
                f"a stored secret ({sealed.kind.replace('_', ' ')}) does not open: it, its place or its "
                "destination was changed outside of the daemon, or it is damaged",
                hint="enter its key and header values again (nexoctl edit NAME), or nexoctl store restore",
            ) from None
        return Secret(plaintext.decode("utf-8"))
