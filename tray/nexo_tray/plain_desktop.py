"""How does the tray use macOS and Windows? With what pystray and the system's own commands offer.

Neither has been run on a real desktop by this project; `docs/tray.md` says what was.
"""

import queue
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from nexo_tray.explain import Text
from nexo_tray.notices import Notice

_COMMAND_S = 10
# The first message number that Windows leaves to applications is 0x8000; pystray uses WM_USER ones.
_WM_ACT = 0x8000 + 77
# Windows cuts what is longer.
_TITLE_LIMIT, _BODY_LIMIT = 63, 255


class PlainDesktop:
    """See `nexo_tray.desktop.Desktop`. Texts appear as notifications; pystray has no windows."""

    def __init__(self) -> None:
        self._icon: Any = None
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def use(self, icon: Any) -> None:
        """Take pystray's icon, which notifies, and whose main loop runs what `later` is given."""
        self._icon = icon
        if sys.platform == "win32":
            icon._message_handlers[_WM_ACT] = self._act

    def later(self, act: Callable[[], None]) -> None:
        """See `Desktop.later`."""
        if sys.platform == "darwin":
            # AppKit may be used from the main thread alone; pystray does not see to that.
            from PyObjCTools import AppHelper

            AppHelper.callAfter(act)
        elif sys.platform == "win32":
            # A window and its menus belong to the thread that made them; a message brings us there.
            from pystray._util import win32

            self._acts.put(act)
            win32.PostMessage(self._icon._hwnd, _WM_ACT, 0, 0)
        else:
            raise RuntimeError(f"for macOS and Windows, not for {sys.platform}")

    def _act(self, _wparam: int, _lparam: int) -> int:
        while not self._acts.empty():
            self._acts.get_nowait()()
        return 0

    def show(self, text: Text) -> None:
        """See `Desktop.show`."""
        self._tell(text.title, text.body)

    def copy(self, text: str) -> None:
        """See `Desktop.copy`."""
        command = ["pbcopy"] if sys.platform == "darwin" else ["clip"]
        subprocess.run(command, input=text.encode(), timeout=_COMMAND_S, check=False)

    def notify(self, notice: Notice) -> None:
        """See `Desktop.notify`; a click can't be followed here."""
        self._tell(notice.title, notice.body)

    def _tell(self, title: str, body: str) -> None:
        self.later(lambda: self._icon.notify(body[:_BODY_LIMIT], title[:_TITLE_LIMIT]))
