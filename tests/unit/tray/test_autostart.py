"""The entry starts this very tray at login, whatever its path looks like."""

import plistlib
import subprocess

import pytest

from nexo_tray.autostart import NotSupported, entry, entry_path


def exec_line(content: bytes) -> str:
    line = next(line for line in content.decode().splitlines() if line.startswith("Exec="))
    return line.removeprefix("Exec=")


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/nexo-tray"],
        ["/home/p/my tools/nexo-tray"],
        ["/opt/100%/$HOME/`x`/nexo-tray"],
        ['/opt/"quoted"/nexo-tray'],
        ["/usr/bin/python3", "-m", "nexo_tray"],
    ],
)
def test_the_command_survives_the_two_levels_of_quoting(command):
    # A desktop file reader undoes the escapes of the string, then splits as a shell does.
    value = exec_line(entry("linux", command)).replace("\\\\", "\\")
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {value}"], capture_output=True, text=True, check=True
    )
    assert words.stdout.replace("%%", "%").splitlines() == [*command, "--wait-for-panel", "60"]


def test_the_entry_is_what_desktops_want():
    lines = entry("linux", ["nexo-tray"]).decode().splitlines()
    assert lines[0] == "[Desktop Entry]"
    assert {"Type=Application", "Terminal=false", "Icon=nexo-tray"} <= set(lines)


def test_macos_gets_a_launch_agent():
    facts = plistlib.loads(entry("darwin", ["/usr/local/bin/nexo-tray"]))
    assert facts["RunAtLoad"] is True
    assert facts["ProgramArguments"][0] == "/usr/local/bin/nexo-tray"


def test_the_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert entry_path("linux") == tmp_path / "autostart" / "nexo-tray.desktop"
    with pytest.raises(NotSupported, match="shell:startup"):
        entry_path("win32")
