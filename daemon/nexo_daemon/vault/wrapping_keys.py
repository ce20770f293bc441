"""The wrapping keys of key slots, which are kept outside the database: fetch, create, discard.

One function for each, for all kinds of slots. Fetching prompts only if allowed to, and always ends.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from nexo.connections.terms import VaultState
from nexo.connections.values import frozen
from nexo_daemon.domain.secret import Secret
from nexo_daemon.vault import derivation, desktop_keyring, keyfile
from nexo_daemon.vault.desktop_keyring import KeyringState, KeyringUnusableError
from nexo_daemon.vault.sealing import key_from_text, key_to_text, new_key
from nexo_daemon.vault.slots import SlotKind, WrappedKey

log = logging.getLogger(__name__)

KEYRING_SERVICE = "Nexo Connections vault"
CREDENTIAL_NAME = "nexo-vault-key"
"""The name of the systemd credential, set by `LoadCredential=nexo-vault-key:PATH` (systemd.exec(5))."""
_CREDENTIAL_BYTES = range(16, 4097)
SLOT_VARIABLE = "NEXO_VAULT_SLOT"
"""The variable for the kind of slot in a new store: keyring, key_file or systemd_credential."""


@frozen
class UnlockContext:
    """The places of wrapping keys on this computer.

    Attributes:
        credentials_directory: `$CREDENTIALS_DIRECTORY` of a systemd service; None outside of one.
        preferred: the kind of slot for a new store; None to choose automatically.
    """

    key_file: Path
    credentials_directory: Path | None = None
    preferred: SlotKind | None = None
    keyring_deadline_s: float = desktop_keyring.DEADLINE_S

    @staticmethod
    def of(key_file: Path, environment: Mapping[str, str] = os.environ) -> "UnlockContext":
        """The places according to the environment of the daemon."""
        directory = environment.get("CREDENTIALS_DIRECTORY", "")
        preferred = environment.get(SLOT_VARIABLE, "")
        known = {SlotKind.KEYRING, SlotKind.KEY_FILE, SlotKind.SYSTEMD_CREDENTIAL}
        if preferred and preferred not in known:
            log.warning("%s is '%s'; use one of %s", SLOT_VARIABLE, preferred, ", ".join(sorted(known)))
        return UnlockContext(
            key_file,
            Path(directory) if directory else None,
            SlotKind(preferred) if preferred in known else None,
        )


class WrappingKeyError(Exception):
    """The wrapping key is not available; `state` is the resulting state of the vault."""

    def __init__(self, state: VaultState, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.state = state
        self.problem = problem
        self.hint = hint


_UNIT = f"the unit needs LoadCredential={CREDENTIAL_NAME}:PATH (systemctl --user edit nexod)"
_BY_CODE = "nexoctl vault unlock --recovery"
_ELSEWHERE = f"unlock the keyring at the desktop, or use the recovery code: {_BY_CODE}"
_RECOVER = "put it back from a backup, or use the recovery code: nexoctl vault unlock --recovery"


def choose(context: UnlockContext) -> SlotKind:
    """The kind of slot for a new store, chosen without prompting.

    Raises:
        WrappingKeyError: the keyring is locked or hangs, so a person has to decide.
    """
    if context.preferred is not None:
        return context.preferred
    if (
        context.credentials_directory is not None
        and (context.credentials_directory / CREDENTIAL_NAME).exists()
    ):
        return SlotKind.SYSTEMD_CREDENTIAL
    state = desktop_keyring.probe(deadline_s=context.keyring_deadline_s)
    if state is KeyringState.UNLOCKED:
        return SlotKind.KEYRING
    if state in (KeyringState.LOCKED, KeyringState.HUNG):
        error = KeyringUnusableError(state)
        raise WrappingKeyError(
            VaultState.LOCKED,
            str(error),
            f"{error.hint}; or do without it: nexoctl vault rekey --to key_file",
        )
    return SlotKind.KEY_FILE


def open_keyring() -> None:
    """Unlock the keyring; it may show a dialog.

    Raises:
        WrappingKeyError: the keyring was not unlocked.
    """
    try:
        desktop_keyring.get(
            KEYRING_SERVICE, "unlock", prompt=True, deadline_s=desktop_keyring.PROMPT_DEADLINE_S
        )
    except KeyringUnusableError as error:
        raise WrappingKeyError(VaultState.LOCKED, str(error), _after_the_dialog(error)) from None


def _after_the_dialog(error: KeyringUnusableError) -> str:
    """The next step after the keyring's dialog did not unlock it: another one than trying again."""
    if error.state is KeyringState.LOCKED:
        return f"its dialog was dismissed, or there is no desktop to show it on (over ssh): {_ELSEWHERE}"
    if error.state is KeyringState.FAILED:
        return _ELSEWHERE
    if error.state is KeyringState.HUNG:
        return f"answer its dialog, then nexoctl vault unlock; if there is none, {error.hint}"
    return error.hint


