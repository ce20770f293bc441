"""What opens the sealed secrets."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from nexo.connections.terms import VaultState
from nexo.connections.values import frozen


class KeySlot(StrEnum):
    """Where the key lies that opens the vault when the daemon starts."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"


@frozen
class Vault:
    """What opens the sealed secrets.

    Attributes:
        slot: None while no key was ever made.
        problem: why it is not unlocked and what to do.
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
    """When the vault locks by itself.

    Attributes:
        idle_s: seconds without a hand-out, 60 to 2 592 000; None: never because of that.
        on_suspend: when the computer goes to sleep.
        on_screen_lock: when the screen of a session of yours is locked.
        problem: why suspend and screen lock are not noticed here, and what to do; said by the daemon.
    """

    idle_s: float | None = None
    on_suspend: bool = False
    on_screen_lock: bool = False
    problem: str = ""


@frozen
class RecoveryCode:
    """Shown to the person once; the repr does not show it."""

    code: str = field(repr=False)
