"""Displays pictures with pystray. No other module uses pystray's API.

The input are `Picture`s, the output are `Click`s. Updates run on the main thread on every platform; pystray
itself ensures this only on GTK.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from nexo_tray.desktop import Desktop
from nexo_tray.icons import icon
from nexo_tray.model import Click, MenuItem, Picture

ICON_SIZE = 64
"""In pixels. Panels scale it down: evenly to 16 and 32, and with good results to 22, 24 and 48."""
_TOOLTIP_LIMIT = 127 if sys.platform == "win32" else 512


class PanelIcon:
    """The icon in the panel.

    Args:
        pystray: the module, from `start.load_pystray`.
        first: the first picture.
        act: called with each click, on the main thread; must not block.
    """

    def __init__(
        self,
        pystray: Any,
        desktop: Desktop,
        first: Picture,
        act: Callable[[Click], None],
        platform: str = sys.platform,
    ) -> None:
        self._pystray = pystray
        self._platform = platform
        self._desktop = desktop
        self._act = act
        self._picture = first
        # The icon must not be used before it runs.
        self._running = False
        self.icon = self._icon_class()(
            "nexo-tray",
            icon(first.look, ICON_SIZE),
            first.tooltip[:_TOOLTIP_LIMIT],
            pystray.Menu(lambda: self._built(self._picture.menu, ())),
        )
        self.icon.lines = lambda: self._picture.menu

    def run(self, ready: Callable[[], None]) -> None:
        """Show the icon until `stop`. Has to be called from the main thread.

        Args:
            ready: called on another thread when the icon is shown.
        """

        def setup(running: Any) -> None:
            running.visible = True
            self._running = True
            ready()

        self.icon.run(setup)

    def paint(self, picture: Picture) -> None:
        """Show a picture. May be called from any thread."""
        self._desktop.later(partial(self._paint, picture))

    def stop(self) -> None:
        """Remove the icon and end `run`. May be called from any thread."""
        self._desktop.later(self.icon.stop)

    def _paint(self, picture: Picture) -> None:
        before, self._picture = self._picture, picture
        if not self._running:
            return
        if picture.look is not before.look:
            self.icon.icon = icon(picture.look, ICON_SIZE)
        self.icon.title = picture.tooltip[:_TOOLTIP_LIMIT]
        if picture.menu != before.menu:
            self.icon.update_menu()

    def _built(self, items: tuple[MenuItem, ...], above: tuple[int, ...]) -> Iterator[Any]:
        for number, item in enumerate(items):
            path = (*above, number)
            if item.separator:
                yield self._pystray.Menu.SEPARATOR
                continue
            yield self._pystray.MenuItem(
                escaped(item.label, self._platform),
                self._pystray.Menu(*self._built(item.children, path))
                if item.children
                else partial(self._clicked, path),
                checked=None if item.checked is None else (lambda _, checked=item.checked: checked),
                radio=item.radio,
                enabled=item.enabled,
            )

    def _clicked(self, path: tuple[int, ...], *_: Any) -> None:
        item = item_at(self._picture.menu, path)
        # Panels also report clicks on disabled items.
        if item is not None and item.action is not None and item.enabled:
            self._act(item.action)

    def _icon_class(self) -> Any:
        if self._platform.startswith("linux"):
            from nexo_tray.gtk_icon import steady

            return steady(self._pystray.Icon)
        return self._pystray.Icon


def item_at(menu: tuple[MenuItem, ...], path: tuple[int, ...]) -> MenuItem | None:
    """The item at a path of positions; None if the menu has become shorter since it was displayed."""
    item = MenuItem(children=menu)
    for number in path:
        if number >= len(item.children):
            return None
        item = item.children[number]
    return item


def escaped(label: str, platform: str) -> str:
    """A label for the platform's toolkit; on Windows `&` marks a keyboard shortcut and has to be doubled.

    GTK's menus take plain text, and libdbusmenu doubles underscores itself.
    """
    return label.replace("&", "&&") if platform == "win32" else label
