"""Watchers get the newest whole object, in order, and are closed rather than lied to."""

import asyncio
from datetime import UTC, datetime

from nexo.connections.terms import HealthState
from nexo_daemon.domain.model import Transition
from nexo_daemon.registry.bus import Bus, ConnectionChanged, ConnectionRemoved, Event, Sign


def received(*published: Event, queue_limit: int = 100, close: bool = True) -> list[Event]:
    async def life() -> list[Event]:
        bus = Bus(queue_limit)
        with bus.subscribe() as watcher:
            bus.publish(*published)
            if close:
                bus.close()
            return [event async for event in watcher.events()]

    return asyncio.run(life())


def seen(connection_id: str, second: int) -> Transition:
    at = datetime(2026, 11, 23, 0, 0, second, tzinfo=UTC)
    return Transition(connection_id, at, HealthState.HEALTHY, HealthState.UNHEALTHY, "dns")


def test_events_of_one_object_replace_each_other_and_keep_their_place() -> None:
    events = received(
        ConnectionChanged("a"), Sign.STATUS_CHANGED, ConnectionChanged("a"), ConnectionChanged("b")
    )
    assert events == [ConnectionChanged("a"), Sign.STATUS_CHANGED, ConnectionChanged("b"), Sign.DAEMON_STOPS]


def test_a_removal_replaces_the_changes_before_it() -> None:
    events = received(ConnectionChanged("a"), ConnectionRemoved("a", "A"))
    assert events == [ConnectionRemoved("a", "A"), Sign.DAEMON_STOPS]


def test_no_transition_is_lost() -> None:
    transitions = [seen("a", 1), seen("a", 2), seen("b", 1)]
    assert received(*transitions) == [*transitions, Sign.DAEMON_STOPS]


def test_a_watcher_that_falls_behind_gets_one_lagged_and_nothing_more() -> None:
    flood = [ConnectionChanged(str(number)) for number in range(11)]
    assert received(*flood, queue_limit=10, close=False) == [Sign.LAGGED]


def test_conflated_events_do_not_count_against_the_limit() -> None:
    flood = [ConnectionChanged(str(number % 10)) for number in range(1000)]
    events = received(*flood, queue_limit=10)
    assert len(events) == 11
    assert events[-1] == Sign.DAEMON_STOPS


def test_a_watcher_that_comes_after_the_end_is_told_so() -> None:
    async def life() -> list[Event]:
        bus = Bus()
        bus.close()
        with bus.subscribe() as watcher:
            return [event async for event in watcher.events()]

    assert asyncio.run(life()) == [Sign.DAEMON_STOPS]


def test_a_watcher_that_leaves_is_forgotten() -> None:
    async def life() -> None:
        bus = Bus()
        with bus.subscribe():
            assert len(bus) == 1
        assert len(bus) == 0

    asyncio.run(life())
