"""What does the tray need of a desktop beside the icon? The seam that its three kinds stand behind.

`gtk_desktop` is Linux; `plain_desktop` is macOS and Windows. Every method may be called from any thread.
"""

from collections.abc import Callable
from typing import Protocol

from nexo_tray.explain import Text
from nexo_tray.notices import Notice


class Desktop(Protocol):
    """Windows, clipboard, notifications, and the way to the main thread."""

    def later(self, act: Callable[[], None]) -> None:
        """Run `act` on the main thread, soon. Toolkits are touched there and nowhere else."""

    def show(self, text: Text) -> None:
        """Open a window with a text, or bring the one with that title to the front."""

    def copy(self, text: str) -> None:
        """Put a text on the clipboard."""

    def notify(self, notice: Notice) -> None:
        """Show a notification; where the service supports it, a click on it leads to "Why?"."""
