"""Which connection does a program get? The rules as a truth table, asked of a real daemon, and attempts to
reach another client's account.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexo_client
from nexo.connections.terms import ResolutionSource as Source
from nexo_client import Client
from nexo_client.errors import (
    BindingBroken,
    ConnectionDisabled,
    ConnectionInUse,
    ConnectionNotFound,
    NexoError,
    NoDefaultConnection,
    VaultLocked,
)
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, wait_for


@pytest.fixture
def client(nexod: Nexod) -> Iterator[Client]:
    with nexod.client() as connected:
        yield connected


def add(client: Client, name: str) -> None:
    draft = ConnectionDraft(
        name=name, provider="custom", base_url="http://127.0.0.1:9/v1", api_key=f"key-of-{name}"
    )
    client.create_connection(draft)


def disable(client: Client, name: str) -> None:
    client.update_connection(name, ConnectionDraft(enabled=False))


# What a rule may name: nothing, a connection that works, one that is gone, one that is switched off.
NOTHING, WORKS, GONE, OFF = "nothing", "works", "gone", "off"
RULES = (Source.EXPLICIT, Source.ENVIRONMENT, Source.WORKSPACE, Source.DEFAULT)
FAILURES = {
    (Source.EXPLICIT, GONE): ConnectionNotFound,
    (Source.ENVIRONMENT, GONE): ConnectionNotFound,
    (Source.WORKSPACE, GONE): BindingBroken,
}


def expected(named: dict[Source, str]) -> tuple[Source | None, str, type[NexoError] | None]:
    """The first rule that names anything decides, alone."""
    for source in RULES:
        if named[source] == NOTHING:
            continue
        if named[source] == WORKS:
            return source, f"{source}-works", None
        return source, "", FAILURES.get((source, named[source]), ConnectionDisabled)
    return None, "", NoDefaultConnection


def test_the_truth_table(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every combination of what the four rules may name: 4 x 4 x 4 x 3, by resolve, explain and follow."""
    for source in RULES:
        add(client, f"{source}-works")
        add(client, f"{source}-off")
        disable(client, f"{source}-off")
    directory = {NOTHING: tmp_path / "unbound"}
    for state in (WORKS, GONE, OFF):
        directory[state] = tmp_path / state
    add(client, "workspace-gone")
    for state in (WORKS, GONE, OFF):
        client.bind(directory[state], f"workspace-{state}")
    client.delete_connection("workspace-gone", force=True)

    defaults = {WORKS: "default-works", OFF: "default-off"}
    add(client, "soon-gone")
    rows = 0
    for default in (WORKS, OFF, NOTHING):
        if default == NOTHING:
            client.set_default("soon-gone")
            client.delete_connection("soon-gone", force=True)
        elif default == OFF:
            client.update_connection("default-off", ConnectionDraft(enabled=True))
            client.set_default("default-off")
            disable(client, "default-off")
        else:
            client.set_default(defaults[default])
        for call, variable, binding in itertools.product((NOTHING, WORKS, GONE, OFF), repeat=3):
            named = dict(zip(RULES, (call, variable, binding, default), strict=True))
            explicit = None if call == NOTHING else f"explicit-{call}"
            if variable == NOTHING:
                monkeypatch.delenv("NEXO_CONNECTION", raising=False)
            else:
                monkeypatch.setenv("NEXO_CONNECTION", f"environment-{variable}")
            place = directory[binding]
            winner, name, failure = expected(named)

            explained = client.explain(explicit, workspace=place)
            with client.follow(explicit, workspace=place) as live:
                if failure is None:
                    resolved = client.resolve(explicit, workspace=place)
                    assert (resolved.name, resolved.source) == (name, winner), named
                    assert resolved.api_key == f"key-of-{name}"
                    assert (live.current.name, live.current.source) == (name, winner), named
                    assert (explained.connection, explained.source) == (name, winner), named
                else:
                    with pytest.raises(failure):
                        client.resolve(explicit, workspace=place)
                    with pytest.raises(failure):
                        _ = live.current
                    assert explained.connection == "", named
                    assert explained.problem_reason == failure.reason, named
            assert [step.source for step in explained.steps] == list(RULES)
            assert [step.source for step in explained.steps if step.won] == ([winner] if winner else [])
            rows += 1
    assert rows == 4 * 4 * 4 * 3


