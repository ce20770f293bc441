"""The launchd agent, with a stand-in for launchctl that keeps what it was told: there is no Mac here.

What launchctl prints was transcribed from its manual and from reports; no launchd has loaded the agent.
"""

import os
import plistlib
from pathlib import Path

import pytest

from nexo.connections import paths
from nexo_client.errors import ServiceFailed
from nexo_client.service import manager
from nexo_client.service.launchd import Launchd

PRINTED = """\
gui/501/connections.nexo.nexod = {
	active count = 1
	path = /Users/ann/Library/LaunchAgents/connections.nexo.nexod.plist
	state = running

	program = /usr/bin/python3
	pid = 4242
}
"""


class LaunchCtl:
    """A program named launchctl in PATH."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = directory / "told"
        self._fails = directory / "fails"
        (directory / "printed").write_text(PRINTED)
        program = directory / "launchctl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{self._log}\n'
            f'if grep -sqx "$1" {self._fails}; then echo "no such thing" >&2; exit 113; fi\n'
            f'if [ "$1" = print ]; then cat {directory}/printed; fi\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")

    def refuse(self, *verbs: str) -> None:
        self._fails.write_text("".join(f"{verb}\n" for verb in verbs))

    @property
    def told(self) -> list[str]:
        """The verbs, in order."""
        return [line.split()[0] for line in self._log.read_text().splitlines()] if self._log.exists() else []


@pytest.fixture
def launchctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchCtl:
    return LaunchCtl(tmp_path, monkeypatch)


def test_it_is_the_manager_of_macos() -> None:
    assert isinstance(manager("darwin"), Launchd)
    assert manager("win32") is None


def test_install_replaces_what_was_loaded_and_uninstall_leaves_nothing(launchctl: LaunchCtl) -> None:
    launchctl.refuse("bootout")
    agent = Launchd()
    assert agent.installed() is None
    unit = agent.install(paths.socket_path())
    assert launchctl.told == ["bootout", "bootstrap"]
    assert plistlib.loads(unit.path.read_bytes())["RunAtLoad"] is True
    assert agent.installed() == unit
    standing = agent.standing()
    assert (standing.state, standing.pid) == ("active", 4242)
    assert agent.uninstall() == unit
    assert agent.installed() is None
    assert not unit.path.exists()
    assert agent.uninstall() is None


def test_start_loads_an_agent_that_is_not_loaded(launchctl: LaunchCtl) -> None:
    agent = Launchd()
    agent.install(paths.socket_path())
    agent.start(timeout_s=5)
    assert launchctl.told[2:] == ["print", "kickstart"]
    launchctl.refuse("print")
    agent.start(timeout_s=5)
    assert launchctl.told[4:] == ["print", "bootstrap", "kickstart"]
    assert agent.standing().state == "inactive"


def test_a_refusal_of_launchd_is_told(launchctl: LaunchCtl) -> None:
    launchctl.refuse("bootstrap", "kickstart")
    with pytest.raises(ServiceFailed, match="no such thing"):
        Launchd().install(paths.socket_path())
    launchctl.refuse("kickstart")
    with pytest.raises(ServiceFailed, match="could not start nexod"):
        Launchd().start(timeout_s=5)
