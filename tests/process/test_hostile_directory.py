"""Nothing of the directory in which something is started runs in it: not in the daemon or in its helpers."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nexo.connections import python
from nexo_cli.demo.story import DemoWorkspace
from nexo_client.service.launchd import agent
from nexo_client.service.manager import command
from nexo_client.service.systemd import unit_text
from nexo_daemon.vault import desktop_keyring
from nexo_tray import autostart, terminal
from surroundings import Surroundings, wait_for

ROOT = Path(__file__).parents[2]
TRAPS = (
    "random.py",
    "json.py",
    "secrets.py",
    "logging.py",
    "sqlalchemy/__init__.py",
    "secretstorage.py",
    "keyring/__init__.py",
    "grpc/__init__.py",
    "sitecustomize.py",
    "nexo_daemon/__init__.py",
    "nexo_daemon/vault/keyring_child.py",
    "nexo_client/__init__.py",
    "nexo_tray/__init__.py",
    "nexo/__init__.py",
)


@pytest.fixture
def hostile(surroundings: Surroundings) -> Path:
    """A home full of files that Python would import first; each that runs leaves a mark."""
    surroundings.forks = False
    for trap in TRAPS:
        path = surroundings.home / trap
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(surroundings.home / 'SPRUNG')!r}, 'a').write(__file__ + chr(10))\n")
    return surroundings.home


def sprung(home: Path) -> str:
    mark = home / "SPRUNG"
    return mark.read_text() if mark.exists() else ""


def commands(home: Path) -> dict[str, list[str]]:
    """Every command line of ours that starts Python, with an argument that ends it at once."""
    return {
        "the unit": [*command(), "--version"],
        "the unit, as systemd reads it": [*_exec_of(unit_text(command(), {})), "--version"],
        "launchd": [*agent(command(), {})["ProgramArguments"], "--version"],
        "the tray's wizard": terminal.wizard(["--version"]),
        "the tray's autostart": [*_without_script(home), "--version"],
        "the keyring's helper": python.of_ours("nexo_daemon.vault.keyring_child"),
        "any module": python.of_ours("nexo_cli", "--version"),
    }


def _exec_of(unit: str) -> list[str]:
    found = re.search("^ExecStart=(.*)$", unit, re.MULTILINE)
    assert found
    return shlex.split(found[1])


def _without_script(home: Path) -> list[str]:
    path = os.environ["PATH"]
    os.environ["PATH"] = str(home)
    try:
        return autostart.program()
    finally:
        os.environ["PATH"] = path


@pytest.mark.parametrize("name", commands(Path("/nowhere")))
@pytest.mark.parametrize("variable", [{}, {"PYTHONPATH": "."}], ids=["plain", "PYTHONPATH=."])
def test_nothing_of_the_working_directory_is_imported(
    surroundings: Surroundings, hostile: Path, name: str, variable: dict[str, str]
) -> None:
    done = surroundings.run(commands(hostile)[name], env=variable, stdin='{"call": "probe"}')
    assert done.out
    assert not sprung(hostile)


def test_the_trap_springs_for_a_plain_python(surroundings: Surroundings, hostile: Path) -> None:
    """Or the tests above prove nothing."""
    surroundings.run([sys.executable, "-m", "nexo_cli", "--version"], expect=None)
    assert sprung(hostile)


def test_a_daemon_that_is_started_there_and_its_helpers_import_nothing_of_it(
    surroundings: Surroundings, hostile: Path
) -> None:
    # A bus that nobody listens on: the helper is started, and fails after it has imported everything.
    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={hostile}/no-bus"}
    nexoctl = python.of_ours("nexo_cli")
    surroundings.run([*nexoctl, "daemon", "start"], env=bus)
    try:
        state = surroundings.run([*nexoctl, "--json", "vault", "status"], env=bus).json
        assert state["state"]
        assert not sprung(hostile)
        pid = surroundings.run([*nexoctl, "--json", "status"]).json["pid"]
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    finally:
        surroundings.run([*nexoctl, "daemon", "stop"])


def test_the_helper_of_the_keyring_starts_elsewhere(
    surroundings: Surroundings, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={hostile}/no-bus")
    assert desktop_keyring.probe() is not desktop_keyring.KeyringState.UNLOCKED
    assert not sprung(hostile)


@pytest.mark.parametrize("module", ["nexo_cli.demo.workspace", "nexo_cli.demo.stranger"])
def test_the_demo_starts_its_parts_elsewhere(surroundings: Surroundings, hostile: Path, module: str) -> None:
    workspace = DemoWorkspace(python.of_ours(module), surroundings.env, hostile)
    try:
        wait_for(lambda: workspace.process.poll() is not None or sprung(hostile), "it has come to its end")
        assert not sprung(hostile)
    finally:
        workspace.process.kill()
        workspace.process.communicate()


def test_relative_places_mean_what_they_meant_where_it_was_started(surroundings: Surroundings) -> None:
    daemon = surroundings.spawn_nexod(
        "--socket", "here/s.sock", env={"NEXO_DATA_DIR": "data-here", "NEXO_STATE_DIR": "./state-here"}
    )
    wait_for((surroundings.home / "here" / "s.sock").exists, "the socket is made where it was meant")
    assert (surroundings.home / "data-here" / "connections.db").exists()
    assert (surroundings.home / "state-here" / "nexod.log").exists()
    assert Path(f"/proc/{daemon.pid}/cwd").readlink() == Path("/")
    assert daemon.stop() == 0


def test_one_function_starts_python_and_it_isolates() -> None:
    """A new place that starts Python is found here: it has to use the one function, as those above do."""
    rooms = ("client", "daemon", "tray", "protos")
    done = subprocess.run(
        ["grep", "-rlE", r"sys\.executable|\"-m\", \"nexo", "--include=*.py", *rooms],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["protos/nexo/connections/python.py"]


def test_the_unit_and_the_agent_start_in_the_root_directory() -> None:
    assert "\nWorkingDirectory=/\n" in unit_text(command(), {})
    assert agent(command(), {})["WorkingDirectory"] == "/"
