"""Chooses the pystray backend for this desktop, or reports why no tray is possible and what to do.

Everything is checked before pystray is imported: without a display, its import fails with an Xlib error, and
without a session bus, its main loop fails.
"""

import importlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo.connections.values import frozen

EXIT_UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
WATCHER = "org.kde.StatusNotifierWatcher"
_POLL_S = 0.2
# A panel may start with the older protocol and have the newer one a moment later.
_OLDER_FOR_S = 5.0
_CALL_MS = 3000


_INSTALL_INDICATOR = "install it, on Debian and Ubuntu with: sudo apt install gir1.2-ayatanaappindicator3-0.1"


class NoTray(Exception):
    """A tray is not possible here; `fix` says what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}: {fix}")
        self.problem = problem
        self.fix = fix


@frozen
class Gi:
    """The modules of PyGObject that the checks need; `x11`: GTK uses X11 here, not Wayland."""

    gio: Any
    glib: Any
    x11: bool


def choose_backend(platform: str, environment: Mapping[str, str], user: int, wait_s: float) -> str:
    """The name of the pystray backend to use.

    Args:
        platform: `sys.platform`.
        user: the effective user id; only used on Linux.
        wait_s: how long to wait for a panel, in seconds; at login it may start later.

    Raises:
        NoTray: no backend can be used.
    """
    chosen = environment.get("PYSTRAY_BACKEND", "")
    if platform == "darwin":
        return "darwin"
    if platform == "win32":
        return "win32"
    check_user(user)
    check_session(environment)
    if chosen not in ("", "appindicator", "gtk"):
        raise NoTray(
            f"the backend {chosen} shows no menu",
            "unset PYSTRAY_BACKEND, or set it to appindicator or gtk",
        )
    gi = _gi()
    newer = chosen != "gtk" and _has_indicator()
    if chosen == "appindicator" and not newer:
        raise NoTray("the typelib of AppIndicator is missing", _INSTALL_INDICATOR)
    return _backend_of_panel(gi, wait_s, newer=newer, older=chosen != "appindicator" and gi.x11)


def check_user(user: int) -> None:
    """Refuse root, because session, panel and keys belong to another user.

    Raises:
        NoTray
    """
    if user == 0:
        raise NoTray(
            "nexo-tray does not run as root",
            "start it as the user whose desktop this is, without sudo",
        )


def check_session(environment: Mapping[str, str]) -> None:
    """Refuse a session without a display or a D-Bus session bus.

    Raises:
        NoTray
    """
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        raise NoTray(
            "there is no display (neither WAYLAND_DISPLAY nor DISPLAY is set)",
            "start nexo-tray in a desktop session; without one, nexoctl does the same",
        )
    if environment.get("DBUS_SESSION_BUS_ADDRESS"):
        return
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    # GLib tries this socket if the variable is not set. Otherwise it would launch a new bus without a panel.
    if not runtime or not (Path(runtime) / "bus").exists():
        raise NoTray(
            "there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set)",
            "start nexo-tray in a desktop session, or under: dbus-run-session",
        )


def _gi() -> Gi:
    try:
        gi = importlib.import_module("gi")
        gi.require_version("Gtk", "3.0")
        repository = importlib.import_module("gi.repository")
    except (ImportError, ValueError) as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise NoTray(
            f"PyGObject with GTK 3 is missing for this Python {version} ({error})",
            "on Debian and Ubuntu: sudo apt install python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1"
            " (and let the environment see it: python3 -m venv --system-site-packages)",
        ) from None
    gtk = importlib.import_module("gi.repository.Gtk")
    if not gtk.init_check()[0]:
        shown = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY", "")
        raise NoTray(
            f"the display {shown} does not answer",
            "start nexo-tray in the desktop session that the display belongs to",
        )
    display = importlib.import_module("gi.repository.Gdk").Display.get_default()
    return Gi(repository.Gio, repository.GLib, "X11" in type(display).__name__)


def _has_indicator() -> bool:
    gi = importlib.import_module("gi")
    for name in ("AppIndicator3", "AyatanaAppIndicator3"):
        try:
            gi.require_version(name, "0.1")
        except ValueError:
            continue
        return True
    return False


def _backend_of_panel(gi: Gi, wait_s: float, *, newer: bool, older: bool) -> str:
    """Wait for a panel; returns the backend for its protocol.

    Args:
        newer: StatusNotifier, with AppIndicator, is possible; it is preferred.
        older: XEmbed, with GTK, is possible.
    """
    if not newer and not older:
        raise NoTray(
            "on Wayland only AppIndicator can show a tray icon",
            f"unset PYSTRAY_BACKEND, or {_INSTALL_INDICATOR}",
        )
    bus = _session_bus(gi)
    started = time.monotonic()
    older_since: float | None = None
    while True:
        now = time.monotonic()
        is_last = now - started >= wait_s
        if newer and _host_answers(bus, gi):
            return "appindicator"
        if not older or not _has_xembed_tray():
            older_since = None
        elif older_since is None:
            older_since = now
        if older_since is not None and (is_last or not newer or now - older_since >= _OLDER_FOR_S):
            return "gtk"
        if is_last:
            break
        time.sleep(_POLL_S)
    if newer:
        raise NoTray(
            "no panel on this desktop shows tray icons",
            "on GNOME install and enable the extension AppIndicator and KStatusNotifierItem Support;"
            " elsewhere add the tray or status plugin to the panel; nexoctl does all that the tray does",
        )
    raise NoTray(
        "no panel on this desktop has a tray of the older kind (XEmbed)",
        "add the tray plugin to the panel, or use AppIndicator: unset PYSTRAY_BACKEND,"
        f" and {_INSTALL_INDICATOR}",
    )


def _session_bus(gi: Gi) -> Any:
    try:
        return gi.gio.bus_get_sync(gi.gio.BusType.SESSION, None)
    except gi.glib.Error as error:
        raise NoTray(
            f"the D-Bus session bus does not answer ({error.message})",
            "start nexo-tray in a desktop session, or under: dbus-run-session",
        ) from None


def _host_answers(bus: Any, gi: Gi) -> bool:
    """Whether there is a StatusNotifier watcher, and it reports a host that shows icons."""
    arguments = gi.glib.Variant("(ss)", (WATCHER, "IsStatusNotifierHostRegistered"))
    flags = gi.gio.DBusCallFlags.NO_AUTO_START
    try:
        answer = bus.call_sync(
            WATCHER,
            "/StatusNotifierWatcher",
            "org.freedesktop.DBus.Properties",
            "Get",
            arguments,
            gi.glib.VariantType("(v)"),
            flags,
            _CALL_MS,
            None,
        )
    except gi.glib.Error:
        return False
    return bool(answer.unpack()[0])


def _has_xembed_tray() -> bool:
    """Whether there is a panel with the older protocol: a window that owns the tray selection."""
    from Xlib import display
    from Xlib.error import DisplayError

    try:
        screen = display.Display()
    except DisplayError as error:
        raise NoTray(
            f"the display does not answer ({error})", "start nexo-tray in a desktop session"
        ) from None
    try:
        selection = screen.intern_atom(f"_NET_SYSTEM_TRAY_S{screen.get_default_screen()}")
        return bool(screen.get_selection_owner(selection))
    finally:
        screen.close()


def load_pystray(backend: str) -> Any:
    """Import pystray with a backend.

    Raises:
        NoTray: pystray is not installed, or its backend fails on this desktop.
    """
    os.environ["PYSTRAY_BACKEND"] = backend
    try:
        importlib.import_module("PIL")
        return importlib.import_module("pystray")
    except ImportError as error:
        raise NoTray(
            f"a part of the tray is missing ({error})",
            "install it with: pip install 'nexo-connections[tray]'",
        ) from None
    except Exception as error:  # noqa: BLE001 - backends raise errors of their toolkits
        raise NoTray(
            f"pystray can't use this desktop ({type(error).__name__}: {error})", "see docs/tray.md"
        ) from None
