"""How does the tray open the settings screen? In the person's browser; whether that went well, it says."""

import logging
from pathlib import Path

from nexo_client import settings
from nexo_client.settings import SettingsUnavailable

_log = logging.getLogger(__name__)


def open_page(socket: Path, at: str, name: str) -> bool:
    """Open the screen; whether a browser shows it. `at` is "add", "edit", "show", or empty for the list."""
    try:
        return settings.open_settings(socket, at=at, name=name, need_browser=True).opened
    except SettingsUnavailable as problem:
        _log.info("no settings screen: %s", problem)
        return False
