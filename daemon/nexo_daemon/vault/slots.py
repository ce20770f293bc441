"""What a key slot is: the data key, wrapped by a key that lives somewhere else. Values and pure functions."""

import enum
import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime

from nexo.connections.values import frozen
from nexo_daemon.vault import sealing


class SlotKind(enum.StrEnum):
    """Where the key that wraps the data key lives."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"
    RECOVERY = "recovery"


class SlotState(enum.StrEnum):
    """What a slot is for at the moment."""

    PINNED = "pinned"
    """The one that opens the vault at start. There is exactly one."""
    RECOVERY = "recovery"
    PENDING = "pending"
    """Its wrapping key is being made; it wraps nothing yet."""
    RETIRED = "retired"
    """Its wrapping key is still to be removed; it wraps nothing any more."""


@frozen
class WrappedKey:
    """A row of the store.

    Attributes:
        parameters: of the key derivation, and where the wrapping key lies; nothing secret.
    """

    id: str
    kind: SlotKind
    state: SlotState
    created_at: datetime
    data_key_id: str | None = None
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    nonce: bytes | None = field(default=None, repr=False)
    wrapped: bytes | None = field(default=None, repr=False)

    def _associated_data(self, data_key_id: str) -> bytes:
        return json.dumps(
            ["nexo", 1, "key_slots", self.id, self.kind, data_key_id], separators=(",", ":")
        ).encode("ascii")

    def wrapping(self, data_key_id: str, data_key: bytes, slot_key: bytes, state: SlotState) -> "WrappedKey":
        """This slot with the data key in it."""
        nonce, wrapped = sealing.seal(slot_key, data_key, self._associated_data(data_key_id))
        return replace(self, state=state, data_key_id=data_key_id, nonce=nonce, wrapped=wrapped)

    def unwrap(self, slot_key: bytes) -> bytes:
        """The data key.

        Raises:
            DoesNotOpenError: another key, or the row was changed.
        """
        if self.data_key_id is None or self.nonce is None or self.wrapped is None:
            raise sealing.DoesNotOpenError
        return sealing.unseal(slot_key, self.nonce, self.wrapped, self._associated_data(self.data_key_id))

    def emptied(self, state: SlotState) -> "WrappedKey":
        """This slot without the data key."""
        return replace(self, state=state, data_key_id=None, nonce=None, wrapped=None)