def test_the_nearest_bound_directory_wins_whatever_the_path_looks_like(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("default", "outer", "inner"):
        add(client, name)
    inner = tmp_path / "work" / "client-a"
    (inner / "src").mkdir(parents=True)
    (tmp_path / "work" / "client-ab").mkdir()
    (tmp_path / "link").symlink_to(inner)
    client.bind(tmp_path / "work", "outer")
    client.bind(tmp_path / "link", "inner")
    monkeypatch.chdir(inner / "src")

    def which(workspace: str | Path) -> str:
        return client.resolve(workspace=workspace).name

    assert which(".") == "inner"
    assert which("..") == "inner"
    assert which(inner / "src" / "not-there-yet") == "inner"
    assert which(tmp_path / "link" / "src") == "inner"
    assert which(f"{inner}/../client-a/") == "inner"
    assert which(tmp_path / "work" / "client-ab") == "outer"
    assert which(tmp_path) == "default"


def test_a_name_is_a_name_even_if_a_directory_has_it(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("default", "by-name", "by-path"):
        add(client, name)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    client.bind("notebooks", "by-name")
    client.bind("./notebooks", "by-path")
    assert client.resolve(workspace="notebooks").name == "by-name"
    assert client.resolve(workspace="./notebooks").name == "by-path"
    client.unbind("notebooks")
    assert client.resolve(workspace="notebooks").name == "default"


@pytest.fixture
def two_clients(client: Client, tmp_path: Path) -> tuple[Client, Path]:
    """Client A's account is the default; client B's directory is bound to client B's."""
    add(client, "client-a")
    add(client, "client-b")
    client.bind(tmp_path, "client-b")
    return client, tmp_path


def test_a_bound_connection_is_not_deleted_by_accident(two_clients: tuple[Client, Path]) -> None:
    client, place = two_clients
    with pytest.raises(ConnectionInUse) as refused:
        client.delete_connection("client-b")
    assert str(place.resolve()) in str(refused.value) + str(refused.value.metadata)
    assert client.resolve(workspace=place).name == "client-b"


def test_a_connection_that_many_directories_use_is_refused_with_the_reason(client: Client) -> None:
    add(client, "client-a")
    for number in range(150):
        client.bind(Path(f"/home/me/projects/a-long-name-of-a-project/{number}"), "client-a")
    with pytest.raises(ConnectionInUse) as refused:
        client.delete_connection("client-a")
    used_by = refused.value.metadata["used_by"].splitlines()
    assert len(used_by) > 10
    assert used_by[-1] == "…"
    assert all(one.rpartition("/")[2].isdigit() for one in used_by[1:-1])


def test_deleting_does_not_move_a_workspace_to_another_account(two_clients: tuple[Client, Path]) -> None:
    client, place = two_clients
    with client.follow(workspace=place) as live:
        client.delete_connection("client-b", force=True)
        with pytest.raises(BindingBroken):
            client.resolve(workspace=place)
        wait_for(lambda: live.problem, "the follower hears of it")
        with pytest.raises(BindingBroken):
            _ = live.current

        # Somebody else's connection of the same name is not the one that was meant.
        add(client, "client-b")
        with pytest.raises(BindingBroken):
            client.resolve(workspace=place)
        with pytest.raises(BindingBroken):
            _ = live.current

        client.bind(place, "client-b")
        wait_for(lambda: live.problem is None, "the new binding reaches the follower")
        assert live.current.name == "client-b"


def test_disabling_does_not_move_a_workspace_to_another_account(two_clients: tuple[Client, Path]) -> None:
    client, place = two_clients
    with client.follow(workspace=place) as live:
        disable(client, "client-b")
        with pytest.raises(ConnectionDisabled):
            client.resolve(workspace=place)
        wait_for(lambda: live.problem, "the follower hears of it")
        with pytest.raises(ConnectionDisabled):
            _ = live.current


def test_a_binding_follows_a_renamed_connection_and_not_its_old_name(
    two_clients: tuple[Client, Path],
) -> None:
    client, place = two_clients
    before = client.resolve(workspace=place)
    client.update_connection("client-b", ConnectionDraft(name="client-b-old"))
    add(client, "client-b")
    after = client.resolve(workspace=place)
    assert (after.connection_id, after.name) == (before.connection_id, "client-b-old")
    assert after.api_key == before.api_key


def test_a_switch_of_the_default_does_not_reach_a_bound_workspace(two_clients: tuple[Client, Path]) -> None:
    client, place = two_clients
    add(client, "client-c")
    with client.follow(workspace=place) as bound, client.follow() as unbound:
        client.set_default("client-c", wait_s=30)
        assert unbound.current.name == "client-c"
        assert bound.current.name == "client-b"


def test_unbinding_is_what_lets_a_workspace_follow_the_default(two_clients: tuple[Client, Path]) -> None:
    client, place = two_clients
    with client.follow(workspace=place) as live:
        client.unbind(place)
        wait_for(lambda: live.current.name == "client-a", "the follower hears of it")
        with pytest.raises(nexo_client.WorkspaceNotFound):
            client.unbind(place)


def test_a_locked_vault_hands_out_nothing_from_the_very_next_call_on(client: Client) -> None:
    """Answers are shared for a moment between programs that ask the same; never past a lock."""
    add(client, "one")
    with client.follow() as live:
        for _ in range(3):
            assert client.resolve().api_key == "key-of-one"
            client.vault.lock()
            with pytest.raises(VaultLocked):
                client.resolve()
            wait_for(lambda: isinstance(live.problem, VaultLocked), "the follower hears of it")
            client.vault.unlock()
            assert client.resolve().api_key == "key-of-one"
            wait_for(lambda: live.problem is None, "the follower hears of it")


def test_a_new_key_is_handed_out_from_the_very_next_call_on(client: Client) -> None:
    add(client, "one")
    for number in range(5):
        client.update_connection("one", ConnectionDraft(api_key=f"key-number-{number}"))
        assert client.resolve().api_key == f"key-number-{number}"
