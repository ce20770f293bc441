"""A store that was removed, replaced, moved or made read-only under the daemon: noticed, said, never "Saved".

Public reports of the like: owncloud/client#6530, buildbarn/bb#2190, a volume that was not mounted at login.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nexo.connections.terms import StoreState
from nexo_client.errors import NexoError, StoreFailed, StoreReadOnly
from nexo_client.types import ConnectionDraft
from surroundings import SOON_S, Nexod, Surroundings, wait_for

SECRET = "sk-kept-in-the-store-0001"


def draft(name: str) -> ConnectionDraft:
    return ConnectionDraft(name=name, provider="openai", api_key=SECRET)


def remove_directory(data: Path) -> None:
    shutil.rmtree(data)


def remove_file(data: Path) -> None:
    (data / "connections.db").unlink()


def move_directory(data: Path) -> None:
    data.rename(data.with_name("elsewhere"))


def replace_file(data: Path) -> None:
    database = data / "connections.db"
    database.rename(data / "old.db")
    shutil.copy(data / "old.db", database)


def replace_directory(data: Path) -> None:
    move_directory(data)
    data.mkdir(mode=0o700)


def remove_log(data: Path) -> None:
    (data / "connections.db-wal").unlink()


def make_file_read_only(data: Path) -> None:
    (data / "connections.db").chmod(0o400)


LOSSES: tuple[Callable[[Path], None], ...] = (
    remove_directory,
    remove_file,
    move_directory,
    replace_file,
    replace_directory,
    remove_log,
    make_file_read_only,
)


def is_read_only(daemon: Nexod) -> bool:
    with daemon.client() as client:
        return client.status().store is StoreState.READ_ONLY


@pytest.mark.parametrize("lose", LOSSES)
def test_it_is_noticed_within_seconds_and_the_doctor_finds_it(
    surroundings: Surroundings, nexod: Nexod, lose: Callable[[Path], None]
) -> None:
    with nexod.client() as client:
        client.create_connection(draft("before"))
        lose(surroundings.data_dir)
        wait_for(lambda: is_read_only(nexod), "the loss is noticed", patience_s=SOON_S)
        status = client.status()
        assert str(surroundings.data_dir / "connections.db") in status.store_problem
        with pytest.raises(StoreReadOnly) as refused:
            client.create_connection(draft("after"))
        assert refused.value.hint == status.store_advice != ""
        # It goes on serving from memory.
        assert client.resolve("before").api_key == SECRET
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    [store] = [one for one in findings if one["topic"] == "store"]
    assert store["level"] == "broken"
    assert str(surroundings.data_dir / "connections.db") in store["text"]
    assert store["fix"] == status.store_advice
    assert "restore brings back" not in store["fix"], "a backup of last week is no help against this"
    checked = surroundings.nexoctl("--json", "store", "check", expect=1).json
    assert status.store_problem in checked["problems"]


@pytest.mark.parametrize("lose", LOSSES[:-1])
def test_nothing_is_acknowledged_that_is_lost(
    surroundings: Surroundings, nexod: Nexod, lose: Callable[[Path], None]
) -> None:
    """Without the look every few seconds, too: in the very moment."""
    with nexod.client() as client:
        client.create_connection(draft("before"))
        lose(surroundings.data_dir)
        with pytest.raises(StoreReadOnly):
            client.create_connection(draft("after"))
        assert [one.name for one in client.list_connections()] == ["before"]


@pytest.mark.parametrize("lose", [remove_directory, remove_file, replace_directory, replace_file])
def test_what_is_in_memory_can_be_saved_and_put_in_place(
    surroundings: Surroundings, nexod: Nexod, lose: Callable[[Path], None]
) -> None:
    with nexod.client() as client:
        client.create_connection(draft("one"))
        client.create_connection(draft("two"))
    lose(surroundings.data_dir)
    wait_for(lambda: is_read_only(nexod), "the loss is noticed", patience_s=SOON_S)
    surroundings.nexoctl("store", "backup")
    surroundings.nexoctl("store", "restore")
    with nexod.client() as client:
        assert client.status().store is StoreState.READ_WRITE
        client.create_connection(draft("three"))
    assert nexod.stop() == 0
    with surroundings.start_nexod().client() as client:
        assert [one.name for one in client.list_connections()] == ["one", "two", "three"]
        assert client.resolve("one").api_key == SECRET


@pytest.mark.parametrize("lose", [remove_directory, remove_file, replace_directory])
def test_an_orderly_end_saves_what_is_in_no_file_any_more(
    surroundings: Surroundings, nexod: Nexod, lose: Callable[[Path], None]
) -> None:
    with nexod.client() as client:
        client.create_connection(draft("one"))
        client.create_connection(draft("two"))
    lose(surroundings.data_dir)
    assert nexod.stop() == 0
    assert "what was in it is saved" in nexod.output
    second = surroundings.start_nexod()
    surroundings.nexoctl("store", "restore")
    with second.client() as client:
        assert [one.name for one in client.list_connections()] == ["one", "two"]
        assert client.resolve("two").api_key == SECRET


def test_every_command_says_it(surroundings: Surroundings, nexod: Nexod) -> None:
    with nexod.client() as client:
        client.create_connection(draft("one"))
    remove_directory(surroundings.data_dir)
    lock = surroundings.state_dir / "nexod.lock"
    wait_for(lambda: "was removed or moved" in lock.read_text(), "the loss is noted", patience_s=SOON_S)
    for words in (
        ["list"],
        ["which"],
        ["show", "one"],
        ["workspace", "list"],
    ):
        done = surroundings.nexoctl(*words)
        assert "connections.db was removed or moved" in done.err, words
        assert "nexoctl store backup" in done.err, words
    surroundings.nexoctl("store", "backup")
    surroundings.nexoctl("store", "restore")
    wait_for(lambda: "was removed or moved" not in lock.read_text(), "it is over", patience_s=SOON_S)
    assert not surroundings.nexoctl("list").err


def test_moved_back_it_takes_changes_again(surroundings: Surroundings, nexod: Nexod) -> None:
    with nexod.client() as client:
        client.create_connection(draft("one"))
        move_directory(surroundings.data_dir)
        wait_for(lambda: is_read_only(nexod), "the loss is noticed", patience_s=SOON_S)
        surroundings.data_dir.with_name("elsewhere").rename(surroundings.data_dir)
        wait_for(lambda: not is_read_only(nexod), "it is noticed that it is back", patience_s=SOON_S)
        client.create_connection(draft("two"))
    nexod.kill()
    with surroundings.start_nexod().client() as client:
        assert [one.name for one in client.list_connections()] == ["one", "two"]


def test_a_log_that_was_removed_costs_nothing_that_was_acknowledged(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    with nexod.client() as client:
        for number in range(20):
            client.create_connection(draft(f"number {number}"))
    remove_log(surroundings.data_dir)
    wait_for(lambda: is_read_only(nexod), "the loss is noticed", patience_s=SOON_S)
    assert nexod.stop() == 0
    with surroundings.start_nexod().client() as client:
        assert len(client.list_connections()) == 20


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_empty_store_takes_the_place_of_one_that_is_gone(
    surroundings: Surroundings, nexod: Nexod, end: signal.Signals
) -> None:
    with nexod.client() as client:
        client.create_connection(draft("one"))
    move_directory(surroundings.data_dir)
    nexod.signal(end)
    nexod.wait()
    second = surroundings.start_nexod()
    database = surroundings.data_dir / "connections.db"
    assert not database.exists()
    with second.client() as client:
        status = client.status()
        assert status.store is StoreState.READ_ONLY
        assert f"{database} is gone" in status.store_problem
        with pytest.raises(StoreReadOnly):
            client.create_connection(draft("two"))
        # "None" would be false: nobody has removed the connections.
        for ask in (
            client.list_connections,
            client.list_workspaces,
            client.resolve,
            lambda: client.resolve("x"),
        ):
            with pytest.raises(StoreFailed, match="is gone: there was a store") as gone:
                ask()
            assert "nexoctl store restore" in gone.value.hint
    assert "is gone: there was a store" in surroundings.nexoctl("--json", "list", expect=1).error["message"]
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    [store] = [one for one in findings if one["topic"] == "store"]
    assert store["text"] == f"read-only: {database} is gone: there was a store, and now there is none"
    assert "nexoctl store restore --empty" in store["fix"]
    # Mounted late, or moved back by hand: no command is needed.
    if surroundings.data_dir.exists():
        shutil.rmtree(surroundings.data_dir)
    surroundings.data_dir.with_name("elsewhere").rename(surroundings.data_dir)
    with second.client() as client:
        wait_for(lambda: client.status().connections, "it is noticed that it is back", patience_s=SOON_S)
        assert client.status().store is StoreState.READ_WRITE
        assert client.resolve("one").api_key == SECRET


def test_the_person_decides_to_begin_anew(surroundings: Surroundings, nexod: Nexod) -> None:
    refused = surroundings.nexoctl("--json", "store", "restore", "--empty", expect=1).error
    assert "there is a store" in refused["message"]
    remove_directory(surroundings.data_dir)
    assert nexod.stop() == 0
    second = surroundings.start_nexod()
    made = surroundings.nexoctl("--json", "store", "restore", "--empty").json
    assert made["path"] == str(surroundings.data_dir / "connections.db")
    with second.client() as client:
        assert client.status().store is StoreState.READ_WRITE
        client.create_connection(draft("one"))
        assert client.resolve("one").api_key == SECRET


def test_a_store_of_another_place_is_made_without_a_question(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    assert nexod.stop() == 0
    other = surroundings.start_nexod(env={"NEXO_DATA_DIR": str(surroundings.home / "other")})
    assert not is_read_only(other)
    assert other.stop() == 0
    assert not is_read_only(surroundings.start_nexod())


@pytest.mark.needs("linux")
def test_a_directory_that_became_read_only_is_noticed(surroundings: Surroundings) -> None:
    if os.geteuid() == 0:
        # root may write everywhere by one of its capabilities, which it can do without.
        surroundings.prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    daemon = surroundings.start_nexod()
    surroundings.data_dir.chmod(0o500)
    try:
        wait_for(lambda: is_read_only(daemon), "it is noticed", patience_s=SOON_S)
    finally:
        surroundings.data_dir.chmod(0o700)
    wait_for(lambda: not is_read_only(daemon), "it is noticed that it is over", patience_s=SOON_S)


@pytest.mark.needs("linux")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_file_system_that_became_read_only_is_noticed_and_that_it_is_over(
    surroundings: Surroundings,
) -> None:
    """As the kernel does after a fault of the disk, and as a person mends it."""
    surroundings.prefix = ("unshare", "-m")
    daemon = surroundings.start_nexod()
    surroundings.prefix = ("nsenter", "-t", str(daemon.pid), "-m")
    place = str(surroundings.data_dir)
    with daemon.client() as client:
        client.create_connection(draft("one"))
        surroundings.run(["mount", "--bind", place, place])
        surroundings.run(["mount", "-o", "remount,ro,bind", place])
        wait_for(lambda: is_read_only(daemon), "it is noticed", patience_s=SOON_S)
        with pytest.raises(StoreReadOnly, match="file system is read-only"):
            client.create_connection(draft("two"))
        findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
        broken = {one["topic"]: one for one in findings if one["level"] == "broken"}
        assert "file system is read-only" in broken["store"]["text"]
        assert "mount it writable" in broken["store"]["fix"]
        assert f"the file system of {surroundings.data_dir} is read-only (data)" in broken["disk"]["text"]
        surroundings.run(["umount", place])
        wait_for(lambda: not is_read_only(daemon), "it is noticed that it is over", patience_s=SOON_S)
        client.create_connection(draft("two"))


@pytest.mark.parametrize("lose", [remove_directory, replace_file])
def test_a_race_of_writes_and_a_removal_acknowledges_only_what_is_there(
    surroundings: Surroundings, nexod: Nexod, lose: Callable[[Path], None]
) -> None:
    """Whatever the moment: what was said to be saved is in memory, can be saved, and is there afterwards."""
    acknowledged = 0
    with nexod.client() as client:
        deadline = time.monotonic() + 20
        while acknowledged < 30 and time.monotonic() < deadline:
            client.create_connection(draft(f"number {acknowledged}"))
            acknowledged += 1
        lose(surroundings.data_dir)
        for _ in range(3):
            with pytest.raises(NexoError):
                client.create_connection(draft("too late"))
        assert len(client.list_connections()) == acknowledged
    surroundings.nexoctl("store", "backup")
    surroundings.nexoctl("store", "restore")
    nexod.kill()
    with surroundings.start_nexod().client() as client:
        assert len(client.list_connections()) == acknowledged
