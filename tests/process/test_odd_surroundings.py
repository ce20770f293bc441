"""Root by sudo, no home, a read-only home, low limits, places that were removed: the way back from each."""

import json
import os
import shutil
from pathlib import Path

import grpc
import grpc_reflection
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import nexo_client
import nexo_daemon
from nexo.connections import limits, processes, python
from nexo.connections.terms import StoreState
from nexo_client import channel, failures
from nexo_client.errors import GatewayClosed
from nexo_client.types import ConnectionDraft
from surroundings import SOON_S, Nexod, Surroundings, wait_for

NEXOCTL = python.of_ours("nexo_cli")
NEXOD = python.of_ours("nexo_daemon")
PERSON = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
by_rule = pytest.mark.skipif(
    Path(f"/run/user/{os.geteuid()}").is_dir(), reason="the rule finds the directory of the session"
)


def places_of_a_home(home: Path) -> dict[str, str]:
    """The environment of a person who overrides nothing."""
    nothing = dict.fromkeys(("NEXO_SOCKET", "NEXO_CONFIG_DIR", "NEXO_DATA_DIR", "NEXO_STATE_DIR"), "")
    return nothing | {"HOME": str(home), "XDG_RUNTIME_DIR": ""}


# -- sudo --------------------------------------------------------------------------------------------------


@as_root
@by_rule
@pytest.mark.parametrize("words", [("list",), ("add", "x", "--provider", "ollama", "--no-test"), ("status",)])
@pytest.mark.parametrize("used", [False, True], ids=["new home", "used home"])
def test_sudo_makes_nothing_in_the_home_of_another(
    surroundings: Surroundings, words: tuple[str, ...], used: bool
) -> None:
    home = surroundings.home / "person"
    made = [home, home / ".local", home / ".local" / "state", home / ".local" / "state" / "nexo"]
    for directory in made[: 4 if used else 1]:
        directory.mkdir(mode=0o700)
        os.chown(directory, PERSON, PERSON)
    before = sorted(home.rglob("*"))
    done = surroundings.run([*NEXOCTL, "--json", *words], env=places_of_a_home(home), expect=None)
    assert sorted(home.rglob("*")) == before
    if words != ("status",):
        assert done.code in (3, 4)
        assert f"user {PERSON}" in done.error["message"]
        assert "without sudo" in done.error["hint"]
    doctor = surroundings.run([*NEXOCTL, "--json", "doctor"], env=places_of_a_home(home), expect=1).json
    [user] = [one for one in doctor["findings"] if one["topic"] == "user"]
    assert user["level"] == "broken"
    assert "without sudo" in user["fix"]
    assert sorted(home.rglob("*")) == before


# -- no home: DynamicUser=, a container with any uid -------------------------------------------------------


