"""Opens `nexoctl` in the user's terminal.

Adding and editing need a key. The tray has no form of its own, because that would be one more place with
secrets; the wizard of `nexoctl` asks for it.
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

# (program, its arguments before the command). The first two start the terminal that the user chose.
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
# Without this, the window would close before the user can read the last lines.
_THEN_WAIT = '"$@"; code=$?; printf "\\nPress Enter to close. "; read -r _; exit $code'
# A terminal that cannot open fails within this time. Quitting the tray waits at most as long.
_LAUNCH_S = 3.0


class NoTerminal(Exception):
    """No terminal was found; the user can type `command` into one."""

    def __init__(self, command: str) -> None:
        super().__init__(f"no terminal program was found for: {command}")
        self.command = command


def wizard(arguments: Sequence[str], socket: str = "") -> list[str]:
    """The command line that runs `nexoctl` with these arguments in this Python installation."""
    at = ["--socket", socket] if socket else []
    return python.of_ours("nexo_cli", *at, *arguments)


def typed(arguments: Sequence[str]) -> str:
    """The same command as a user types it."""
    return shlex.join(["nexoctl", *arguments])


def terminal_command(
    command: Sequence[str], platform: str, environment: Mapping[str, str]
) -> list[str] | None:
    """The command that opens a terminal with `command` in it; None if there is none.

    Args:
        platform: `sys.platform`.
        environment: `TERMINAL` names the user's choice.
    """
    if platform == "darwin":
        script = f'tell application "Terminal" to do script {_applescript(shlex.join(command))}'
        return ["osascript", "-e", script, "-e", 'tell application "Terminal" to activate']
    if platform == "win32":
        return ["cmd", "/c", "start", "Nexo", "cmd", "/k", subprocess.list2cmdline(command)]
    waiting = ["sh", "-c", _THEN_WAIT, "nexoctl", *command]
    chosen = environment.get("TERMINAL", "")
    if chosen and shutil.which(chosen):
        between = dict(_LINUX).get(Path(chosen).name, ("-e",))
        return [chosen, *between, *waiting]
    for program, between in _LINUX:
        if shutil.which(program):
            return [program, *between, *waiting]
    return None


def _applescript(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def open_wizard(arguments: Sequence[str], socket: str = "") -> None:
    """Open `nexoctl` in a new terminal window.

    Raises:
        NoTerminal: no terminal was found, or it did not open.
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
        # Some terminals run until their window is closed, others hand over and end immediately.
        if child.wait(_LAUNCH_S) not in (0, None):
            raise NoTerminal(typed(arguments))
    except subprocess.TimeoutExpired:
        # A process that has ended must be waited for; otherwise it becomes a zombie.
        threading.Thread(target=child.wait, name="nexo-tray-terminal", daemon=True).start()
