"""What does a person set about the tray, and where is it kept?

Only what concerns this tray; everything about connections belongs to the daemon.
"""

import json
from dataclasses import asdict
from pathlib import Path

from nexo.connections import paths
from nexo.connections.values import frozen


@frozen
class TraySettings:
    """Settings of the tray.

    Attributes:
        notifications: tell changes of health; answers to clicks are always told.
    """

    notifications: bool = True


def settings_file() -> Path:
    """Where they are kept."""
    return paths.config_dir() / "tray.json"


def load() -> TraySettings:
    """The saved settings; what is missing or unreadable is as it was delivered."""
    try:
        saved = json.loads(settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return TraySettings()
    value = saved.get("notifications") if isinstance(saved, dict) else None
    return TraySettings(notifications=value if isinstance(value, bool) else True)


def save(settings: TraySettings) -> None:
    """Replace the saved settings in one step.

    Raises:
        OSError: the file cannot be written.
    """
    target = settings_file()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_suffix(".json.new")
    draft.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(target)
