"""Fixtures: the directory of a store, and the open store, which is closed when the test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo_daemon.store.store import Store
from store_parts import HandClock, StorePlace


@pytest.fixture
def place(tmp_path: Path) -> StorePlace:
    return StorePlace(tmp_path, HandClock())


@pytest.fixture
def store(place: StorePlace) -> Iterator[Store]:
    opened = place.open()
    yield opened
    opened.close()