def fetch(
    slot: WrappedKey, context: UnlockContext, *, prompt: bool = False, passphrase: Secret | None = None
) -> bytes:
    """The key of a slot.

    Args:
        prompt: the keyring may show its dialog.

    Raises:
        WrappingKeyError: the key is not available.
    """
    match slot.kind:
        case SlotKind.KEY_FILE:
            return _from_key_file(slot, context)
        case SlotKind.KEYRING:
            return _from_keyring(slot, context, prompt=prompt)
        case SlotKind.SYSTEMD_CREDENTIAL:
            return _from_credential(slot, context)
        case SlotKind.PASSPHRASE:
            return _from_passphrase(slot, passphrase)
        case SlotKind.RECOVERY:
            raise WrappingKeyError(VaultState.LOCKED, "a recovery slot opens only with its code", _RECOVER)


def parameters(kind: SlotKind) -> dict[str, str | int]:
    """The parameters that a new slot of this kind stores beside the wrapped key."""
    return derivation.passphrase_parameters() if kind is SlotKind.PASSPHRASE else {}


def make(slot: WrappedKey, context: UnlockContext, *, passphrase: Secret | None = None) -> bytes:
    """Create the wrapping key of a new slot; returns it as read back from its place.

    Raises:
        WrappingKeyError: the key could not be created or stored.
    """
    try:
        if slot.kind is SlotKind.KEY_FILE:
            keyfile.add(context.key_file, slot.id, new_key())
        elif slot.kind is SlotKind.KEYRING:
            desktop_keyring.put(
                KEYRING_SERVICE,
                slot.id,
                key_to_text(new_key()),
                deadline_s=context.keyring_deadline_s,
            )
        elif slot.kind is SlotKind.PASSPHRASE and passphrase is not None:
            derivation.check_passphrase(passphrase.reveal())
    except KeyringUnusableError as error:
        # The daemon is to open the vault by itself, and nobody can be asked then.
        without = "; or do without it: nexoctl vault rekey --to key_file"
        hint = f"{error.hint}{without}" if error.state is KeyringState.ASKS else error.hint
        raise WrappingKeyError(VaultState.LOCKED, str(error), hint) from None
    except keyfile.KeyFileUnreadableError as error:
        raise WrappingKeyError(VaultState.LOCKED, str(error), error.hint) from None
    except derivation.BadWordsError as error:
        raise WrappingKeyError(VaultState.LOCKED, str(error), "choose a longer one") from None
    except OSError as error:
        raise WrappingKeyError(
            VaultState.LOCKED,
            f"the key file {context.key_file} cannot be written: {error.strerror}",
            "check free space and permissions there",
        ) from None
    return fetch(slot, context, passphrase=passphrase)


