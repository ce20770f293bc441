"""The key file is private, complete at every moment, and not trusted if another user could change it."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nexo_daemon.vault import keyfile
from nexo_daemon.vault.keyfile import KeyFileUnreadableError
from nexo_daemon.vault.sealing import new_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "nexo" / "vault.key"


def test_lines_come_and_go_by_themselves(path: Path) -> None:
    one, two = new_key(), new_key()
    keyfile.add(path, "one", one)
    keyfile.add(path, "two", two)
    assert (keyfile.read(path, "one"), keyfile.read(path, "two"), keyfile.read(path, "x")) == (one, two, None)
    keyfile.remove(path, "one")
    assert (keyfile.read(path, "one"), keyfile.read(path, "two")) == (None, two)
    keyfile.remove(path, "one")
    keyfile.remove(path, "two")
    assert list(path.parent.iterdir()) == []


def test_a_line_is_never_overwritten(path: Path) -> None:
    key = new_key()
    keyfile.add(path, "one", key)
    with pytest.raises(KeyFileUnreadableError):
        keyfile.add(path, "one", new_key())
    assert keyfile.read(path, "one") == key


def test_a_write_that_fails_is_told_and_leaves_the_old_file(path: Path) -> None:
    keyfile.add(path, "one", new_key())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            keyfile.add(path, "two", new_key())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


DIES_BEFORE_IT_REPLACES = """
import os, signal, sys
from pathlib import Path
from nexo_daemon.vault import keyfile
sys.addaudithook(lambda event, _: event == "os.rename" and os.kill(os.getpid(), signal.SIGKILL))
keyfile.add(Path(sys.argv[1]), "killed", bytes(32))
"""


@pytest.mark.parametrize("again", [True, False])
def test_what_a_killed_writer_left_does_not_outlive_the_keys(path: Path, again: bool) -> None:
    keyfile.add(path, "one", new_key())
    killed = subprocess.run([sys.executable, "-c", DIES_BEFORE_IT_REPLACES, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 2
    assert keyfile.read(path, "killed") is None
    if again:
        keyfile.add(path, "killed", new_key())
        assert list(path.parent.iterdir()) == [path]
        keyfile.remove(path, "killed")
    keyfile.remove(path, "one")
    assert list(path.parent.iterdir()) == []


def test_it_is_private_whatever_the_umask(path: Path) -> None:
    old = os.umask(0)
    try:
        keyfile.add(path, "one", new_key())
        keyfile.add(path, "two", new_key())
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(victim)
    with pytest.raises(KeyFileUnreadableError):
        keyfile.read(path, "one")
    with pytest.raises(KeyFileUnreadableError):
        keyfile.add(path, "one", new_key())
    assert victim.read_text() == "precious"


def test_a_directory_that_others_enter_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o755)
    path.parent.chmod(0o755)
    with pytest.raises(KeyFileUnreadableError) as caught:
        keyfile.add(path, "one", new_key())
    assert caught.value.hint == f"chmod 700 '{path.parent}'"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_read_is_refused(path: Path, mode: int) -> None:
    keyfile.add(path, "one", new_key())
    path.chmod(mode)
    with pytest.raises(KeyFileUnreadableError) as caught:
        keyfile.read(path, "one")
    assert caught.value.hint.startswith("chmod 600")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    keyfile.add(path, "one", new_key())
    os.chown(path, 12345, 12345)
    with pytest.raises(KeyFileUnreadableError, match="belongs to user 12345"):
        keyfile.read(path, "one")


def test_a_fifo_does_not_hang_it(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileUnreadableError, match="regular"):
        keyfile.read(path, "one")


def test_a_directory_in_its_place_is_named(path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    with pytest.raises(KeyFileUnreadableError, match="regular"):
        keyfile.read(path, "one")


@pytest.mark.parametrize("damage", ["one", "one !!!", "one AAAA"])
def test_a_damaged_line_is_told_from_a_missing_one(path: Path, damage: str) -> None:
    keyfile.add(path, "two", new_key())
    path.write_text(damage + "\n")
    with pytest.raises(KeyFileUnreadableError, match="damaged"):
        keyfile.read(path, "one")


@pytest.mark.parametrize("at", [0, 100, 120], ids=["in the title", "in the slot", "in the key"])
def test_damaged_bytes_stay_as_they_are_and_stop_no_other_line(path: Path, at: int) -> None:
    keyfile.add(path, "one-slot-here", new_key())
    damaged = bytearray(path.read_bytes())
    damaged[at] = 0xE9
    path.write_bytes(damaged)
    kept = bytes(damaged).splitlines()[-1]
    key = new_key()
    keyfile.add(path, "two", key)
    assert keyfile.read(path, "two") == key
    keyfile.remove(path, "two")
    assert kept in path.read_bytes().splitlines()


def test_two_writers_do_not_lose_each_others_lines(path: Path) -> None:
    def write(number: int) -> None:
        for step in range(10):
            keyfile.add(path, f"{number}-{step}", new_key())

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for line in path.read_text().splitlines() if not line.startswith("#")) == 40
