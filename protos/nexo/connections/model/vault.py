"""The vault, which holds the key that opens the sealed secrets."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from nexo.connections.terms import VaultState
from nexo.connections.values import frozen, not_pickled


class KeySlot(StrEnum):
    """Where the key is kept that opens the vault when the daemon starts."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"


@frozen
class Vault:
    """The state of the vault.

    Attributes:
        slot: None before the first key is made.
        problem: why the vault is not unlocked, and what to do.
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
    """When the vault locks automatically.

    Attributes:
        idle_s: after so many seconds without a hand-out, 60 to 2 592 000; None disables this.
        on_suspend: when the computer is suspended.
        on_screen_lock: when the screen of one of the user's sessions is locked.
        problem: why suspend and screen lock cannot be noticed, and what to do; set by the daemon.
    """

    idle_s: float | None = None
    on_suspend: bool = False
    on_screen_lock: bool = False
    problem: str = ""


@not_pickled
@frozen
class RecoveryCode:
    """A recovery code, which is shown to the person once; the repr does not show it."""

    code: str = field(repr=False)
