"""Fixtures for tests of the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo_daemon.store.store import Store
from store_parts import HandClock, StorePlace, put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A real store with one connection."""
    store = StorePlace(tmp_path / "store", HandClock()).open()
    put(store, 1)
    yield store
    store.close()
