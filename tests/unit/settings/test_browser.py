"""Which program opens the page, on which system."""

from pathlib import Path

import pytest

from nexo_settings import browser
from surroundings import PATIENCE_S

ADDRESS = "http://127.0.0.1:4711/#token=x&at=add"


@pytest.fixture
def programs(tmp_path: Path) -> str:
    for name in ("xdg-open", "gio", "chromium", "firefox", "my-browser", "w3m"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("environment", "platform", "default", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", "firefox.desktop", ["xdg-open", ADDRESS]),
        ({"WAYLAND_DISPLAY": "w"}, "linux", "", ["xdg-open", ADDRESS]),
        ({"DISPLAY": ":0"}, "linux", "chromium.desktop", ["chromium", f"--app={ADDRESS}"]),
        ({"DISPLAY": ":0"}, "linux", "google-chrome.desktop", ["xdg-open", ADDRESS]),
        ({"DISPLAY": ":0", "BROWSER": "my-browser --new"}, "linux", "", ["my-browser", "--new", ADDRESS]),
        ({"DISPLAY": ":0", "BROWSER": "gone:my-browser go=%s"}, "linux", "", ["my-browser", f"go={ADDRESS}"]),
        ({"BROWSER": "my-browser"}, "linux", "", ["my-browser", ADDRESS]),
        ({"BROWSER": "w3m:it's:my-browser"}, "linux", "", ["my-browser", ADDRESS]),
        ({"DISPLAY": ":0", "BROWSER": "/usr/bin/w3m"}, "linux", "", ["xdg-open", ADDRESS]),
        ({}, "darwin", "", ["open", ADDRESS]),
    ],
)
def test_the_persons_browser_opens_it(
    programs: str, environment: dict[str, str], platform: str, default: str, expected: list[str]
) -> None:
    found = browser.command(environment, platform, default, path=programs)
    assert found is not None
    assert browser.filled(found, ADDRESS) == expected


def test_without_a_screen_or_an_opener_there_is_none(programs: str, tmp_path: Path) -> None:
    assert browser.command({}, "linux", "chromium.desktop", path=programs) is None
    assert browser.command({"BROWSER": "w3m"}, "linux", path=programs) is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert browser.command({"DISPLAY": ":0"}, "linux", "chromium.desktop", path=str(empty)) is None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a program takes longer to start and to end than `show` waits for it."""
    monkeypatch.setattr(browser, "_LAUNCH_S", PATIENCE_S)


@pytest.mark.usefixtures("patient")
def test_a_browser_that_fails_at_once_is_told(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("#!/bin/sh\nexit 0\n")
    bad.write_text("#!/bin/sh\nexit 3\n")
    for program in (good, bad):
        program.chmod(0o755)
    assert browser.show([str(good)], 0o022)
    assert not browser.show([str(bad)], 0o022)
    assert not browser.show([str(tmp_path / "gone")], 0o022)


@pytest.mark.usefixtures("patient")
def test_an_opener_does_not_choose_the_browser_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, said = tmp_path / "xdg-open", tmp_path / "said"
    program.write_text(f'#!/bin/sh\nprintf %s "${{BROWSER-none}}" > {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", "w3m")
    assert browser.show([str(program)], 0o022)
    assert said.read_text() == "none"


@pytest.mark.usefixtures("patient")
def test_what_the_browser_downloads_is_as_open_as_the_person_wants(tmp_path: Path) -> None:
    program, said = tmp_path / "browser", tmp_path / "umask"
    program.write_text(f"#!/bin/sh\numask > {said}\n")
    program.chmod(0o755)
    assert browser.show([str(program)], 0o027)
    assert said.read_text().strip() == "0027"
