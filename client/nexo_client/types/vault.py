"""What opens the sealed secrets."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nexo_client.terms import VaultState


class KeySlot(StrEnum):
    """Where the key lies that opens the vault when the daemon starts."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """Shown to the person once; the repr does not show it."""

    code: str = field(repr=False)
