"""The wizard opens in the terminal of the person, and what to type is said where there is none."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from nexo_tray import terminal
from nexo_tray.terminal import NoTerminal, open_wizard, terminal_command, typed, wizard
from surroundings import PATIENCE_S, wait_for


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, script: str = "exit 0") -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_the_choice_of_the_person_goes_first(programs):
    install(programs, "kitty")
    install(programs, "xterm")
    command = terminal_command(["true"], "linux", {"TERMINAL": "kitty"})
    assert command is not None
    assert command[:2] == ["kitty", "sh"]


def test_the_choice_of_the_desktop_goes_before_what_happens_to_be_installed(programs):
    install(programs, "konsole")
    install(programs, "x-terminal-emulator")
    command = terminal_command(["true"], "linux", {"TERMINAL": "not-installed"})
    assert command is not None
    assert command[:2] == ["x-terminal-emulator", "-e"]


def test_the_command_reaches_the_shell_unchanged_and_the_window_waits(programs):
    install(programs, "xterm")
    command = terminal_command(["printf", "<%s>", "a b", "$HOME; true"], "linux", {})
    assert command is not None
    inner = ["/bin/sh", *command[command.index("sh") + 1 :]]
    done = subprocess.run(inner, input="\n", capture_output=True, text=True, check=False)
    assert done.stdout.startswith("<a b><$HOME; true>")
    assert "Press Enter" in done.stdout


def test_the_exit_status_of_the_wizard_is_kept(programs):
    install(programs, "xterm")
    command = terminal_command(["/bin/sh", "-c", "exit 6"], "linux", {})
    assert command is not None
    inner = ["/bin/sh", *command[command.index("sh") + 1 :]]
    assert subprocess.run(inner, input="\n", capture_output=True, text=True, check=False).returncode == 6


def test_without_a_terminal_there_is_the_command_to_type(programs):
    with pytest.raises(NoTerminal) as caught:
        open_wizard(["edit", "old key"])
    assert caught.value.command == "nexoctl edit 'old key'"


def test_a_terminal_that_does_not_open_counts_as_none(programs, monkeypatch):
    monkeypatch.setattr(terminal, "_LAUNCH_S", PATIENCE_S)
    install(programs, "xterm", "exit 3")
    with pytest.raises(NoTerminal):
        open_wizard(["add"])


def test_a_terminal_that_stays_open_is_left_alone(programs, monkeypatch):
    monkeypatch.setattr(terminal, "_LAUNCH_S", 0.2)
    pid = programs / "pid"
    install(programs, "xterm", f"echo $$ > {pid}; exec /bin/sleep 300")
    open_wizard(["add"])
    os.kill(int(wait_for(lambda: pid.exists() and pid.read_text(), "it has started")), signal.SIGTERM)
    wait_for(lambda: all(t.name != "nexo-tray-terminal" for t in threading.enumerate()), "its end is noticed")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_have_a_terminal_anyway(platform):
    command = terminal_command(["nexoctl", "edit", 'my "key"'], platform, {})
    assert command is not None
    assert command[0] in ("osascript", "cmd")


def test_the_wizard_is_nexoctl_of_the_same_installation():
    assert wizard(["add"])[-3:] == ["-m", "nexo_cli", "add"]
    assert wizard(["add"], "/tmp/s")[-3:] == ["--socket", "/tmp/s", "add"]
    assert typed(["add"]) == "nexoctl add"
