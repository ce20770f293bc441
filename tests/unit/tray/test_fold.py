"""Events of the daemon, one after another, leave the state that a snapshot would."""

from dataclasses import replace
from datetime import timedelta

from nexo.connections.terms import VaultState
from nexo_client.errors import DaemonNotRunning, DaemonUnsafe
from nexo_client.types import Snapshot, WatchEvent
from nexo_client.watch import Link as Heard
from nexo_client.watch import LinkEvent
from nexo_tray.state import (
    UNCONFIRMED_AFTER,
    DaemonLink,
    LinkState,
    State,
    Switch,
    confirmed_default,
    expired,
    fold,
)
from tray_states import NOW, STATUS, connection, live, snapshot, unhealthy


def hear(state: State, **event: object) -> State:
    revision = event.pop("revision", 1)
    return fold(state, LinkEvent(Heard.CONNECTED, WatchEvent(1, revision, **event)), NOW)  # type: ignore[arg-type]


def names(state: State) -> list[str]:
    return [c.name for c in state.snapshot.connections] if state.snapshot else []


def default(state: State) -> str | None:
    found = confirmed_default(state.snapshot)
    return found.name if found else None


def test_the_first_snapshot_makes_the_link_live():
    state = hear(State(), snapshot=snapshot(connection("a")))
    assert state.live
    assert names(state) == ["a"]


def test_events_before_the_first_snapshot_of_a_subscription_are_not_trusted():
    gone = fold(live(connection("a")), LinkEvent(Heard.AWAY), NOW)
    assert hear(gone, connection=connection("b")) == gone
    assert names(hear(gone, snapshot=snapshot(connection("c")))) == ["c"]


def test_a_changed_connection_keeps_its_place_and_a_new_one_comes_last():
    state = live(connection("a"), connection("b"))
    state = hear(state, connection=connection("a", unhealthy()))
    state = hear(state, connection=connection("c"))
    assert names(state) == ["a", "b", "c"]
    assert state.connection("id-a").health == unhealthy()


def test_a_renamed_connection_is_still_the_same():
    renamed = replace(connection("a"), name="new name")
    assert names(hear(live(connection("a"), connection("b")), connection=renamed)) == ["new name", "b"]


def test_a_removed_connection_is_gone():
    assert names(hear(live(connection("a"), connection("b")), removed="a")) == ["b"]


def test_there_are_never_two_defaults_while_a_switch_arrives_in_parts():
    state = live(connection("a", default=True), connection("b"))
    state = hear(state, connection=connection("b", default=True))
    assert [c.is_default for c in state.snapshot.connections] == [False, True]
    state = hear(state, connection=connection("a"))
    assert default(state) == "b"


def test_bindings_and_status_are_replaced_whole():
    status = replace(STATUS, vault=VaultState.LOCKED)
    state = hear(hear(live(connection("a")), status=status), bindings=())
    assert state.snapshot == Snapshot(state.snapshot.connections, (), status)


def test_a_click_is_not_confirmed_by_an_earlier_one_to_the_same_connection():
    state = replace(live(connection("a", default=True), connection("b")), switch=Switch("id-b", NOW))
    assert hear(state, connection=connection("b", default=True), revision=5).switch is not None


def test_a_click_is_confirmed_by_its_revision_even_if_it_was_overtaken():
    clicked = Switch("id-b", NOW, revision=7)
    state = replace(live(connection("a"), connection("b"), connection("c")), switch=clicked)
    assert hear(state, connection=connection("c", default=True), revision=6).switch == clicked
    assert hear(state, connection=connection("c", default=True), revision=8).switch is None


def test_a_click_expires_after_three_seconds():
    state = replace(live(), switch=Switch("id-b", NOW))
    assert not expired(state, NOW + UNCONFIRMED_AFTER - timedelta(milliseconds=1))
    assert expired(state, NOW + UNCONFIRMED_AFTER)
    assert not expired(live(), NOW)


def test_an_absent_daemon_keeps_what_was_known_and_since_when_it_is_absent():
    state = fold(live(connection("a")), LinkEvent(Heard.AWAY, error=DaemonNotRunning("x", hint="h")), NOW)
    assert state.link == DaemonLink(LinkState.AWAY, NOW, "the daemon is not running", "h")
    assert names(state) == ["a"]
    later = fold(
        state, LinkEvent(Heard.AWAY, error=DaemonUnsafe("open to others", hint="chmod")), NOW + timedelta(1)
    )
    assert later.link == DaemonLink(LinkState.AWAY, NOW, "open to others", "chmod")


def test_a_daemon_that_ended_in_good_order_is_told_as_stopped():
    assert fold(live(), LinkEvent(Heard.AWAY), NOW).link.problem == "the daemon was stopped"


def test_while_the_daemon_is_being_started_its_absence_is_no_news():
    state = State(DaemonLink(LinkState.STARTING))
    assert fold(state, LinkEvent(Heard.AWAY, error=DaemonNotRunning("x")), NOW) == state


def test_a_test_of_a_connection_that_was_removed_is_forgotten():
    state = replace(live(connection("a"), connection("b")), testing=frozenset({"id-a", "id-b"}))
    assert hear(state, removed="a").testing == {"id-b"}
