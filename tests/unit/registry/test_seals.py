"""A start names the connections whose secrets do not open, and no others."""

import asyncio
from collections.abc import Callable

import pytest

from nexo.connections.terms import VaultState
from nexo_daemon.registry.upkeep import try_seals
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.store import Store
from store_parts import HandClock, put


def _lock(store: Store) -> None:
    store.vault.shut(VaultState.LOCKED, "", "for this test", "")


@pytest.mark.parametrize(
    ("prepare", "named"), [(lambda _: None, ["'Work 2'"]), (_lock, [])], ids=["open", "locked"]
)
def test_a_seal_that_is_broken_is_named_at_the_start(
    store: Store, caplog: pytest.LogCaptureFixture, prepare: Callable[[Store], None], named: list[str]
) -> None:
    put(store, *range(2, 60))
    with store.database.begin() as db:
        db.sqlite.execute("UPDATE secrets SET ciphertext=zeroblob(40) WHERE connection_id='id-2'")
    store.reload()
    prepare(store)
    asyncio.run(try_seals(Writer(store, HandClock())))
    assert len(caplog.messages) == len(named)
    assert all(name in message for name, message in zip(named, caplog.messages, strict=True))
