"""One private directory: a tray's files are in it, a second tray sees it, and it goes with the tray."""

import os
import subprocess
import sys
import tempfile

import pytest

from nexo_tray.scratch import TrayRunning, place, scratch


def test_temporary_files_go_there_and_go_away_with_it(tmp_path):
    directory, before = tmp_path / "state" / "tray", tempfile.tempdir
    with scratch(directory) as made:
        number, name = tempfile.mkstemp()
        os.close(number)
        assert made == directory
        assert name.startswith(str(directory))
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()
    assert tempfile.tempdir == before


def test_a_second_one_is_refused_and_disturbs_nothing(tmp_path):
    with scratch(tmp_path / "tray") as directory:
        (directory / "icon.png").touch()
        with pytest.raises(TrayRunning), scratch(tmp_path / "tray"):
            pytest.fail("two trays at a time")
        assert (directory / "icon.png").exists()


def test_what_a_killed_one_left_behind_is_removed(tmp_path):
    directory = tmp_path / "tray"
    killed = (
        "import os, pathlib, sys; from nexo_tray.scratch import scratch; d = pathlib.Path(sys.argv[1])\n"
        "with scratch(d): (d / 'left.png').touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(directory)], check=False)
    assert (directory / "left.png").exists()
    with scratch(directory):
        assert not (directory / "left.png").exists()


def test_each_display_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("NEXO_STATE_DIR", str(tmp_path))
    assert place({"DISPLAY": ":0"}) != place({"DISPLAY": ":1"})
    assert place({"WAYLAND_DISPLAY": "../../etc"}).parent == tmp_path
