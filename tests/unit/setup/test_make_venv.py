"""On a machine where no virtual environment can be made, `make` says in one sentence what to do."""

import subprocess
import sys
from pathlib import Path

from surroundings import PATIENCE_S

SCRIPT = Path(__file__).parent.parent.parent.parent / "packaging" / "make-venv"


def make_venv(
    python: str, directory: Path, path: str = "/usr/bin:/bin"
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SCRIPT, python, directory],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )


def stand_in(directory: Path, body: str) -> str:
    """A Python that differs from the real one in one respect."""
    program = directory / "python-stand-in"
    program.write_text(f'#!/bin/sh\n{body}\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    done = make_venv("python3.99", tmp_path / "venv")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no 'python3.99' on this machine.")
    assert "make PYTHON=" in done.stderr


def test_a_python_that_is_too_old(tmp_path: Path) -> None:
    old = stand_in(tmp_path, 'case "$2" in *version_info*) exit 1;; esac')
    done = make_venv(old, tmp_path / "venv")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


def test_a_python_without_the_venv_module(tmp_path: Path) -> None:
    bare = stand_in(tmp_path, 'case "$2" in *ensurepip*|*virtualenv*) exit 1;; esac')
    done = make_venv(bare, tmp_path / "venv")
    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_good_python(tmp_path: Path) -> None:
    done = make_venv(sys.executable, tmp_path / "venv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv" / "bin" / "python").exists()
