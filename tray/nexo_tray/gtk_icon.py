"""A GTK icon for pystray that updates menu items in place, so that an open menu stays open.

pystray builds a new menu for every update. This closes an open menu, and it makes panels that get thousands
of menus use more and more memory. Here a new menu is built only if items are added or removed.

pystray also waits for the notification service at the start and at the end. awesome 4.3 has one that does not
answer, which kept the icon away for 25 s. The icon does without it; `gtk_desktop` shows the notifications.

libayatana-appindicator 0.5 asks for the bus twice. If it hears of the panel before the second answer, it
never registers the icon (`name_appeared_handler`), as may happen on a computer that is busy with a login.

This module uses private names of pystray 0.19, so `pyproject.toml` requires a version below 0.20.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from nexo_tray.model import MenuItem
from nexo_tray.start import WATCHER

# After this time, the check mark that GTK toggled on a click is corrected if the click changed nothing.
_MEND_MS = 200
_BUS_MS = 1000
# How long libayatana-appindicator has to register the icon with the panel.
_REGISTERED_MS = 2000


def same_lines(before: tuple[MenuItem, ...], after: tuple[MenuItem, ...]) -> bool:
    """Whether the menus differ only in labels, check marks and enabled states."""
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
    """A subclass of pystray's GTK icon class `base` whose menus are updated in place."""

    class SteadyIcon(base):  # type: ignore[misc]  # its type is known at run time only
        """`lines` has to be set before the icon runs; it returns the menu items to show."""

        lines: Callable[[], tuple[MenuItem, ...]]
        _drawn: tuple[MenuItem, ...] | None = None
        _syncing = False

        def _initialize(self) -> None:
            self._mark_ready()
            if hasattr(self, "_appindicator"):
                from gi.repository import GLib

                GLib.timeout_add(_REGISTERED_MS, self._register)

        def _register(self) -> bool:
            """Register the icon with the panel if its library has not; it has put it on the bus."""
            if not self._appindicator.get_property("connected"):
                path = f"/org/ayatana/NotificationItem/{self.name.replace('-', '_')}"
                _call(WATCHER, "/StatusNotifierWatcher", "RegisterStatusNotifierItem", path)
            return False

        def _finalize(self) -> None:
            self._remove_fs_icon()
            if hasattr(self, "_appindicator"):
                # Without this reference the icon leaves the panel, and the connection to the bus ends.
                _wait_for_bus()
                del self._appindicator

        def _update_title(self) -> None:
            base._update_title(self)
            if hasattr(self, "_status_icon"):
                # Panels with the older protocol do not show the title.
                self._status_icon.set_tooltip_text(self.title)

        def _on_status_icon_activate(self, status_icon: Any) -> None:
            """A left click in a panel with the older protocol; pystray has no menu for it."""
            self._on_status_icon_popup_menu(status_icon, 0, 0)

        def _update_menu(self) -> None:
            """Called on the main thread only, which `PanelIcon` ensures."""
            lines = self.lines()
            if self._drawn is not None and same_lines(self._drawn, lines):
                self._syncing = True
                try:
                    _sync(self._menu_handle, lines, exported=hasattr(self, "_appindicator"))
                finally:
                    self._syncing = False
            else:
                # pystray's own method without its decorator, which would defer it to the main loop.
                base._update_menu.__wrapped__(self)
            self._drawn = lines

        def _handler(self, callback: Any) -> Any:
            def clicked(*_: Any) -> None:
                # GTK also reports a click when the program sets a check mark.
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


def _wait_for_bus() -> None:
    """Wait until the session bus has what was sent to it, such as the answer to the click on *Quit*."""
    _call("org.freedesktop.DBus", "/org/freedesktop/DBus", "GetId")


def _call(name: str, path: str, method: str, *arguments: str) -> None:
    """Call a method of the interface `name` on the session bus; an error or no answer is ignored."""
    from gi.repository import Gio, GLib

    values = GLib.Variant(f"({'s' * len(arguments)})", arguments)
    with suppress(GLib.Error):
        bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
        bus.call_sync(name, path, name, method, values, None, Gio.DBusCallFlags.NO_AUTO_START, _BUS_MS, None)


def _sync(menu: Any, items: tuple[MenuItem, ...], *, exported: bool) -> None:
    """Update the widgets to show the items; `exported`: libdbusmenu exports them to a panel."""
    for widget, item in zip(menu.get_children(), items, strict=True):
        if item.separator:
            continue
        # libdbusmenu 16.04 doubles underscores in the label of a new item, but not in a changed label.
        label = item.label.replace("_", "__") if exported else item.label
        if widget.get_label() != label:
            widget.set_label(label)
        if widget.get_sensitive() != item.enabled:
            widget.set_sensitive(item.enabled)
        if item.checked is not None and widget.get_active() != item.checked:
            widget.set_active(item.checked)
        if item.children:
            _sync(widget.get_submenu(), item.children, exported=exported)
