"""Creates the parts of the tray, starts them, and ends them in order."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nexo.connections import loading
from nexo_client.client import Client
from nexo_client.settings import available
from nexo_tray import settings
from nexo_tray.controller import Controller
from nexo_tray.desktop import Desktop
from nexo_tray.gtk_desktop import GtkDesktop
from nexo_tray.link import Painter, SharedState, WatchThread, utc_now
from nexo_tray.model import Click, picture
from nexo_tray.plain_desktop import PlainDesktop
from nexo_tray.state import State
from nexo_tray.view import PanelIcon

# Windows has no SIGHUP.
_HANG_UP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
_USED_LATER = ("nexo.connections", "nexo_client", "nexo_tray")


def run(pystray: Any, scratch: Path, socket: Path, *, chosen_socket: bool, start_daemon: bool) -> int:
    """Show the tray until the user quits it. Has to be called from the main thread.

    Args:
        pystray: the module.
        scratch: a private directory for temporary files.
        socket: the socket of the daemon.
        chosen_socket: the user named the socket.
        start_daemon: start the daemon if it is not running.

    Returns:
        The exit status.
    """
    shared = SharedState(State(notifications=settings.load().notifications, page=available()))
    client = Client(socket)
    desktop: Desktop
    if sys.platform.startswith("linux"):
        desktop = GtkDesktop(scratch, lambda connection_id: controller.why(connection_id))
    else:
        desktop = PlainDesktop()

    def clicked(action: Click) -> None:
        controller.act(action)

    view = PanelIcon(pystray, desktop, picture(shared.state, utc_now()), clicked)
    if isinstance(desktop, PlainDesktop):
        desktop.use(view.icon)
    controller = Controller(client, shared, desktop, view.stop, chosen_socket=chosen_socket)
    painter = Painter(shared, view.paint, controller.reverted)
    listener = WatchThread(client, shared, controller.changed, controller.lost)

    def ready() -> None:
        # Only now, because on macOS pystray sets this handler when it starts.
        desktop.later(lambda: _end_on_signals(view.stop, signal.SIGINT))
        painter.start()
        if start_daemon:
            controller.begin()
        listener.start()
        threading.Thread(target=loading.load, args=(_USED_LATER,), name="tray-imports", daemon=True).start()

    _end_on_signals(view.stop, signal.SIGTERM, *_HANG_UP)
    try:
        view.run(ready)
    finally:
        shared.close()
        client.close()
        listener.stop()
        painter.join()
        controller.close()
    return 0


def _end_on_signals(stop: Callable[[], None], *numbers: int, platform: str = sys.platform) -> None:
    """Quit the tray on these signals, so that a logout or `kill` also removes the icon and its files."""
    if platform.startswith("linux"):
        from gi.repository import GLib

        def end() -> bool:
            stop()
            return True

        for number in numbers:
            GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, end)
        return
    for number in numbers:
        signal.signal(number, lambda *_: stop())
