"""Key slots: the data key, wrapped by a key that is kept outside the store. Values and pure functions."""

import enum
import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime

from nexo.connections.values import frozen
from nexo_daemon.vault import sealing


class SlotKind(enum.StrEnum):
    """Where the wrapping key is kept."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"
    RECOVERY = "recovery"


class SlotState(enum.StrEnum):
    """The purpose of a slot."""

    PINNED = "pinned"
    """It opens the vault at start. There is exactly one."""
    RECOVERY = "recovery"
    PENDING = "pending"
    """Its wrapping key is being created; it wraps nothing yet."""
    RETIRED = "retired"
    """Its wrapping key still has to be removed; it wraps nothing any more."""


@frozen
class WrappedKey:
    """A key slot, as stored.

    Attributes:
        parameters: of the key derivation, and the place of the wrapping key; nothing secret.
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
        """Unwrap the data key.

        Raises:
            DoesNotOpenError: the wrapping key is another one, or the row was changed.
        """
        if self.data_key_id is None or self.nonce is None or self.wrapped is None:
            raise sealing.DoesNotOpenError
        return sealing.unseal(slot_key, self.nonce, self.wrapped, self._associated_data(self.data_key_id))

    def emptied(self, state: SlotState) -> "WrappedKey":
        """This slot without the data key."""
        return replace(self, state=state, data_key_id=None, nonce=None, wrapped=None)
