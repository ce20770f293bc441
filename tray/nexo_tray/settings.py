"""The user's settings of the tray itself; the daemon has all others."""

import json
from dataclasses import asdict
from pathlib import Path

from nexo.connections import paths
from nexo.connections.values import frozen


@frozen
class TraySettings:
    """Settings of the tray.

    Attributes:
        notifications: show changes of health. Results of clicks are always shown.
    """

    notifications: bool = True


def settings_file() -> Path:
    """The path of the settings file."""
    return paths.config_dir() / "tray.json"


def load() -> TraySettings:
    """The saved settings; defaults for those that are missing or unreadable."""
    try:
        saved = json.loads(settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return TraySettings()
    value = saved.get("notifications") if isinstance(saved, dict) else None
    return TraySettings(notifications=value if isinstance(value, bool) else True)


def save(settings: TraySettings) -> None:
    """Replace the saved settings atomically.

    Raises:
        OSError: the file cannot be written.
    """
    target = settings_file()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_suffix(".json.new")
    draft.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(target)
