"""The commands: pure functions of the snapshot, whose changes the writer carries out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nexo.connections.errors import InvalidField, LimitReached, NameTaken
from nexo_daemon.domain.model import (
    Credentials,
    SealedSecret,
    SecretKind,
    Settings,
    StoredConnection,
    StoredState,
    WorkspaceKey,
    WorkspaceKind,
)
from nexo_daemon.registry import commands
from nexo_daemon.registry.change import Change
from nexo_daemon.registry.edits import Plan
from nexo_daemon.registry.snapshot import RegistrySnapshot
from store_parts import NOON, connection, credentials

ONE, TWO, THREE = (connection(number) for number in (1, 2, 3))
PLACE = WorkspaceKey(WorkspaceKind.NAME, "client-a")


def snapshot(*connections: StoredConnection, settings: Settings | None = None) -> RegistrySnapshot:
    return RegistrySnapshot.of(StoredState(settings or Settings(), connections, (), {}))


def changed(change: Change) -> Settings:
    assert change.settings is not None
    return change.settings


def test_a_connection_takes_the_default_only_if_there_is_none_or_it_is_asked_to() -> None:
    assert changed(commands.create(snapshot(), Plan(ONE, None), make_default=False)).default_id == ONE.id
    house = snapshot(ONE, settings=Settings(default_id=ONE.id))
    assert commands.create(house, Plan(TWO, None), make_default=False).settings is None
    taken = changed(commands.create(house, Plan(TWO, None), make_default=True))
    assert (taken.default_id, taken.previous_default_id) == (TWO.id, ONE.id)


def test_a_name_is_taken_by_a_rename_too() -> None:
    house = snapshot(ONE, TWO)
    with pytest.raises(NameTaken):
        commands.update(house, Plan(replace(TWO, name=ONE.name.upper()), None))
    commands.update(house, Plan(replace(TWO, name=TWO.name.upper()), None))


def test_a_limit_is_reached_by_new_entries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "CONNECTION_LIMIT", 2)
    monkeypatch.setattr(commands, "BINDING_LIMIT", 1)
    with pytest.raises(LimitReached):
        commands.create(snapshot(ONE, TWO), Plan(THREE, None), make_default=False)
    commands.create(snapshot(ONE), Plan(TWO, None), make_default=False)

    house = snapshot(ONE, TWO)
    bound = house.with_bindings(commands.bind(house, PLACE, ONE.name, NOON, allow_fallback=False).bound, ())
    other = WorkspaceKey(WorkspaceKind.NAME, "client-b")
    with pytest.raises(LimitReached):
        commands.bind(bound, other, ONE.name, NOON, allow_fallback=False)
    assert commands.bind(bound, PLACE, TWO.name, NOON, allow_fallback=False).bound[0].connection_id == TWO.id


def test_a_conversation_is_not_bound_for_seconds() -> None:
    with pytest.raises(InvalidField):
        commands.bind(snapshot(ONE), PLACE, ONE.name, NOON, allow_fallback=False, sticky_s=5.0)


def test_nothing_points_to_a_connection_that_is_removed() -> None:
    settings = Settings(default_id=ONE.id, previous_default_id=TWO.id, fallback_ids=(THREE.id, TWO.id))
    house = snapshot(ONE, TWO, THREE, settings=settings)
    with pytest.raises(InvalidField, match="to be removed"):
        commands.delete(house, ONE, replace_with=ONE.name, force=False)

    without_two = changed(commands.delete(house, TWO, replace_with="", force=False))
    assert (without_two.default_id, without_two.previous_default_id) == (ONE.id, None)
    assert without_two.fallback_ids == (THREE.id,)
    without_three = changed(commands.delete(house, THREE, replace_with="", force=False))
    assert (without_three.default_id, without_three.previous_default_id) == (ONE.id, TWO.id)
    # Undoing would lead to the default itself.
    moved = changed(commands.delete(house, ONE, replace_with=TWO.name, force=False))
    assert (moved.default_id, moved.previous_default_id) == (TWO.id, None)
    assert changed(commands.delete(house, ONE, replace_with="", force=True)).default_id is None


def test_the_first_default_of_a_store_without_one_leaves_nothing_to_go_back_to() -> None:
    chosen = changed(commands.set_default(snapshot(ONE, TWO), TWO.name))
    assert (chosen.default_id, chosen.previous_default_id) == (TWO.id, None)


def test_what_was_known_already_is_not_written_again() -> None:
    learned = commands.learn_key_facts(
        ONE, verdict=ONE.key_verdict, proven_at=None, facts=None, revision=ONE.revision
    )
    assert learned == Change()


def test_a_replaced_key_does_not_come_back_after_its_grace_time() -> None:
    previous = SealedSecret("s", SecretKind.PREVIOUS_API_KEY, "", 0, "", "key", b"", b"", 1)
    old = replace(ONE, previous_key_until=NOON, sealed=(previous,))

    def not_asked(_: StoredConnection) -> Credentials:
        raise AssertionError

    late = NOON + timedelta(seconds=1)
    assert commands.roll_back_key(old, not_asked, late) == Change()
    assert commands.roll_back_key(old, lambda _: credentials(), NOON).written
    assert commands.forget_previous_key(old, NOON) == Change()
    assert commands.forget_previous_key(old, late).same_revision
