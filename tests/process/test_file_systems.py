"""A store on a file system without shared memory or without locks: used where that is safe, else named.

Never "damaged, restore a backup": nothing is damaged. Public reports of the like: charmbracelet/crush#3461,
Sonarr#2797 (SQLite's log on sshfs, 9p, NFS).
"""

from pathlib import Path

import pytest

import fuse_mount
from nexo.connections.terms import StoreState
from nexo_client.types import ConnectionDraft
from surroundings import Surroundings

pytestmark = [
    pytest.mark.needs("linux"),
    pytest.mark.skipif(bool(fuse_mount.missing()), reason=fuse_mount.missing() or "-"),
]


@pytest.fixture
def backing(surroundings: Surroundings) -> Path:
    for directory in (surroundings.data_dir, surroundings.state_dir, surroundings.home / "backing"):
        directory.mkdir(mode=0o700)
    return surroundings.home / "backing"


def test_a_store_without_shared_memory_is_used_and_survives_kill_9(
    surroundings: Surroundings, backing: Path
) -> None:
    with fuse_mount.mounted(backing, surroundings.data_dir):
        first = surroundings.start_nexod()
        with first.client() as client:
            assert client.status().store is StoreState.READ_WRITE, client.status().store_problem
            for number in range(3):
                client.create_connection(
                    ConnectionDraft(name=f"number {number}", provider="openai", api_key="sk-of-nobody-1234")
                )
        first.kill()
        # With a log that has to be read before anything else.
        assert (backing / "connections.db-wal").stat().st_size > 0
        second = surroundings.start_nexod()
        with second.client() as client:
            assert client.status().store is StoreState.READ_WRITE, client.status().store_problem
            assert [one.name for one in client.list_connections()] == [f"number {n}" for n in range(3)]
            assert client.resolve("number 1").api_key == "sk-of-nobody-1234"
            made = client.store.create_backup()
            client.create_connection(ConnectionDraft(name="later", provider="ollama"))
            client.store.restore(made.name)
            assert len(client.list_connections()) == 3
        findings = surroundings.nexoctl("--json", "doctor", expect=None).json["findings"]
        assert not [one for one in findings if one["topic"] == "store" and one["level"] != "ok"]
        assert second.stop() == 0


def test_a_store_that_moves_between_file_systems_opens_on_both(
    surroundings: Surroundings, backing: Path
) -> None:
    with fuse_mount.mounted(backing, surroundings.data_dir):
        first = surroundings.start_nexod()
        with first.client() as client:
            client.create_connection(ConnectionDraft(name="one", provider="ollama"))
        first.kill()
    elsewhere = {"NEXO_DATA_DIR": str(backing)}
    second = surroundings.start_nexod(env=elsewhere)
    with second.client() as client:
        assert [one.name for one in client.list_connections()] == ["one"]
        client.create_connection(ConnectionDraft(name="two", provider="ollama"))
    second.kill()
    with fuse_mount.mounted(backing, surroundings.data_dir):
        third = surroundings.start_nexod()
        with third.client() as client:
            assert [one.name for one in client.list_connections()] == ["one", "two"]
        assert third.stop() == 0


@pytest.mark.parametrize("place", ["data_dir", "state_dir"])
def test_a_file_system_without_locks_is_named(surroundings: Surroundings, backing: Path, place: str) -> None:
    directory: Path = getattr(surroundings, place)
    with fuse_mount.mounted(backing, directory, locks=False):
        daemon = surroundings.spawn_nexod()
        assert daemon.wait() == 1
    last = daemon.output.strip().splitlines()
    assert "locks" in last[-2]
    assert str(directory) in last[-2]
    assert "local disk" in last[-1]
    assert "damaged" not in daemon.output
    assert "restore" not in daemon.output
    assert "Traceback" not in daemon.output


def test_an_existing_store_on_one_without_locks_is_not_called_damaged(
    surroundings: Surroundings, backing: Path
) -> None:
    with fuse_mount.mounted(backing, surroundings.data_dir):
        first = surroundings.start_nexod()
        with first.client() as client:
            client.create_connection(ConnectionDraft(name="one", provider="ollama"))
        first.kill()
    with fuse_mount.mounted(backing, surroundings.data_dir, locks=False):
        daemon = surroundings.spawn_nexod()
        assert daemon.wait() == 1
        assert "no working locks" in daemon.output
        assert "damaged" not in daemon.output
