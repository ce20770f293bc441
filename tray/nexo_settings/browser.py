"""Which program shows the page? The browser that the person has chosen; a window of its own where it can.

The address stands in the arguments of that program, where others may read it: it is good once (`sessions`).
"""

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence

_APP_WINDOWS = ("chromium", "google-chrome", "brave", "microsoft-edge", "vivaldi")
"""Families that open `--app=ADDRESS` as a window without tabs; beginnings of names."""
_OPENERS: tuple[tuple[str, ...], ...] = (("xdg-open",), ("gio", "open"), ("wslview",))
_LAUNCH_S = 3.0
_ASK_S = 1.0


ADDRESS = "%s"
"""Where the address goes in a command line."""


def command(
    environment: Mapping[str, str], platform: str, default: str = "", path: str | None = None
) -> list[str] | None:
    """What opens an address, with `ADDRESS` in its place; None if nothing can. Pure but for PATH.

    Args:
        default: the desktop's file for the default browser, as `xdg-settings` names it.
    """
    for one in filter(None, environment.get("BROWSER", "").split(os.pathsep)):
        words = shlex.split(one)
        if words and shutil.which(words[0], path=path):
            return words if any(ADDRESS in word for word in words) else [*words, ADDRESS]
    if platform == "darwin":
        return ["open", ADDRESS]
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        return None
    program = default.removesuffix(".desktop")
    if program.startswith(_APP_WINDOWS) and shutil.which(program, path=path):
        return [program, f"--app={ADDRESS}"]
    for opener in _OPENERS:
        if shutil.which(opener[0], path=path):
            return [*opener, ADDRESS]
    return None


def filled(words: Sequence[str], address: str) -> list[str]:
    """The command line for an address."""
    return [word.replace(ADDRESS, address) for word in words]


def default_browser() -> str:
    """The desktop's file for the default browser; empty where that is not known."""
    if not shutil.which("xdg-settings"):
        return ""
    asked = ("xdg-settings", "get", "default-web-browser")
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, timeout=_ASK_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def show(words: Sequence[str], umask: int) -> bool:
    """Start the program; whether it did not fail at once.

    Args:
        umask: of the person: files that are downloaded there are no secrets of ours.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=umask,
        )
    except OSError:
        return False
    # A browser that is not running yet stays; an opener hands over and ends.
    threading.Thread(target=process.wait, name="nexo-settings-browser", daemon=True).start()
    try:
        return process.wait(_LAUNCH_S) == 0
    except subprocess.TimeoutExpired:
        return True
