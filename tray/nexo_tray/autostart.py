"""Starts the tray at login: with a desktop entry (XDG Autostart 0.5), or a launch agent on macOS."""

import os
import plistlib
import shutil
import sys
from pathlib import Path

from nexo.connections import python

_LABEL = "connections.nexo.tray"
# At login the panel may start after the tray.
_WAIT_S = 60


class NotSupported(Exception):
    """Autostart is not supported on this platform; the message says what to do."""


def install() -> Path:
    """Write the autostart entry, replacing an existing one; returns its path.

    Raises:
        NotSupported: the platform is not supported.
        OSError: the file cannot be written.
    """
    target = entry_path(sys.platform)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(entry(sys.platform, program()))
    return target


def remove() -> Path | None:
    """Remove the autostart entry; returns its path, or None if there was none.

    Raises:
        NotSupported: the platform is not supported.
    """
    target = entry_path(sys.platform)
    try:
        target.unlink()
    except FileNotFoundError:
        return None
    return target


def program() -> list[str]:
    """The command that starts this tray: the script if it is installed, otherwise the module."""
    beside = Path(sys.argv[0]).absolute()
    if beside.name == "nexo-tray" and os.access(beside, os.X_OK):
        return [str(beside)]
    found = shutil.which("nexo-tray")
    return [found] if found else python.of_ours("nexo_tray")


def entry_path(platform: str) -> Path:
    """The path of this user's autostart entry.

    Raises:
        NotSupported: the platform is not supported.
    """
    if platform.startswith("linux"):
        base = os.environ.get("XDG_CONFIG_HOME", "")
        config = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
        return config / "autostart" / "nexo-tray.desktop"
    if platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    raise NotSupported("put a shortcut to nexo-tray into the start-up folder: Win+R, shell:startup")


def entry(platform: str, command: list[str]) -> bytes:
    """The content of the autostart entry for a command."""
    arguments = [*command, "--wait-for-panel", str(_WAIT_S)]
    if platform == "darwin":
        facts = {
            "Label": _LABEL,
            "ProgramArguments": arguments,
            "RunAtLoad": True,
            "ProcessType": "Interactive",
        }
        return plistlib.dumps(facts)
    lines = (
        "[Desktop Entry]",
        "Type=Application",
        "Version=1.5",
        "Name=Nexo Connections",
        "Comment=See and switch the connection to language models that your programs use",
        f"Exec={' '.join(_exec_word(word) for word in arguments)}",
        "Icon=nexo-tray",
        "Terminal=false",
        "Categories=Utility;",
        "StartupNotify=false",
        "X-GNOME-Autostart-enabled=true",
    )
    return ("\n".join(lines) + "\n").encode()


def _exec_word(word: str) -> str:
    """Quote a word for the `Exec` key (Desktop Entry Specification 1.5); `%` is doubled."""
    word = word.replace("%", "%%")
    if word and all(c.isalnum() or c in "-_./:+=@%" for c in word):
        return word
    escaped_word = "".join(f"\\{c}" if c in '"`$\\' else c for c in word)
    # The value of a key is a string, in which a backslash has to be escaped again.
    return '"' + escaped_word.replace("\\", "\\\\") + '"'
