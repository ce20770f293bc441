"""Fixture: a home in which nothing is set up."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, with an empty directory in it that the person is in, and nothing in the shell."""
    for name in list(os.environ):
        if name.endswith(("_KEY", "_BASE_URL", "_HOST", "_HOME", "_DIR")) or name.startswith(
            ("XDG_", "GOOSE_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path
