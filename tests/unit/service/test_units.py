"""The texts that service managers read, and who may use the service."""

import plistlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from json_schema import problems
from nexo.connections import account, paths
from nexo_cli import first_run, service_diagnosis, stopping
from nexo_cli.cmds import service as service_command
from nexo_client import launch, service
from nexo_client.errors import ServiceFailed
from nexo_client.service import launchd, systemd
from nexo_client.service.manager import Standing, Unit, command, deviations
from nexo_client.types import Gateway
from surroundings import Surroundings

AWKWARD = '/home/ann/my "100%" dir/$x\\y'


def test_unit_names_the_program_and_the_places() -> None:
    text = systemd.unit_text(["/opt/a b/python", "-m", "nexo_daemon"], {"NEXO_DATA_DIR": "/data"})
    assert 'ExecStart="/opt/a b/python" -m nexo_daemon\n' in text
    assert 'Environment="NEXO_DATA_DIR=/data"\n' in text
    assert "\n@" not in text
    assert "StateDirectory=" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_awkward_paths_survive_the_way_through_the_unit() -> None:
    text = systemd.unit_text(["/bin/true"], {"NEXO_DATA_DIR": AWKWARD})
    assert systemd._environment_of(text) == {"NEXO_DATA_DIR": AWKWARD}
    for program in ("/bin/true", "/opt/a b/python", AWKWARD):
        assert systemd._program_of(systemd.unit_text([program, "-m", "x y"], {})) == program


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "nexod.service"
    unit.write_text(systemd.unit_text(["/bin/true", "%h/$x"], {"NEXO_DATA_DIR": AWKWARD}))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    complaints = [line for line in done.stderr.splitlines() if "nexod.service" in line]
    assert complaints == []


def test_agent_of_launchd_is_restarted_unless_it_ended_in_order() -> None:
    agent = plistlib.loads(plistlib.dumps(launchd.agent(command(), {"NEXO_DATA_DIR": "/data"})))
    assert agent["ProgramArguments"][0] == sys.executable
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["EnvironmentVariables"] == {"NEXO_DATA_DIR": "/data"}


def test_a_plain_session_deviates_in_nothing() -> None:
    assert deviations(paths.socket_path()) == {}


def test_moved_places_are_told_to_the_unit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    told = deviations(tmp_path / "s.sock")
    assert told == {
        "NEXO_SOCKET": str(tmp_path / "s.sock"),
        "NEXO_DATA_DIR": str(tmp_path / "data"),
        "NEXO_CONFIG_DIR": str(tmp_path / "xdg/nexo"),
    }


class Recorder:
    """A service manager that says what it was asked to do; the real one needs a machine of its own."""

    name = "systemd"

    def __init__(self, unit: Unit | None) -> None:
        self.unit, self.started = unit, False
        self.pid: int | None = None
        self.restarts: bool | ServiceFailed = True

    def problem(self) -> str:
        return ""

    def installed(self) -> Unit | None:
        return self.unit

    def standing(self) -> Standing:
        return Standing(pid=self.pid)

    def install(self, socket: Path) -> Unit:
        raise AssertionError

    def uninstall(self) -> Unit | None:
        raise AssertionError

    def start(self, *, timeout_s: float) -> None:
        self.started = True
        raise ServiceFailed("it would not", hint="look")

    def restart(self, *, timeout_s: float) -> bool:
        if isinstance(self.restarts, ServiceFailed):
            raise self.restarts
        return self.restarts


def test_a_service_for_other_places_is_not_ours_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = paths.socket_path()
    for environment, ours in (({}, True), ({"NEXO_DATA_DIR": "/elsewhere"}, False)):
        found = Recorder(Unit(Path("/unit"), True, environment))
        monkeypatch.setattr(service, "manager", lambda found=found: found)
        assert (service.responsible(socket) is found) is ours


def test_an_installed_service_starts_the_daemon_and_its_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, surroundings: Surroundings
) -> None:
    found = Recorder(Unit(Path("/unit"), True, {}))
    monkeypatch.setattr(launch, "responsible", lambda socket: found)
    with pytest.raises(launch.DaemonNotRunning, match="it would not"):
        launch.start_daemon(surroundings.socket, timeout_s=5)
    assert found.started


@pytest.mark.parametrize(
    ("pid", "restarts", "replaced"),
    [
        (7, True, 7),
        # It runs beside the service, or not at all.
        (None, True, None),
        # launchd, and a manager that refuses: stopped and started, which says why.
        (7, False, None),
        (7, ServiceFailed("it would not"), None),
    ],
)
def test_the_daemon_of_a_service_is_replaced_by_its_manager(
    monkeypatch: pytest.MonkeyPatch,
    surroundings: Surroundings,
    pid: int | None,
    restarts: bool | ServiceFailed,
    replaced: int | None,
) -> None:
    found = Recorder(Unit(Path("/unit"), True, {}))
    found.pid, found.restarts = pid, restarts
    monkeypatch.setattr(stopping, "responsible", lambda socket: found)
    assert stopping.replace_running(surroundings.socket, 5) == replaced


