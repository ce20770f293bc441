"""Where no tray is possible, one sentence says why and what to do, and the exit status is 69."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nexo_tray import start
from nexo_tray.start import NoTray, check_session, check_user, choose_backend
from surroundings import PATIENCE_S


def test_root_is_refused():
    with pytest.raises(NoTray, match=r"does not run as root.*without sudo"):
        check_user(0)
    check_user(1000)


def test_a_session_without_a_display_is_refused():
    with pytest.raises(NoTray, match=r"no display.*nexoctl"):
        check_session({})


def test_a_session_without_a_bus_is_refused(tmp_path):
    with pytest.raises(NoTray, match=r"no D-Bus session bus.*dbus-run-session"):
        check_session({"DISPLAY": ":0", "XDG_RUNTIME_DIR": str(tmp_path)})


def test_the_bus_of_the_run_time_directory_counts(tmp_path):
    (tmp_path / "bus").touch()
    check_session({"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)})


@pytest.mark.parametrize(("platform", "backend"), [("darwin", "darwin"), ("win32", "win32")])
def test_other_systems_use_their_own_backend(platform, backend):
    assert choose_backend(platform, {}, 501, 0) == backend


NEVER = 1000.0


@pytest.mark.parametrize(
    ("older_at", "newer_at", "wait_s", "backend", "at"),
    [
        (0, 3, 60, "appindicator", 3),
        (30, 30.5, 60, "appindicator", 30.5),
        (NEVER, 30, 60, "appindicator", 30),
        (0, NEVER, 60, "gtk", 5),
        (30, NEVER, 60, "gtk", 35),
        (58, NEVER, 60, "gtk", 60),
        (0, NEVER, 0, "gtk", 0),
        (0, 0, 0, "appindicator", 0),
    ],
)
def test_a_panel_that_comes_up_has_a_moment_for_the_newer_protocol(
    monkeypatch, older_at, newer_at, wait_s, backend, at
):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr(start, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr(start, "_session_bus", lambda _: None)
    monkeypatch.setattr(start, "_host_answers", lambda *_: now[0] >= newer_at)
    monkeypatch.setattr(start, "_has_xembed_tray", lambda: now[0] >= older_at)
    assert start._backend_of_panel(None, wait_s, newer=True, older=True) == backend
    assert now[0] == pytest.approx(at, abs=0.41)


def test_a_missing_part_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(NoTray, match=r"nexo-connections\[tray\]"):
        start.load_pystray("appindicator")


def run(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nexo_tray", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env)


def test_the_command_says_it_in_one_line_and_exits_69(tmp_path):
    done = run(HOME=str(tmp_path))
    assert done.returncode == 69
    assert done.stdout == ""
    assert done.stderr.startswith("nexo-tray: ")
    assert done.stderr.count("\n") == 1


def test_help_and_version_need_no_desktop(tmp_path):
    assert "--install-autostart" in run("--help", HOME=str(tmp_path)).stdout
    assert run("--version", HOME=str(tmp_path)).stdout.startswith("nexo-tray ")


def test_autostart_is_installed_and_removed_without_a_desktop(tmp_path):
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    target = Path(tmp_path / "config" / "autostart" / "nexo-tray.desktop")
    assert str(target) in run("--install-autostart", **env).stdout
    assert "Exec=" in target.read_text()
    assert run("--remove-autostart", **env).returncode == 0
    assert not target.exists()
    assert "was not set" in run("--remove-autostart", **env).stdout
