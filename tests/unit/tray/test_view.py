"""The seam to pystray: lines become its menu, clicks become actions, and greyed lines do nothing."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from nexo_tray.explain import Text
from nexo_tray.gtk_icon import same_lines
from nexo_tray.icons import Look
from nexo_tray.model import SEPARATOR, Click, Do, MenuItem, Picture
from nexo_tray.notices import Notice
from nexo_tray.view import PanelIcon, escaped, item_at

MENU = (
    MenuItem("work — healthy", enabled=False, action=Click(Do.ABOUT)),
    SEPARATOR,
    MenuItem("● work & co", Click(Do.SWITCH, "1"), checked=True, radio=True),
    MenuItem("○ old", Click(Do.SWITCH, "2"), checked=False, radio=True, enabled=False),
    SEPARATOR,
    MenuItem(
        "Connections", children=(MenuItem("work", children=(MenuItem("Test now", Click(Do.TEST, "1")),)),)
    ),
    MenuItem("Quit tray", Click(Do.QUIT)),
)


class Direct:
    """A desktop whose main thread is the caller's."""

    def later(self, act: Callable[[], None]) -> None:
        act()

    def show(self, text: Text) -> None: ...
    def copy(self, text: str) -> None: ...
    def notify(self, notice: Notice) -> None: ...


@pytest.fixture
def pystray(monkeypatch: pytest.MonkeyPatch) -> Any:
    """pystray with its backend that draws nothing."""
    monkeypatch.setenv("PYSTRAY_BACKEND", "dummy")
    return importlib.import_module("pystray")


@pytest.fixture
def clicks() -> list[Click]:
    return []


@pytest.fixture
def view(pystray: Any, clicks: list[Click]) -> PanelIcon:
    first = Picture(Look.HEALTHY, "Nexo: work", MENU)
    return PanelIcon(pystray, Direct(), first, clicks.append, platform="darwin")


def find(view: PanelIcon, text: str) -> Any:
    def walk(items: Any) -> Any:
        for item in items:
            yield item
            yield from walk(item.submenu or ())

    return next(item for item in walk(view.icon.menu) if item.text == text)


def test_lines_marks_and_submenus_are_handed_over(view: PanelIcon) -> None:
    drawn = list(view.icon.menu)
    assert [item.text for item in drawn if item.text != "- - - -"] == [
        "work — healthy",
        "● work & co",
        "○ old",
        "Connections",
        "Quit tray",
    ]
    assert [(item.checked, item.radio, item.enabled) for item in drawn[2:4]] == [
        (True, True, True),
        (False, True, False),
    ]
    assert view.icon.name == "nexo-tray"
    assert view.icon.title == "Nexo: work"


def test_a_click_becomes_an_action(view: PanelIcon, clicks: list[Click]) -> None:
    find(view, "● work & co")(view.icon)
    find(view, "Test now")(view.icon)
    find(view, "Quit tray")(view.icon)
    assert clicks == [Click(Do.SWITCH, "1"), Click(Do.TEST, "1"), Click(Do.QUIT)]


def test_a_click_on_a_greyed_line_is_ignored(view: PanelIcon, clicks: list[Click]) -> None:
    find(view, "○ old")(view.icon)
    find(view, "work — healthy")(view.icon)
    assert clicks == []


def test_a_click_means_what_the_line_says_now(view: PanelIcon, clicks: list[Click]) -> None:
    drawn = find(view, "● work & co")
    greyed = tuple(
        MenuItem(i.label, i.action, False, i.checked, i.radio, i.children, i.separator) for i in MENU
    )
    view.paint(Picture(Look.AWAY, "Nexo: away", greyed))
    drawn(view.icon)
    assert clicks == []


def test_a_click_on_a_line_that_is_gone_is_ignored(view: PanelIcon, clicks: list[Click]) -> None:
    drawn = find(view, "Quit tray")
    view.paint(Picture(Look.AWAY, "Nexo: away", MENU[:2]))
    drawn(view.icon)
    assert clicks == []


def test_paths() -> None:
    assert item_at(MENU, (5, 0, 0)).label == "Test now"
    assert item_at(MENU, (5, 0, 1)) is None
    assert item_at(MENU, (7,)) is None


def test_the_character_of_shortcuts_is_doubled_where_there_are_shortcuts() -> None:
    assert escaped("a & b_c", "win32") == "a && b_c"
    assert escaped("a & b_c", "linux") == "a & b_c"


def test_a_menu_is_kept_for_labels_and_marks_and_built_anew_for_lines() -> None:
    def changed(**facts: object) -> tuple[MenuItem, ...]:
        old = MENU[2]
        given = {"label": old.label, "action": old.action, "enabled": True, "checked": True, "radio": True}
        return (*MENU[:2], MenuItem(**given | facts), *MENU[3:])

    assert same_lines(MENU, changed(label="✕ work", checked=False, enabled=False))
    assert not same_lines(MENU, changed(action=Click(Do.SWITCH, "3")))
    assert not same_lines(MENU, changed(checked=None))
    assert not same_lines(MENU, MENU[:-1])
    assert not same_lines(MENU, (*MENU[:5], MenuItem("Connections", children=()), MENU[6]))
