"""Both sides agree on places, and a directory that is made is private from its first missing parent on."""

import os
import stat
from pathlib import Path

import pytest

from nexo.connections import paths


def test_missing_parents_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        made = paths.private_directory(tmp_path / "state" / "nexo" / "run")
    finally:
        os.umask(before)
    for directory in (made, made.parent, made.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_that_others_may_enter_is_refused_with_the_fix(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o750)
    with pytest.raises(paths.UnsafePathError) as caught:
        paths.private_directory(loose)
    assert caught.value.hint == f"chmod 700 '{loose}'"
    assert stat.S_IMODE(loose.stat().st_mode) == 0o750


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises((paths.UnsafePathError, FileExistsError)):
        paths.private_directory(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_socket_follows_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    for variable in ("NEXO_SOCKET", "NEXO_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert paths.socket_path() == runtime / "nexo" / "nexod.sock"
    monkeypatch.setenv("NEXO_SOCKET", str(tmp_path / "other.sock"))
    assert paths.socket_path() == tmp_path / "other.sock"
    assert paths.socket_path(tmp_path / "given.sock") == tmp_path / "given.sock"


def test_a_runtime_directory_that_others_may_enter_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = tmp_path / "run"
    loose.mkdir()
    loose.chmod(0o755)
    monkeypatch.delenv("NEXO_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(loose))
    assert not paths.socket_path().is_relative_to(loose)


def test_a_path_too_long_for_a_socket_is_refused_with_the_way_out() -> None:
    with pytest.raises(paths.UnsafePathError) as caught:
        paths.check_socket_path(Path("/" + "x" * paths.SOCKET_PATH_LIMIT))
    assert "NEXO_SOCKET" in caught.value.hint


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_not_absolute_means_the_same_before_and_after_the_daemon_leaves_the_directory(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    before = paths.home()
    paths.make_absolute(os.environ)
    assert paths.home() == Path("~").expanduser() == before
