"""A data key is wrapped for one row: what somebody moved in the store does not open."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nexo_daemon.vault.sealing import DoesNotOpenError, new_key
from nexo_daemon.vault.slots import SlotKind, SlotState, WrappedKey

SLOT = WrappedKey("slot", SlotKind.KEY_FILE, SlotState.PINNED, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_wrapped_key_opens_with_its_key_in_its_own_row_only() -> None:
    data_key, slot_key = new_key(), new_key()
    wrapped = SLOT.wrapping("data", data_key, slot_key, SlotState.PINNED)
    assert wrapped.unwrap(slot_key) == data_key
    moved = (
        replace(wrapped, id="another"),
        replace(wrapped, kind=SlotKind.RECOVERY),
        replace(wrapped, data_key_id="another"),
        SLOT.wrapping("data", data_key, new_key(), SlotState.PINNED),
        wrapped.emptied(SlotState.PINNED),
    )
    for row in moved:
        with pytest.raises(DoesNotOpenError):
            row.unwrap(slot_key)
