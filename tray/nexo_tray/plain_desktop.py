"""The desktop on macOS and Windows, with pystray and system commands.

This project has run neither on a real desktop; `docs/tray.md` lists what was tested.
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
# Windows truncates longer texts.
_TITLE_LIMIT, _BODY_LIMIT = 63, 255


class PlainDesktop:
    """See `nexo_tray.desktop.Desktop`. Texts are shown as notifications, because pystray has no windows."""

    def __init__(self) -> None:
        self._icon: Any = None
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def use(self, icon: Any) -> None:
        """Set pystray's icon, which shows notifications and whose main loop runs the calls of `later`."""
        self._icon = icon
        if sys.platform == "win32":
            icon._message_handlers[_WM_ACT] = self._act

    def later(self, act: Callable[[], None]) -> None:
        """See `Desktop.later`."""
        if sys.platform == "darwin":
            # AppKit may only be used on the main thread, which pystray does not ensure.
            from PyObjCTools import AppHelper

            AppHelper.callAfter(act)
        elif sys.platform == "win32":
            # A window and its menus belong to the thread that created them; a message is handled there.
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
        """See `Desktop.notify`; clicks are not reported here."""
        self._tell(notice.title, notice.body)

    def _tell(self, title: str, body: str) -> None:
        self.later(lambda: self._icon.notify(body[:_BODY_LIMIT], title[:_TITLE_LIMIT]))
