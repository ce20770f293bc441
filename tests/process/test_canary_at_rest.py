"""Where a key could come to rest, it is found sealed or not at all.

Searched after a life with replaced, removed and rotated keys: the pages of the store (free ones too), its
log, backups, exports, temporary files, what crossed the session bus, the environment of the daemon, and what
a crash leaves behind. `test_canary` searches what commands print.
"""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from keyring_session import KeyringSession
from surroundings import Nexod, Surroundings, wait_for

CANARY = "sk-canaryAtRest9"


def add(surroundings: Surroundings, name: str, key: str) -> None:
    surroundings.nexoctl(
        *("add", name, "--provider", "custom", "--base-url", "http://127.0.0.1:9/v1", "--no-test"),
        *("--api-key-stdin", "--header", f"X-Token: {key}-header"),
        *("--proxy", "http://me@127.0.0.1:9", "--proxy-password-env", "PASSWORD"),
        stdin=key,
        env={"PASSWORD": f"{key}-proxy"},
    )


def live(surroundings: Surroundings) -> None:
    """Everything that a key can go through."""
    add(surroundings, "one", f"{CANARY}-1")
    add(surroundings, "two", f"{CANARY}-2")
    surroundings.nexoctl("edit", "one", "--api-key-stdin", "--no-test", stdin=f"{CANARY}-3")
    surroundings.nexoctl("store", "backup")
    surroundings.nexoctl("remove", "two")
    surroundings.nexoctl("vault", "rotate")
    surroundings.nexoctl("export", "--output", str(surroundings.home / "plain.json"))
    surroundings.nexoctl(
        *("export", "--with-secrets", "--passphrase-stdin"),
        *("--output", str(surroundings.home / "sealed.json")),
        stdin="correct horse battery\n",
    )
    key = surroundings.nexoctl("resolve", "--connection", "one", "--format", "key").out.strip()
    assert key == f"{CANARY}-3"


def holding(surroundings: Surroundings) -> list[str]:
    return [str(path) for path in surroundings.files() if CANARY.encode() in path.read_bytes()]


def test_no_file_of_a_long_life_holds_a_key(nexod: Nexod, surroundings: Surroundings) -> None:
    live(surroundings)
    assert holding(surroundings) == []
    searched = {path.name for path in surroundings.files()}
    assert {"connections.db", "connections.db-wal", "plain.json", "sealed.json", "nexod.log"} <= searched
    assert any("backups" in str(path) for path in surroundings.files())
    assert nexod.stop() == 0
    assert holding(surroundings) == []


@pytest.mark.needs("linux")
def test_the_environment_that_the_daemon_was_started_in_gives_up_its_keys(surroundings: Surroundings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may read /proc/PID/environ of a process that is not dumpable")
    surroundings.forks = False
    daemon = surroundings.start_nexod(env={"OPENAI_API_KEY": f"{CANARY}-env", "GROQ_API_KEY": CANARY})
    environ = Path(f"/proc/{daemon.pid}/environ").read_bytes()
    assert CANARY.encode() not in environ
    assert b"OPENAI_API_KEY=" in environ


@pytest.mark.needs("linux")
def test_a_crash_leaves_no_core(surroundings: Surroundings) -> None:
    # Without the hardening the daemon would inherit this.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    daemon = surroundings.start_nexod()
    add(surroundings, "one", f"{CANARY}-1")
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    daemon.signal(signal.SIGABRT)
    assert daemon.wait() == -signal.SIGABRT
    assert not [path for path in surroundings.home.rglob("*") if path.name.startswith("core")]
    assert holding(surroundings) == []


@pytest.mark.needs("keyring")
def test_nothing_crosses_the_session_bus_in_the_clear(surroundings: Surroundings, tmp_path: Path) -> None:
    with KeyringSession(tmp_path / "session") as keyring:
        keyring.start()
        traffic = tmp_path / "traffic"
        with traffic.open("wb") as file:
            monitor = subprocess.Popen(
                ["dbus-monitor", "--session", "--binary"],
                stdout=file,
                stderr=subprocess.DEVNULL,
                env=keyring.environment,
            )
        try:
            # NameAcquired is the first thing that a monitor sees.
            wait_for(lambda: traffic.stat().st_size > 0, "the monitor listens")
            first = surroundings.start_nexod(env=keyring.environment)
            live(surroundings)
            surroundings.nexoctl("vault", "rekey", "--to", "key_file")
            kept = (surroundings.config_dir / "vault.key").read_text().split()[-1]
            surroundings.nexoctl("vault", "rekey", "--to", "keyring")
            assert first.stop() == 0
            surroundings.start_nexod(env=keyring.environment)
            wait_for(lambda: b"SearchItems" in traffic.read_bytes(), "the keyring was asked")
        finally:
            monitor.terminate()
            monitor.wait()
        seen = traffic.read_bytes()
        assert b"OpenSession" in seen
        assert CANARY.encode() not in seen
        assert kept.encode() not in seen
