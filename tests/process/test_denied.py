"""What is denied to a person who is not root: told as that, at once, with the command that gives it back.

The tests run as root, whom nothing is denied, so these run the programs as somebody else: with the Python of
the system, if it is like ours, because ours may lie in a home that others cannot enter.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexo.connections import refusal
from surroundings import PATIENCE_S, wait_for

PYTHON = "/usr/bin/python3"
PERSON = 12345
ROOT = Path(__file__).parents[2]


def unfit() -> str:
    if os.geteuid() != 0 or not Path(PYTHON).exists():
        return "needs root, and a Python that every user may run"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() != version:
        return f"the Python of the system is not {version}"
    return ""


pytestmark = [pytest.mark.needs("linux"), pytest.mark.skipif(bool(unfit()), reason=unfit() or "-")]


class Person:
    """Somebody who is not root, with a home and a daemon in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run_dir, self.state = home / ".local/state/nexo/run", home / ".local/state/nexo"
        self.data = home / ".local/share/nexo"
        packages = [path for path in sys.path if path.endswith("site-packages")]
        rooms = [str(ROOT / room) for room in ("client", "daemon", "protos")]
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([*rooms, *packages]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }
        self.daemon: subprocess.Popen[bytes] | None = None

    def nexod(self) -> None:
        with (self.home / "out").open("ab") as out:
            self.daemon = subprocess.Popen(
                [PYTHON, "-m", "nexo_daemon"], **self._as_person(home=True), stdout=out, stderr=out
            )
        wait_for(lambda: self.nexoctl("status")[0] == 0, "the daemon answers")

    def nexoctl(self, *words: str, home: bool = True) -> tuple[int, Any]:
        """The exit code, and what it printed, be it a result or an error."""
        command = [PYTHON, "-m", "nexo_cli", "--no-start", "--json", *words]
        done = subprocess.run(
            command,
            **self._as_person(home=home),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else json.loads(done.stderr)["error"]

    def broken(self) -> dict[str, dict[str, str]]:
        """What the doctor finds broken, by topic."""
        _, found = self.nexoctl("doctor")
        return {one["topic"]: one for one in found["findings"] if one["level"] == "broken"}

    def _as_person(self, *, home: bool) -> dict[str, Any]:
        env = self.env | ({"HOME": str(self.home)} if home else {})
        return {"user": PERSON, "group": PERSON, "extra_groups": [], "cwd": "/", "env": env}


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person(Path(tempfile.mkdtemp(prefix="nexo-test-")))
    os.chown(made.home, PERSON, PERSON)
    try:
        yield made
    finally:
        if made.daemon is not None:
            made.daemon.kill()
            made.daemon.wait()
        shutil.rmtree(made.home)


def test_a_denied_socket_is_said_at_once_and_made_anew(person: Person) -> None:
    person.nexod()
    (person.run_dir / "nexod.sock").chmod(0)
    code, error = person.nexoctl("list")
    # The daemon may have been faster: it looks every two seconds.
    assert (code, error) == (0, []) or (code == 4 and "permission denied" in error["message"])
    wait_for(lambda: person.nexoctl("list")[0] == 0, "the socket is made anew")


def test_a_denied_directory_of_the_socket_is_said_at_once(person: Person) -> None:
    person.nexod()
    person.run_dir.chmod(0)
    for words in (("list",), ("resolve",), ("status",)):
        code, error = person.nexoctl(*words)
        assert code == 4
        assert "permission denied" in error["message"]
        assert f"chmod 700 '{person.run_dir}'" in error["hint"]
    assert "permission denied" in person.broken()["daemon"]["text"]
    # It is found by its lock all the same.
    assert person.nexoctl("daemon", "stop")[1]["stopped"] is True


@pytest.mark.parametrize("mode", [0o500, 0])
def test_a_store_that_was_denied_under_the_daemon_is_noticed_and_that_it_is_over(
    person: Person, mode: int
) -> None:
    person.nexod()
    add = ("add", "one", "--provider", "ollama", "--no-test")
    person.data.chmod(mode)
    wait_for(lambda: "store" in person.broken(), "it is noticed")
    code, error = person.nexoctl(*add)
    assert code == 7
    assert str(person.data) in error["message"] + error["hint"]
    assert "chmod 700" in error["hint"]
    person.data.chmod(0o700)
    wait_for(lambda: "store" not in person.broken(), "it is noticed that it is over")
    assert person.nexoctl(*add)[0] == 0


@pytest.mark.parametrize("home", ["", "relative", None], ids=["empty", "relative", "unset"])
def test_somebody_whom_the_system_does_not_know_and_who_has_no_home_gets_a_sentence(
    person: Person, home: str | None
) -> None:
    if home is not None:
        person.env["HOME"] = home
    for words in (("list",), ("status",), ("daemon", "stop")):
        code, error = person.nexoctl(*words, home=False)
        assert code == 4
        assert f"this system does not know user {PERSON}" in error["message"]
        assert "NEXO_DATA_DIR" in error["hint"]
    code, found = person.nexoctl("doctor", home=False)
    assert code == 1
    assert any("no home directory" in one["text"] for one in found["findings"])


def test_what_sudo_has_made_is_given_back_by_a_command(person: Person) -> None:
    person.state.mkdir(parents=True, mode=0o700)
    for directory in (person.home / ".local", person.home / ".local/state"):
        os.chown(directory, PERSON, PERSON)
    person.run_dir.mkdir(mode=0o700)
    os.chown(person.state, PERSON, PERSON)
    code, error = person.nexoctl("list")
    assert code == 4
    assert "belongs to user 0" in error["message"]
    assert f"sudo chown -R {PERSON} '{person.run_dir}'" in error["hint"]


def refused(person: Person, service: Path | None = None) -> str:
    """What nexod says when it gives up, on standard error or as its status for a service manager."""
    if service is None:
        done = subprocess.run(
            [PYTHON, "-m", "nexo_daemon"], **person._as_person(home=True), capture_output=True, check=False
        )
        return done.stderr.decode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(service))
        manager.settimeout(PATIENCE_S)
        os.chown(service, PERSON, PERSON)
        person.env["NOTIFY_SOCKET"] = str(service)
        refused(person)
        return manager.recv(8192).decode()