def test_unit_is_found_and_readable_by_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "_PACKAGED", ())
    found = systemd.Systemd()
    assert found.installed() is None
    path = systemd._own_directory() / systemd.NAME
    systemd._write(path, systemd.unit_text(command(), {}))
    unit = found.installed()
    assert unit == Unit(path, True, {}, sys.executable)
    # As an earlier version wrote it: in the home directory, whose files Python would run.
    path.write_text(path.read_text().replace(" -I ", " ").replace("WorkingDirectory=/\n", ""))
    earlier = found.installed()
    assert earlier is not None
    assert earlier.outdated
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == [systemd.NAME]


def test_without_a_service_manager_install_says_what_to_do_instead(surroundings: Surroundings) -> None:
    done = surroundings.nexoctl("--json", "daemon", "install", expect=1, env={"PATH": "/nonexistent"})
    assert "nexoctl daemon start" in done.error["hint"]
    assert not list(surroundings.home.rglob("*.service"))


@pytest.mark.parametrize(
    ("unit", "standing", "level", "fix"),
    [
        (None, Standing(), "ok", ""),
        (Unit(Path("/u"), True, {}, "/no/such/python"), Standing("active", True), "broken", "daemon install"),
        (Unit(Path("/u"), True, {"NEXO_DATA_DIR": "/x"}, "/bin/sh"), Standing(), "warning", "NEXO_"),
        (Unit(Path("/u"), True, {}, "/bin/sh", True), Standing("active", True), "warning", "daemon install"),
        (Unit(Path("/u"), True, {}, "/bin/sh"), Standing("failed", True), "broken", "journalctl"),
        (Unit(Path("/u"), True, {}, "/bin/sh"), Standing("active", False), "warning", "daemon install"),
        (Unit(Path("/u"), True, {}, "/bin/sh"), Standing("active", True, 7, 3), "ok", ""),
    ],
)
def test_doctor_says_how_the_service_is(
    monkeypatch: pytest.MonkeyPatch, unit: Unit | None, standing: Standing, level: str, fix: str
) -> None:
    found = Recorder(unit)
    monkeypatch.setattr(found, "standing", lambda: standing)
    monkeypatch.setattr(service_diagnosis, "manager", lambda: found)
    (finding,) = service_diagnosis.service_findings(paths.socket_path())
    assert (finding.topic, finding.level.value) == ("service", level)
    assert fix in finding.fix


@pytest.mark.parametrize(("ours", "level"), [(True, "warning"), (False, "ok")])
def test_without_a_service_manager_a_unit_is_a_problem_only_for_who_installed_it(
    monkeypatch: pytest.MonkeyPatch, ours: bool, level: str
) -> None:
    found = Recorder(Unit(Path("/u"), ours, {}))
    monkeypatch.setattr(found, "problem", lambda: "this system does not run systemd")
    monkeypatch.setattr(service_diagnosis, "manager", lambda: found)
    (finding,) = service_diagnosis.service_findings(paths.socket_path())
    assert finding.level.value == level
    assert "start" in finding.text + finding.fix


def test_a_shell_with_another_home_does_not_start_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert systemd._other_home() == f"HOME is {paths.home()} here, and {account.home()} for the user manager"
    monkeypatch.setenv("HOME", str(account.home()))
    assert systemd._other_home() == ""


@pytest.mark.parametrize(
    ("unit", "enabled", "asked"),
    [
        (None, False, True),
        (Unit(Path("/u"), False, {}), False, True),
        (Unit(Path("/u"), False, {}), True, False),
        (Unit(Path("/u"), True, {}), False, False),
    ],
    ids=["none", "of a package", "of a package, enabled", "installed by the person"],
)
def test_the_first_run_offers_the_start_at_login_until_somebody_has_decided(
    monkeypatch: pytest.MonkeyPatch, unit: Unit | None, enabled: bool, asked: bool
) -> None:
    found = Recorder(unit)
    monkeypatch.setattr(found, "standing", lambda: Standing(enabled=enabled))
    assert first_run._is_chosen(found) is not asked


@pytest.mark.parametrize(
    ("listens", "on", "told"),
    [
        (None, True, ""),
        ("127.0.0.1:21212", True, ""),
        ("127.0.0.1:21213", True, "has systemd listen at 127.0.0.1:21213"),
        ("0.0.0.0:21212", True, "has systemd listen at 0.0.0.0:21212"),
        ("", True, "has systemd listen at no port"),
        ("127.0.0.1:21212", False, "is not on"),
    ],
)
def test_doctor_says_when_a_socket_unit_and_the_gateway_disagree(
    listens: str | None, on: bool, told: str
) -> None:
    if listens is not None:
        streams = [listens] if listens else []
        lines = [f"ListenStream={one}" for one in [*streams, "%t/nexo/gateway/gateway.sock"]]
        systemd._write(systemd._own_directory() / systemd.SOCKET_UNIT, "\n".join(["[Socket]", *lines, ""]))
    gateway = Gateway(on=on, switched_off=not on, listening=on, port=21212, socket_path="/run/gateway.sock")
    found = list(service_diagnosis.socket_unit_findings(gateway))
    assert [told in finding.text for finding in found] == ([True] if told else [])
    assert all(systemd.SOCKET_UNIT in finding.fix for finding in found)


def test_the_record_of_the_service_is_the_documented_one() -> None:
    looked = service_command._Service(
        Recorder(None), Unit(Path("/u"), True, {"NEXO_DATA_DIR": "/x"}, "/p"), Standing(), "", foreign=False
    )
    assert problems(looked.record(), "service") == []
