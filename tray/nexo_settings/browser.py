"""Opens the page in the user's default browser, in a window without tabs if the browser supports it.

Other users can read the arguments of a process, and therefore the address. It can be used only once
(`sessions`).
"""

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_APP_WINDOWS = ("chromium", "google-chrome", "brave", "microsoft-edge", "vivaldi")
"""Beginnings of the names of browsers that open `--app=ADDRESS` as a window without tabs."""
_OPENERS: tuple[tuple[str, ...], ...] = (("xdg-open",), ("gio", "open"), ("wslview",))
_TEXT_BROWSERS = frozenset(("www-browser", "w3m", "lynx", "links", "links2", "elinks"))
"""They need a terminal and cannot run the page."""
_LAUNCH_S = 3.0
_ASK_S = 1.0


ADDRESS = "%s"
"""Placeholder for the address in a command line."""


def command(
    environment: Mapping[str, str], platform: str, default: str = "", path: str | None = None
) -> list[str] | None:
    """The command line that opens an address, with the placeholder `ADDRESS`; None if there is none.

    Args:
        environment: `BROWSER`, `DISPLAY` and `WAYLAND_DISPLAY` are used.
        platform: `sys.platform`.
        default: the desktop file of the default browser, from `default_browser`.
        path: the search path for programs; PATH by default.
    """
    for one in filter(None, environment.get("BROWSER", "").split(os.pathsep)):
        try:
            words = shlex.split(one)
        except ValueError:
            continue
        if words and Path(words[0]).name not in _TEXT_BROWSERS and shutil.which(words[0], path=path):
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
    """The name of the default browser's desktop file; empty if unknown."""
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
    """Start a program; returns whether it did not fail immediately.

    Args:
        umask: the umask of the user, for the files that the browser downloads.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=umask,
            # Only `command` reads it: where it chose another program, xdg-open would still start this one.
            env={name: value for name, value in os.environ.items() if name != "BROWSER"},
        )
    except OSError:
        return False
    # An opener ends after handing over the address; a browser that was not running yet keeps running.
    threading.Thread(target=process.wait, name="nexo-settings-browser", daemon=True).start()
    try:
        return process.wait(_LAUNCH_S) == 0
    except subprocess.TimeoutExpired:
        return True
