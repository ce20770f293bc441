"""The interface to the desktop, apart from the icon.

`gtk_desktop` implements it for Linux, `plain_desktop` for macOS and Windows. Every method may be called from
any thread.
"""

from collections.abc import Callable
from typing import Protocol

from nexo_tray.explain import Text
from nexo_tray.notices import Notice


class Desktop(Protocol):
    """Windows, clipboard, notifications, and calls on the main thread."""

    def later(self, act: Callable[[], None]) -> None:
        """Run `act` on the main thread soon. Toolkits may only be used on that thread."""

    def show(self, text: Text) -> None:
        """Open a window with a text, or update the window with the same title and bring it to the front."""

    def copy(self, text: str) -> None:
        """Put a text on the clipboard."""

    def notify(self, notice: Notice) -> None:
        """Show a notification. If the service supports it, a click on it opens "Why?"."""