def test_no_home_is_a_sentence(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    from nexo.connections import paths
    from nexo_client.channel import locate
    from nexo_client.errors import DaemonUnsafe

    def nobody(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for value in ("", "relative"):
        monkeypatch.setenv("HOME", value)
        with pytest.raises(paths.UnsafePathError, match="there is no home directory") as raised:
            paths.data_dir()
        assert "NEXO_DATA_DIR" in raised.value.hint
        monkeypatch.setattr(paths, "is_private", lambda path: False)
        with pytest.raises(DaemonUnsafe, match="there is no home directory"):
            locate()
        assert str(paths.places()[1].path) == "(no home directory)"
    monkeypatch.setenv("NEXO_DATA_DIR", str(surroundings.home))
    assert paths.data_dir() == surroundings.home


# -- a home that is read-only ------------------------------------------------------------------------------


def read_only(*places: Path) -> tuple[str, ...]:
    """A command in front of a program that lets it see these places read-only."""
    steps = [f"mount --bind '{place}' '{place}' && mount -o remount,ro,bind '{place}'" for place in places]
    return ("unshare", "-m", "sh", "-ec", "; ".join([*steps, 'exec "$@"']), "sh")


@as_root
@pytest.mark.needs("linux")
@pytest.mark.parametrize("never_used", [False, True], ids=["lock there", "no state directory"])
def test_a_read_only_home_is_served_read_only(surroundings: Surroundings, never_used: bool) -> None:
    first = surroundings.start_nexod()
    with first.client() as client:
        client.create_connection(ConnectionDraft(name="one", provider="openai", api_key="sk-of-nobody-1234"))
    assert first.stop() == 0
    if never_used:
        shutil.rmtree(surroundings.state_dir)
        # The directory above it is what cannot be written then.
        surroundings.state_dir = surroundings.home / "read-only" / "state"
        surroundings.state_dir.parent.mkdir()
    above = surroundings.state_dir.parent if never_used else surroundings.state_dir
    surroundings.prefix = read_only(above, surroundings.data_dir, surroundings.config_dir)
    second = surroundings.start_nexod()
    surroundings.prefix = ()
    with second.client() as client:
        status = client.status()
        assert status.store is StoreState.READ_ONLY
        assert "file system is read-only" in status.store_problem
        assert "damaged" not in status.store_problem
        assert client.resolve().api_key == "sk-of-nobody-1234"
    assert f"{surroundings.state_dir}/nexod.log cannot be written: Read-only file system" in second.output
    # The lock holds all the same, and its note is found.
    third = surroundings.spawn_nexod()
    if never_used:
        shutil.rmtree(surroundings.state_dir, ignore_errors=True)
    assert third.wait() == 1
    surroundings.socket.unlink()
    stopped = surroundings.nexoctl("--json", "daemon", "stop").json
    assert stopped["stopped"] is True
    second.wait()


@as_root
@pytest.mark.needs("linux")
def test_with_all_disks_read_only_programs_still_get_their_connection(surroundings: Surroundings) -> None:
    """As after an input/output error, when the kernel makes the disk with /tmp read-only."""
    first = surroundings.start_nexod()
    with first.client() as client:
        client.create_connection(ConnectionDraft(name="one", provider="openai", api_key="sk-of-nobody-1234"))
    assert first.stop() == 0
    run = surroundings.socket.parent
    steps = [
        "mount --make-rprivate /",
        f"mount --bind '{run}' '{run}'",
        *(
            f"mount --rbind {place} {place}; mount -o remount,ro,bind {place}"
            for place in ("/tmp", "/var/tmp")
        ),
        "mount -o remount,ro,bind /",
        "cd /",
        'exec "$@"',
    ]
    surroundings.prefix = ("unshare", "-m", "sh", "-ec", "; ".join(steps), "sh")
    surroundings.run([*NEXOCTL, "daemon", "start"])
    surroundings.prefix = ()
    with nexo_client.connect(surroundings.socket) as client:
        status = client.status()
        assert status.store is StoreState.READ_ONLY
        assert "file system is read-only" in status.store_problem
        assert client.resolve().api_key == "sk-of-nobody-1234"
        pid = client.shutdown()
    wait_for(lambda: not processes.alive(pid), "the daemon ends")
    assert [path.name for path in run.iterdir() if path.is_dir()] == []


# -- the lock and the log ----------------------------------------------------------------------------------


def test_a_state_directory_that_was_removed_comes_back_with_lock_and_log(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    shutil.rmtree(surroundings.state_dir)
    lock = surroundings.state_dir / "nexod.lock"

    def noted() -> bool:
        return lock.exists() and b'"ready": true' in lock.read_bytes()

    wait_for(noted, "the lock is held again", patience_s=SOON_S)
    assert json.loads(lock.read_text())["pid"] == nexod.pid
    second = surroundings.spawn_nexod()
    assert second.wait() == 1
    assert f"pid {nexod.pid}" in second.output
    assert surroundings.nexoctl("--json", "daemon", "stop").json["pid"] == nexod.pid
    assert nexod.wait() == 0
    assert "nexod stopped" in (surroundings.state_dir / "nexod.log").read_text()


def test_when_another_daemon_was_faster_with_the_lock_the_first_one_ends(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    import fcntl

    (surroundings.state_dir / "nexod.lock").unlink()
    with (surroundings.state_dir / "nexod.lock").open("w") as taken:
        os.fchmod(taken.fileno(), 0o600)
        fcntl.flock(taken, fcntl.LOCK_EX)
        # It may have been faster itself, and then keeps the file that it has made.
        code = nexod.wait()
    assert code == 1
    assert "another daemon has it by now" in nexod.output


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_a_lock_that_is_no_file_is_named_with_the_command_that_moves_it(
    surroundings: Surroundings, kind: str
) -> None:
    surroundings.state_dir.mkdir(mode=0o700)
    lock = surroundings.state_dir / "nexod.lock"
    match kind:
        case "directory":
            lock.mkdir()
        case "link":
            lock.symlink_to(surroundings.home / "elsewhere")
        case "pipe":
            os.mkfifo(lock, 0o600)
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    problem, _, hint = daemon.output.strip().partition("\n  move it away: ")
    assert problem == f"nexod: {lock}: is not a regular file"
    surroundings.run(["sh", "-c", hint])
    assert surroundings.start_nexod().stop() == 0


@pytest.mark.parametrize("name", ["nexod.log", "stores.json"])
def test_a_pipe_in_the_place_of_a_file_does_not_hang_the_start(surroundings: Surroundings, name: str) -> None:
    surroundings.state_dir.mkdir(mode=0o700)
    os.mkfifo(surroundings.state_dir / name, 0o600)
    daemon = surroundings.start_nexod()
    assert daemon.stop() == 0


def test_the_doctor_finds_backups_that_cannot_be_made(surroundings: Surroundings, nexod: Nexod) -> None:
    backups = surroundings.data_dir / "backups"
    backups.mkdir(mode=0o755)
    backups.chmod(0o755)
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    [found] = [one for one in findings if one["topic"] == "backups"]
    assert found["fix"] == f"chmod 700 '{backups}'"


def test_two_daemons_with_different_state_directories_do_not_share_a_store(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    other = {
        "NEXO_STATE_DIR": str(surroundings.home / "other-state"),
        "NEXO_SOCKET": str(surroundings.home / "other-run" / "s"),
    }
    second = surroundings.spawn_nexod(env=other)
    assert second.wait() == 1
    assert f"another nexod uses the store {surroundings.data_dir}/connections.db" in second.output
    nexod.kill()
    third = surroundings.spawn_nexod(env=other)
    wait_for(lambda: "ready with" in third.output, "the third is ready")
    assert third.stop() == 0


# -- closed standard files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_the_lock_and_the_signals_do_not_take_the_numbers_of_closed_standard_files(
    surroundings: Surroundings, closed: str
) -> None:
    surroundings.prefix = ("sh", "-c", f'exec "$@" {closed}', "sh")
    daemon = surroundings.start_nexod("--background")
    surroundings.prefix = ()
    second = surroundings.spawn_nexod()
    assert second.wait() == 1
    assert "is running already" in second.output
    assert daemon.stop() == 0


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ("-n 20", "may open 20 files, and the daemon needs 64"),
        ("-v 300000", "may use 292 MB of memory addresses, and the daemon needs 1024"),
        ("-f 200", "kB, and the daemon needs 65536"),
    ],
)
def test_a_limit_that_is_too_low_is_named_by_the_daemon_its_starter_and_the_doctor(
    surroundings: Surroundings, limit: str, problem: str
) -> None:
    surroundings.prefix = ("sh", "-c", f'ulimit {limit}; exec "$@"', "sh")
    daemon = surroundings.spawn_nexod()
    assert daemon.wait() == 1
    assert problem in daemon.output
    assert "ulimit" in daemon.output
    assert "Traceback" not in daemon.output
    error = surroundings.run([*NEXOCTL, "--json", "list"], expect=3).error
    assert problem in error["message"]
    assert "ulimit" in error["hint"]
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    [limits] = [one for one in findings if one["topic"] == "limits"]
    assert problem in limits["text"]
    assert "ulimit" in limits["fix"]


@as_root
@pytest.mark.needs("linux")
def test_a_user_who_may_start_no_process_is_told_so(surroundings: Surroundings) -> None:
    """The output is not to blame, which was named for every failure that concerns no file."""
    os.chown(surroundings.home, PERSON, PERSON)
    # Python may belong to root.
    keep = "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
    drop = f"setpriv --reuid={PERSON} --regid={PERSON} --clear-groups {keep}".split()
    surroundings.prefix = (*drop, "prlimit", "--nproc=1:1")
    refused = "cannot be started: this user may have 1 threads"
    for words in (["list"], ["daemon", "start"]):
        error = surroundings.run([*NEXOCTL, "--json", *words], expect=3).error
        assert refused in error["message"]
        assert "ulimit -u" in error["hint"]


@pytest.mark.parametrize("line", ["0::/user/unit", "7:pids:/user/unit"], ids=["v2", "v1"])
def test_a_limit_of_tasks_is_found_in_the_control_groups(tmp_path: Path, line: str) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text(f"9:name=systemd:/x\n{line}\n")
    unit = tmp_path / "tree" / ("pids" if "pids" in line else "") / "user" / "unit"
    unit.mkdir(parents=True)
    (unit / "pids.max").write_text("max\n")
    assert not limits.shortages(groups, tmp_path / "tree")
    (unit.parent / "pids.max").write_text("14\n")
    [shortage] = limits.shortages(groups, tmp_path / "tree")
    assert "may have 14 threads, and the daemon needs 32" in shortage.problem
    assert "TasksMax" in shortage.hint


# -- full disks --------------------------------------------------------------------------------------------


@as_root
@pytest.mark.needs("linux")
def test_a_full_disk_is_named_whichever_it_is(surroundings: Surroundings) -> None:
    """Lock and log lie on another disk than the store: a home on two, or a tmpfs."""
    surroundings.state_dir.mkdir(mode=0o700)
    script = (
        f"mount -t tmpfs -o size=64k,mode=0700 none '{surroundings.state_dir}'; "
        f"head -c 64k /dev/zero > '{surroundings.state_dir}/fill' || true; exec \"$@\""
    )
    surroundings.prefix = ("unshare", "-m", "sh", "-c", script, "sh")
    daemon = surroundings.spawn_nexod()
    findings = surroundings.nexoctl("--json", "doctor", expect=None).json["findings"]
    full = [one["text"] for one in findings if one["topic"] == "disk"]
    assert f"0 MB are free at {surroundings.state_dir} (lock and log)" in full
    assert daemon.wait() == 1
    assert f"{surroundings.state_dir}/nexod.lock: No space left on device" in daemon.output


# -- the doctor --------------------------------------------------------------------------------------------


def test_a_check_of_the_doctor_that_fails_is_a_finding_and_ends_no_other(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where a directory should be, a place that leads in circles, one with a name that is too long.
    circle = surroundings.home / "circle"
    circle.symlink_to(circle)
    for place in (circle, surroundings.home / ("x" * 300), Path("/dev/null")):
        for variable in ("NEXO_SOCKET", "NEXO_DATA_DIR", "NEXO_STATE_DIR", "NEXO_CONFIG_DIR"):
            done = surroundings.run(
                [*NEXOCTL, "--json", "doctor"], env={variable: str(place / "n")}, expect=1
            )
            topics = {one["topic"] for one in done.json["findings"]}
            assert {"versions", "clock", "daemon", "tray"} <= topics, done
            assert any(str(place)[:100] in one["text"] for one in done.json["findings"]), done


def test_the_doctor_misses_the_key_file_that_is_still_in_memory(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="one", provider="openai", api_key="sk-of-nobody-1234"))
    shutil.rmtree(surroundings.config_dir)
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    [vault] = [one for one in findings if one["topic"] == "vault" and one["level"] == "broken"]
    assert f"{surroundings.config_dir}/vault.key is gone" in vault["text"]
    surroundings.nexoctl("vault", "rekey", "--to", "key_file")
    nexod.kill()
    with surroundings.start_nexod().client() as client:
        assert client.resolve("one").api_key == "sk-of-nobody-1234"


# -- links that lead to nothing, and paths that are too long ------------------------------------------------


@pytest.mark.parametrize("target", ["gone/config", ".config"], ids=["dangling", "circle"])
def test_a_link_that_leads_nowhere_is_named_by_the_daemon_the_doctor_and_the_import(
    surroundings: Surroundings, target: str
) -> None:
    home = surroundings.home / "person"
    home.mkdir(mode=0o700)
    (home / ".config").symlink_to(home / target if target == "gone/config" else target)
    env = places_of_a_home(home) | {"NEXO_SOCKET": str(surroundings.socket), "OLLAMA_HOST": "127.0.0.1:9"}
    surroundings.socket.parent.mkdir(mode=0o700, exist_ok=True)
    told = f"{home / '.config'}: is a symbolic link to {(home / '.config').readlink()}, which is not there"
    add = [
        "add",
        "x",
        "--provider",
        "custom",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--api-key-stdin",
        "--no-test",
    ]
    try:
        refused = surroundings.run([*NEXOCTL, *add], env=env, stdin="a-key-1", expect=None)
        assert refused.code == 4
        assert told in refused.err
        doctor = surroundings.run([*NEXOCTL, "--json", "doctor"], env=env, expect=1).json
        found = [one for one in doctor["findings"] if told in one["text"]]
        assert {one["level"] for one in found} == {"broken"}
        assert any("remove the link" in one["fix"] + one["text"] for one in found)
        imported = surroundings.run([*NEXOCTL, "import"], env=env).out
        assert imported.count("which is not there") == 1
    finally:
        surroundings.run([*NEXOCTL, "daemon", "stop"], env=env)


def test_a_path_that_sqlite_does_not_take_is_named(surroundings: Surroundings) -> None:
    place = surroundings.home
    while len(str(place)) < 520:
        place = place / ("d" * 100)
    place.mkdir(parents=True)
    place.chmod(0o700)
    env = {"NEXO_DATA_DIR": str(place)}
    refused = surroundings.run([*NEXOCTL, "--json", "list"], env=env, expect=3)
    assert "SQLite allows" in refused.error["message"]
    assert "NEXO_DATA_DIR" in refused.error["hint"]
    doctor = surroundings.run([*NEXOCTL, "--json", "doctor"], env=env, expect=1).json
    assert any("SQLite allows" in one["text"] and "NEXO_DATA_DIR" in one["fix"] for one in doctor["findings"])


# -- an upgrade under a running daemon ---------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["nexo_gateway/app.py", "nexo_daemon/gateway/backend.py"])
def test_a_gateway_whose_files_an_upgrade_took_away_asks_for_a_restart(
    surroundings: Surroundings, gone: str
) -> None:
    installed = surroundings.home / "installed"
    shutil.copytree(Path(nexo_daemon.__file__).parents[1], installed)
    surroundings.forks = False
    nexod = surroundings.start_nexod(env={"PYTHONPATH": str(installed)})
    (installed / gone).unlink()
    with nexod.client() as client:
        with pytest.raises(GatewayClosed, match="files were replaced or removed while nexod") as refused:
            client.gateway.mint()
        assert refused.value.hint == "nexoctl daemon restart"
    assert "Traceback" not in nexod.output


def test_reflection_whose_files_an_upgrade_took_away_asks_for_a_restart(surroundings: Surroundings) -> None:
    installed = surroundings.home / "installed"
    shutil.copytree(Path(grpc_reflection.__file__).parent, installed / "grpc_reflection")
    surroundings.forks = False
    surroundings.start_nexod(env={"PYTHONPATH": str(installed)})
    shutil.rmtree(installed)
    with grpc.insecure_channel(channel.target(surroundings.socket), options=channel.OPTIONS) as line:
        answers = reflection_pb2_grpc.ServerReflectionStub(line).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(answers)
    error = failures.translate(refused.value, surroundings.socket, "reflection")
    assert "files were replaced or removed while nexod" in error.message
    assert error.hint == "nexoctl daemon restart"
