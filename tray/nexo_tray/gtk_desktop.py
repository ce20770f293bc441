"""The Linux desktop: GTK 3 for windows and clipboard, D-Bus for notifications.

`gi` is imported in the constructor, so that `start` can first report that it is missing.
Source: Desktop Notifications Specification 1.2.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from nexo_tray.explain import Text
from nexo_tray.icons import Look, icon
from nexo_tray.notices import Notice

_log = logging.getLogger(__name__)
_SERVICE = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_CALL_MS = 5000
_REMEMBERED = 64
_NORMAL, _CRITICAL = 1, 2


class GtkDesktop:
    """GTK and the session bus; see `nexo_tray.desktop.Desktop`.

    Args:
        scratch: a private directory for the icons of notifications.
        on_why: called on the main thread with the id of the connection when its notification is clicked.
    """

    def __init__(self, scratch: Path, on_why: Callable[[str], None]) -> None:
        import gi

        gi.require_version("Gtk", "3.0")
        from gi.repository import Gdk, Gio, GLib, Gtk

        # Window managers and panels show these names.
        GLib.set_prgname("nexo-tray")
        GLib.set_application_name("Nexo Connections")
        self._gdk, self._gio, self._glib, self._gtk = Gdk, Gio, GLib, Gtk
        self._scratch = scratch
        self._on_why = on_why
        self._windows: dict[str, Any] = {}
        self._shown: dict[str, int] = {}
        self._about: dict[int, str] = {}
        self._bus: Any = None

    def later(self, act: Callable[[], None]) -> None:
        """See `Desktop.later`."""

        def once() -> bool:
            act()
            return False

        self._glib.idle_add(once)

    def show(self, text: Text) -> None:
        """See `Desktop.show`."""
        self.later(lambda: self._show(text))

    def copy(self, text: str) -> None:
        """See `Desktop.copy`."""

        def put() -> None:
            clipboard = self._gtk.Clipboard.get(self._gdk.SELECTION_CLIPBOARD)
            clipboard.set_text(text, -1)
            # Copies it to the clipboard manager, so that it outlives the tray.
            clipboard.store()

        self.later(put)

    def notify(self, notice: Notice) -> None:
        """See `Desktop.notify`."""
        self.later(lambda: self._notify(notice))

    def _show(self, text: Text) -> None:
        window = self._windows.get(text.title)
        if window is None:
            window = self._gtk.MessageDialog(
                message_type=self._gtk.MessageType.INFO, buttons=self._gtk.ButtonsType.CLOSE, text=text.title
            )
            window.set_title(text.title if text.title.startswith("Nexo") else f"Nexo: {text.title}")
            window.set_skip_taskbar_hint(False)
            self._windows[text.title] = window
            window.connect("response", lambda dialog, _: dialog.destroy())
            window.connect("destroy", lambda _: self._windows.pop(text.title, None))
        window.set_property("secondary-text", text.body)
        for child in window.get_message_area().get_children():
            child.set_selectable(True)
        window.present_with_time(self._gtk.get_current_event_time())

    def _notify(self, notice: Notice) -> None:
        try:
            if self._bus is None:
                self._bus = self._gio.bus_get_sync(self._gio.BusType.SESSION, None)
                self._listen("ActionInvoked", self._clicked)
                self._listen("NotificationClosed", self._closed)
        except self._glib.Error as error:
            _log.warning("no notification: %s", error.message)
            return
        self._call("GetCapabilities", None, "(as)", lambda reply: self._send(notice, reply[0]))

    def _send(self, notice: Notice, abilities: list[str]) -> None:
        body = escape(notice.body) if "body-markup" in abilities else notice.body
        # The action "default" is a click on the notification itself.
        actions = ["default", "Why?"] if notice.about and "actions" in abilities else []
        variant = self._glib.Variant
        arguments = variant(
            "(susssasa{sv}i)",
            (
                "Nexo Connections",
                self._shown.get(notice.about, 0) if notice.about else 0,
                self._picture(notice.look),
                notice.title,
                body,
                actions,
                {
                    "urgency": variant("y", _CRITICAL if notice.urgent else _NORMAL),
                    "desktop-entry": variant("s", "nexo-tray"),
                    "category": variant("s", "network"),
                },
                -1,
            ),
        )
        self._call("Notify", arguments, "(u)", lambda reply: self._sent(notice, reply[0]))

    def _sent(self, notice: Notice, number: int) -> None:
        if not notice.about:
            return
        self._shown[notice.about] = number
        self._about[number] = notice.about
        # Bounded, because some services never report that a notification was closed.
        while len(self._about) > _REMEMBERED:
            self._forget(next(iter(self._about)))

    def _forget(self, number: int) -> None:
        about = self._about.pop(number, None)
        if about is not None and self._shown.get(about) == number:
            del self._shown[about]

    def _clicked(self, arguments: Any) -> None:
        about = self._about.get(arguments[0])
        if about is not None:
            self._on_why(about)

    def _closed(self, arguments: Any) -> None:
        self._forget(arguments[0])

    def _picture(self, look: Look) -> str:
        file = self._scratch / f"notice-{look}.png"
        if not file.exists():
            icon(look, 64).save(file, "PNG")
        return str(file)

    def _listen(self, signal: str, act: Callable[[Any], None]) -> None:
        def received(*event: Any) -> None:
            act(event[5].unpack())

        flags = self._gio.DBusSignalFlags.NONE
        self._bus.signal_subscribe(_SERVICE, _SERVICE, signal, _PATH, None, flags, received)

    def _call(self, method: str, arguments: Any, reply: str, then: Callable[[Any], None]) -> None:
        def done(bus: Any, result: Any) -> None:
            try:
                answer = bus.call_finish(result).unpack()
            except self._glib.Error as error:
                # Without a notification service, the menu still has the information.
                _log.info("%s: %s", method, error.message)
                return
            then(answer)

        self._bus.call(
            _SERVICE,
            _PATH,
            _SERVICE,
            method,
            arguments,
            self._glib.VariantType(reply),
            self._gio.DBusCallFlags.NONE,
            _CALL_MS,
            None,
            done,
        )
