"""A GTK icon for pystray that updates menu items in place, so that an open menu stays open.

pystray builds a new menu for every update. This closes an open menu, and it makes panels that get thousands
of menus use more and more memory. Here a new menu is built only if items are added or removed.

pystray also waits for the notification service at the start and at the end. awesome 4.3 has one that does not
answer, which kept the icon away for 25 s. The icon does without it; `gtk_desktop` shows the notifications.

libayatana-appindicator 0.5 may miss its moment on a busy computer, as at login, and never tries again:

- It asks for the bus twice. If it hears of the panel before the second answer, it never registers the icon.
- If a panel takes 25 s to answer, or takes over from another at once, it adds a second icon, with the older
  protocol.

So both are checked after each appearance of a panel.

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
# How long libayatana-appindicator has to register the icon with a panel that answers.
_REGISTERED_MS = 2000
_WATCHER_PATH = "/StatusNotifierWatcher"


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
                from gi.repository import Gio

                flags = Gio.BusNameWatcherFlags.NONE
                Gio.bus_watch_name(Gio.BusType.SESSION, WATCHER, flags, self._panel_came, None)

        def _panel_came(self, bus: Any, *_: Any) -> None:
            # A panel that is starting may take long to answer.
            _read(bus, WATCHER, _WATCHER_PATH, WATCHER, "IsStatusNotifierHostRegistered", self._check_later)

        def _check_later(self, bus: Any, _: bool) -> None:
            from gi.repository import GLib

            GLib.timeout_add(_REGISTERED_MS, self._check, bus)

        def _check(self, bus: Any) -> bool:
            """Register the icon if its library has not; remove a second icon."""
            if not self._appindicator.get_property("connected"):
                item = "org.kde.StatusNotifierItem"
                _read(bus, bus.get_unique_name(), self._path, item, "Id", self._register)
            elif _has_second_icon():
                # The library registers the icon again, and then removes the second one.
                self._appindicator.set_menu(self._menu_handle)
            return False

        def _register(self, bus: Any, there: bool) -> None:
            """Register the icon if it is `there`, on the bus; before, a panel would list but not show it."""
            if not there:
                self._check_later(bus, there)
                return
            from gi.repository import Gio, GLib

            path, flags = GLib.Variant("(s)", (self._path,)), Gio.DBusCallFlags.NO_AUTO_START
            method = "RegisterStatusNotifierItem"
            bus.call(WATCHER, _WATCHER_PATH, WATCHER, method, path, None, flags, -1, None, None)

        @property
        def _path(self) -> str:
            return f"/org/ayatana/NotificationItem/{self.name.replace('-', '_')}"

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


def _has_second_icon() -> bool:
    """Whether there is an icon with the older protocol, for which GTK has a window."""
    from gi.repository import Gtk

    return any(window.__gtype__.name == "GtkTrayIcon" for window in Gtk.Window.list_toplevels())


def _read(
    bus: Any, name: str, path: str, interface: str, member: str, then: Callable[[Any, bool], None]
) -> None:
    """Read a property over the bus, and call `then` with the bus and whether there was a value."""
    from gi.repository import Gio, GLib

    def answered(_: Any, result: Any) -> None:
        try:
            bus.call_finish(result)
        except GLib.Error:
            then(bus, False)
        else:
            then(bus, True)

    arguments, flags = GLib.Variant("(ss)", (interface, member)), Gio.DBusCallFlags.NO_AUTO_START
    properties = "org.freedesktop.DBus.Properties"
    bus.call(name, path, properties, "Get", arguments, None, flags, GLib.MAXINT, None, answered)


def _wait_for_bus() -> None:
    """Wait until the session bus has what was sent to it, such as the answer to the click on *Quit*."""
    from gi.repository import Gio, GLib

    name = "org.freedesktop.DBus"
    with suppress(GLib.Error):
        bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
        bus.call_sync(
            name, "/org/freedesktop/DBus", name, "GetId", None, None, Gio.DBusCallFlags.NONE, _BUS_MS, None
        )


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
