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
_CALL_MS = 3000


class NoTray(Exception):
    """A tray is not possible here; `fix` says what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}: {fix}")
        self.problem = problem
        self.fix = fix


@frozen
class Gi:
    """The modules of PyGObject that the checks need."""

    gio: Any
    glib: Any


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
    gi = _gi()
    if chosen == "gtk" or (not chosen and not _has_indicator()):
        _check_xembed(environment, wait_s)
        return "gtk"
    if chosen not in ("", "appindicator"):
        raise NoTray(
            f"the backend {chosen} shows no menu",
            "unset PYSTRAY_BACKEND, or set it to appindicator or gtk",
        )
    if not _has_indicator():
        raise NoTray(
            "the typelib of AppIndicator is missing",
            "install it, on Debian and Ubuntu with: sudo apt install gir1.2-ayatanaappindicator3-0.1",
        )
    _check_host(gi, wait_s)
    return "appindicator"


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
    return Gi(repository.Gio, repository.GLib)


def _has_indicator() -> bool:
    gi = importlib.import_module("gi")
    for name in ("AppIndicator3", "AyatanaAppIndicator3"):
        try:
            gi.require_version(name, "0.1")
        except ValueError:
            continue
        return True
    return False


def _check_host(gi: Gi, wait_s: float) -> None:
    try:
        bus = gi.gio.bus_get_sync(gi.gio.BusType.SESSION, None)
    except gi.glib.Error as error:
        raise NoTray(
            f"the D-Bus session bus does not answer ({error.message})",
            "start nexo-tray in a desktop session, or under: dbus-run-session",
        ) from None
    deadline = time.monotonic() + wait_s
    while not _host_answers(bus, gi):
        if time.monotonic() >= deadline:
            raise NoTray(
                "no panel on this desktop shows tray icons (StatusNotifier)",
                "on GNOME install and enable the extension AppIndicator and KStatusNotifierItem Support;"
                " elsewhere add the tray or status plugin to the panel; nexoctl does all that the tray does",
            )
        time.sleep(_POLL_S)


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


def _check_xembed(environment: Mapping[str, str], wait_s: float) -> None:
    """Check for a panel with the older XEmbed protocol: a window that owns the tray selection."""
    from Xlib import display
    from Xlib.error import DisplayError

    if not environment.get("DISPLAY"):
        raise NoTray(
            "the typelib of AppIndicator is missing, and Wayland has no other way to show a tray icon",
            "install it, on Debian and Ubuntu with: sudo apt install gir1.2-ayatanaappindicator3-0.1",
        )
    try:
        screen = display.Display()
    except DisplayError as error:
        raise NoTray(
            f"the display does not answer ({error})", "start nexo-tray in a desktop session"
        ) from None
    try:
        selection = screen.intern_atom(f"_NET_SYSTEM_TRAY_S{screen.get_default_screen()}")
        deadline = time.monotonic() + wait_s
        while not screen.get_selection_owner(selection):
            if time.monotonic() >= deadline:
                raise NoTray(
                    "no panel on this desktop has a tray",
                    "add the tray plugin to the panel, or install gir1.2-ayatanaappindicator3-0.1",
                )
            time.sleep(_POLL_S)
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
