"""One Chromium for all tests of a file; each test has its own daemon and its own settings screen."""

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
    """The settings of a daemon that runs."""
    return start_settings(surroundings)


@pytest.fixture
def open_page(chromium: Chromium, screen: Settings, surroundings: Surroundings) -> Iterator[Open]:
    """Opens the page in a new tab, by a fresh address; afterwards nothing may have gone wrong in it."""
    tabs: list[Tab] = []

    def open_page(*flags: str, width: int = 1280, height: int = 860, dark: bool = False) -> Tab:
        address = another_address(surroundings, *flags)
        tabs.append(chromium.open(address, width=width, height=height, dark=dark))
        # Whatever it shows, it is there.
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
