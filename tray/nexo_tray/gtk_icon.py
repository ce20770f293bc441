"""How is an open menu kept open while its labels change? By changing the lines in place, on GTK.

pystray builds a new menu for every update: an open one closes under the person's pointer, and panels that
are sent thousands of menus grow. Here a menu is built anew only when lines come or go. Leans on names of
pystray 0.19 that begin with an underscore, which is why `pyproject.toml` keeps it below 0.20.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from nexo_tray.model import MenuItem

# The answer to a click is painted sooner; this mends the mark that GTK has toggled when nothing changes.
_MEND_MS = 200


def same_lines(before: tuple[MenuItem, ...], after: tuple[MenuItem, ...]) -> bool:
    """Whether one menu can become the other by changing labels, marks and greying alone."""
    return len(before) == len(after) and all(
        old.separator == new.separator
        and old.action == new.action
        and old.radio == new.radio
        and (old.checked is None) == (new.checked is None)
        and same_lines(old.children, new.children)
        for old, new in zip(before, after, strict=True)
    )


@cache
def steady(base: Any) -> Any:
    """pystray's GTK icon class `base`, with menus that change in place."""

    class SteadyIcon(base):  # type: ignore[misc]  # its type is known at run time only
        """Set `lines` before it runs: it returns the items of the picture to show."""

        lines: Callable[[], tuple[MenuItem, ...]]
        _drawn: tuple[MenuItem, ...] | None = None
        _syncing = False

        def _update_menu(self) -> None:
            """On the main thread only, which `View` takes care of."""
            lines = self.lines()
            if self._drawn is not None and same_lines(self._drawn, lines):
                self._syncing = True
                try:
                    _sync(self._menu_handle, lines, exported=hasattr(self, "_appindicator"))
                finally:
                    self._syncing = False
            else:
                # The body of pystray's own method, without the detour over the main loop.
                base._update_menu.__wrapped__(self)
            self._drawn = lines

        def _handler(self, callback: Any) -> Any:
            def clicked(*_: Any) -> None:
                # Setting a mark counts as a click for GTK.
                if self._syncing:
                    return
                from gi.repository import GLib

                callback(self)
                GLib.timeout_add(_MEND_MS, self._mend)

            return clicked

        def _mend(self) -> bool:
            self._update_menu()
            return False

    return SteadyIcon


def _sync(menu: Any, items: tuple[MenuItem, ...], *, exported: bool) -> None:
    """Make the widgets show the items; `exported` when a panel draws them, which libdbusmenu tells it."""
    for widget, item in zip(menu.get_children(), items, strict=True):
        if item.separator:
            continue
        # libdbusmenu 16.04 doubles the underscores of a new line, and forgets to when a label changes.
        label = item.label.replace("_", "__") if exported else item.label
        if widget.get_label() != label:
            widget.set_label(label)
        if widget.get_sensitive() != item.enabled:
            widget.set_sensitive(item.enabled)
        if item.checked is not None and widget.get_active() != item.checked:
            widget.set_active(item.checked)
        if item.children:
            _sync(widget.get_submenu(), item.children, exported=exported)
