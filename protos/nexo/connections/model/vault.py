"""The vault, which seals the secrets."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from nexo.connections.terms import VaultState
from nexo.connections.values import frozen


class KeySlot(StrEnum):
    """The place of the key that opens the vault at the start of the daemon."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"


@frozen
class Vault:
    """The state of the vault.

    Attributes:
        slot: None before the first key was created.
        problem: why it is not unlocked, and the next step.
        recovery_made_at: None if there is no recovery code.
    """

    state: VaultState | None
    slot: KeySlot | None
    problem: str
    slot_made_at: datetime | None
    data_key_made_at: datetime | None
    recovery_made_at: datetime | None


@frozen
class AutoLock:
    """The auto-lock setting.

    Attributes:
        idle_s: seconds without a hand-out, 60 to 2 592 000; None disables it.
        on_suspend: lock when the computer goes to sleep.
        on_screen_lock: lock when the screen of a session of this user is locked.
        problem: why suspend and screen lock cannot be noticed, and the next step; set by the daemon.
    """

    idle_s: float | None = None
    on_suspend: bool = False
    on_screen_lock: bool = False
    problem: str = ""


@frozen
class RecoveryCode:
    """A recovery code, which is shown to the person once; the repr does not show it."""

    code: str = field(repr=False)
