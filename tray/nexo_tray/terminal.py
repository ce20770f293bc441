"""How does the tray open `nexoctl` for a person? In the terminal that they use, if one can be found.

Adding and editing ask for a key, and the wizard of `nexoctl` does that well; a second form for it in a
toolkit that only one platform has would be one more place that holds secrets.
"""

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from nexo.connections import python

# Program, and what stands between it and the command. The first two ask the desktop for the person's choice.
_LINUX: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("xdg-terminal-exec", ()),
    ("x-terminal-emulator", ("-e",)),
    ("gnome-terminal", ("--",)),
    ("kgx", ("--",)),
    ("ptyxis", ("--",)),
    ("konsole", ("-e",)),
    ("xfce4-terminal", ("-x",)),
    ("mate-terminal", ("-x",)),
    ("lxterminal", ("-e",)),
    ("qterminal", ("-e",)),
    ("tilix", ("-e",)),
    ("terminator", ("-x",)),
    ("ghostty", ("-e",)),
    ("wezterm", ("start", "--")),
    ("kitty", ()),
    ("alacritty", ("-e",)),
    ("foot", ()),
    ("xterm", ("-e",)),
)
# The window would close with the last line of the wizard unread.
_THEN_WAIT = '"$@"; code=$?; printf "\\nPress Enter to close. "; read -r _; exit $code'
# One that can't open says so at once; quitting the tray must not wait for longer than this.
_LAUNCH_S = 3.0


class NoTerminal(Exception):
    """No terminal was found; `command` is what a person can type into one."""

    def __init__(self, command: str) -> None:
        super().__init__(f"no terminal program was found for: {command}")
        self.command = command


def wizard(arguments: Sequence[str], socket: str = "") -> list[str]:
    """The command line of `nexoctl` with these arguments, run by this very Python."""
    at = ["--socket", socket] if socket else []
    return python.of_ours("nexo_cli", *at, *arguments)


def typed(arguments: Sequence[str]) -> str:
    """The same, as a person types it."""
    return shlex.join(["nexoctl", *arguments])


def terminal_command(
    command: Sequence[str], platform: str, environment: Mapping[str, str], path: str | None = None
) -> list[str] | None:
    """The command that opens a terminal with `command` in it; None if there is none. Pure but for PATH."""
    if platform == "darwin":
        script = f'tell application "Terminal" to do script {_applescript(shlex.join(command))}'
        return ["osascript", "-e", script, "-e", 'tell application "Terminal" to activate']
    if platform == "win32":
        return ["cmd", "/c", "start", "Nexo", "cmd", "/k", subprocess.list2cmdline(command)]
    waiting = ["sh", "-c", _THEN_WAIT, "nexoctl", *command]
    chosen = environment.get("TERMINAL", "")
    if chosen and shutil.which(chosen, path=path):
        between = dict(_LINUX).get(Path(chosen).name, ("-e",))
        return [chosen, *between, *waiting]
    for program, between in _LINUX:
        if shutil.which(program, path=path):
            return [program, *between, *waiting]
    return None


def _applescript(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def open_wizard(arguments: Sequence[str], socket: str = "") -> None:
    """Open `nexoctl` in a terminal of its own.

    Raises:
        NoTerminal: none was found, or it did not open.
    """
    command = terminal_command(wizard(arguments, socket), sys.platform, os.environ)
    if command is None:
        raise NoTerminal(typed(arguments))
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        raise NoTerminal(typed(arguments)) from None
    try:
        # Some terminals stay until their window is closed, others hand over and end at once.
        if child.wait(_LAUNCH_S) not in (0, None):
            raise NoTerminal(typed(arguments))
    except subprocess.TimeoutExpired:
        # Somebody has to take note when it ends.
        threading.Thread(target=child.wait, name="nexo-tray-terminal", daemon=True).start()
