"""Fixtures for browser tests: a Chromium for each file, a daemon and a settings screen for each test."""

from collections.abc import Iterator

import pytest

from chromium import Chromium, Open, Tab
from settings_parts import Settings, another_address, start_settings
from surroundings import Nexod, Surroundings


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The browser."""
    with Chromium() as running:
        yield running


@pytest.fixture
def screen(nexod: Nexod, surroundings: Surroundings) -> Settings:
    """The settings screen of a running daemon."""
    return start_settings(surroundings)


@pytest.fixture
def open_page(chromium: Chromium, screen: Settings, surroundings: Surroundings) -> Iterator[Open]:
    """Opens the page in a new tab, with a new address; at the end, fails if the page had a problem."""
    tabs: list[Tab] = []

    def open_page(*flags: str, width: int = 1280, height: int = 860, dark: bool = False) -> Tab:
        address = another_address(surroundings, *flags)
        tabs.append(chromium.open(address, width=width, height=height, dark=dark))
        # Wait until the page has been drawn.
        drawn = "document.querySelector('h1') && !document.querySelector('#first')"
        tabs[-1].wait(drawn, "the page is drawn")
        return tabs[-1]

    yield open_page
    for tab in tabs:
        problems = tab.problems()
        tab.close()
        assert not problems


@pytest.fixture
def tab(open_page: Open) -> Tab:
    """The page in a tab."""
    return open_page()