@pytest.mark.parametrize("name", ["nexod.lock", "nexod.log", "vault.key", "connections.db", ".config"])
def test_a_file_that_root_took_is_named_with_the_command_that_gives_it_back(
    person: Person, name: str
) -> None:
    person.nexod()
    assert person.daemon is not None
    person.daemon.terminate()
    person.daemon.wait()
    [taken] = person.home.rglob(name)
    os.chown(taken, 0, 0)
    taken.chmod(0o700 if taken.is_dir() else 0o600)
    _, found = person.nexoctl("doctor")
    fixes = [one["fix"] for one in found["findings"] if one["level"] == "broken"]
    assert any(f"{PERSON} '{taken}'" in fix for fix in fixes if "sudo chown" in fix), fixes
    assert all(fixes)
    if name in ("nexod.lock", "connections.db"):
        said = refused(person)
        assert str(taken) in said
        assert f"{PERSON} '{taken}'" in said


def test_a_daemon_that_gives_up_tells_the_service_manager_why(person: Person) -> None:
    person.state.mkdir(parents=True)
    for directory in (person.home / ".local", person.home / ".local/state"):
        os.chown(directory, PERSON, PERSON)
    name, _, status = refused(person, person.home / "notify").partition("=")
    told = refusal.of_status(status)
    assert name == "STATUS"
    assert told is not None
    assert told == refusal.of_lines(refused(person))
    assert "belongs to user 0" in told[0]
    assert "sudo chown" in told[1]


def test_the_home_of_another_is_named_as_the_cause(person: Person) -> None:
    person.nexod()
    other = pwd.getpwnam("nobody")
    env = person.env | {"HOME": str(person.home)}
    person.home.chmod(0o755)

    def as_other(*words: str) -> Any:
        done = subprocess.run(
            [PYTHON, "-m", "nexo_cli", "--json", *words],
            user=other.pw_uid,
            group=other.pw_gid,
            extra_groups=[],
            cwd="/",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout or done.stderr)

    assert f"export HOME='{other.pw_dir}'" in as_other("list")["error"]["hint"]
    broken = [one for one in as_other("doctor")["findings"] if one["level"] == "broken"]
    assert broken[0]["topic"] == "user"
    assert f"belongs to user {PERSON}" in broken[0]["text"]
    assert all(one["fix"] for one in broken)


def test_sudo_beside_the_daemon_of_the_person_is_not_sent_to_that_daemon(person: Person) -> None:
    env = person.env | {"HOME": str(person.home)}
    # In a session of the person, its socket is elsewhere than for root.
    person.env["NEXO_SOCKET"] = str(person.home / "session/nexod.sock")
    person.nexod()

    def as_root(*words: str) -> Any:
        command = [PYTHON, "-m", "nexo_cli", "--json", *words]
        done = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, check=False)
        return json.loads(done.stdout or done.stderr)

    for words in (("list",), ("resolve",), ("--no-start", "list")):
        error = as_root(*words)["error"]
        assert f"user {PERSON}" in error["message"]
        assert "without sudo" in error["hint"]
    fixes = [one["fix"] for one in as_root("doctor")["findings"] if one["level"] == "broken"]
    assert fixes
    assert not [fix for fix in fixes if "without sudo" not in fix]