def discard(slot: WrappedKey, context: UnlockContext, *, prompt: bool) -> None:
    """Remove the wrapping key of an unused slot, if there is one.

    Args:
        prompt: the keyring may ask whether it is to be removed.

    Raises:
        WrappingKeyError: the key still exists; try again later.
    """
    try:
        if slot.kind is SlotKind.KEY_FILE:
            keyfile.remove(context.key_file, slot.id)
        elif slot.kind is SlotKind.KEYRING:
            desktop_keyring.remove(
                KEYRING_SERVICE, slot.id, prompt=prompt, deadline_s=context.keyring_deadline_s
            )
    except (KeyringUnusableError, keyfile.KeyFileUnreadableError) as error:
        raise WrappingKeyError(VaultState.LOCKED, str(error), error.hint) from None
    except OSError as error:
        raise WrappingKeyError(VaultState.LOCKED, f"{context.key_file}: {error.strerror}", "") from None


def _from_key_file(slot: WrappedKey, context: UnlockContext) -> bytes:
    try:
        key = keyfile.read(context.key_file, slot.id)
    except keyfile.KeyFileUnreadableError as error:
        raise WrappingKeyError(VaultState.LOCKED, str(error), error.hint) from None
    if key is None:
        raise WrappingKeyError(
            VaultState.KEY_LOST,
            f"the key file {context.key_file} is missing or has no key for this store",
            _RECOVER,
        )
    return key


def _from_keyring(slot: WrappedKey, context: UnlockContext, *, prompt: bool) -> bytes:
    deadline_s = desktop_keyring.PROMPT_DEADLINE_S if prompt else context.keyring_deadline_s
    try:
        text = desktop_keyring.get(KEYRING_SERVICE, slot.id, prompt=prompt, deadline_s=deadline_s)
    except KeyringUnusableError as error:
        # A keyring that was wiped answers like one that was never set up.
        if error.state is KeyringState.EMPTY:
            raise WrappingKeyError(
                VaultState.KEY_LOST, str(error), f"{error.hint}; or use the recovery code: {_BY_CODE}"
            ) from None
        first = "allow it: nexoctl vault unlock; or, " if error.state is KeyringState.ASKS else ""
        hint = _after_the_dialog(error) if prompt else f"{first}{error.hint}; without a desktop: {_BY_CODE}"
        raise WrappingKeyError(VaultState.LOCKED, str(error), hint) from None
    if text is None:
        raise WrappingKeyError(
            VaultState.KEY_LOST, "the keyring of the desktop has no key for this store any more", _RECOVER
        )
    key = key_from_text(text)
    if key is None:
        raise WrappingKeyError(
            VaultState.TAMPERED, "the key in the keyring of the desktop is damaged", _RECOVER
        )
    return key


def _from_credential(slot: WrappedKey, context: UnlockContext) -> bytes:
    if context.credentials_directory is None:
        raise WrappingKeyError(
            VaultState.LOCKED,
            f"the daemon was started without the systemd credential '{CREDENTIAL_NAME}', which holds the key",
            f"{_UNIT}; then systemctl --user restart nexod",
        )
    path = context.credentials_directory / CREDENTIAL_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrappingKeyError(
            VaultState.KEY_LOST,
            f"the systemd credential '{CREDENTIAL_NAME}' cannot be read: {error.strerror}",
            f"{_UNIT}, or use the recovery code: nexoctl vault unlock --recovery",
        ) from None
    if len(content) not in _CREDENTIAL_BYTES:
        raise WrappingKeyError(
            VaultState.TAMPERED,
            f"the systemd credential '{CREDENTIAL_NAME}' has {len(content)} bytes, not 16 to 4096",
            _RECOVER,
        )
    return derivation.from_credential(content, slot.id)


def _from_passphrase(slot: WrappedKey, passphrase: Secret | None) -> bytes:
    if passphrase is None:
        raise WrappingKeyError(VaultState.LOCKED, "it needs your passphrase", "nexoctl vault unlock")
    try:
        return derivation.from_passphrase(passphrase.reveal(), slot.parameters)
    except derivation.BadWordsError as error:
        raise WrappingKeyError(VaultState.TAMPERED, str(error), _RECOVER) from None
