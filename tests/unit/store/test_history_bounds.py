"""The history is bounded: hourly rows after a day, changes for 90 days, and a maximum number of rows."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nexo.connections.terms import HealthState, Outcome
from nexo_daemon.domain.gateway import UsageCounts, UsageKey
from nexo_daemon.domain.model import ClientInfo, HandoutRecord, Sample, Transition
from nexo_daemon.store import gateway_rows, recording
from nexo_daemon.store.store import Store
from store_parts import NOON, connection, put

NEVER, EVER = NOON - timedelta(days=10_000), NOON + timedelta(days=10_000)


def put_one(store: Store) -> str:
    put(store, 1)
    return connection(1).id


def check(connection_id: str, at: datetime, latency_s: float | None = 0.1, *, failed: bool = False) -> Sample:
    return Sample(
        connection_id,
        at,
        Outcome.UNREACHABLE if failed else Outcome.OK,
        "timeout" if failed else "",
        latency_s,
        latency_s,
        latency_s,
        failures=int(failed),
    )


def turn(connection_id: str, at: datetime) -> Transition:
    return Transition(connection_id, at, HealthState.HEALTHY, HealthState.UNHEALTHY, "timeout")


def test_checks_older_than_a_day_become_hours_with_minimum_median_and_maximum(store: Store) -> None:
    owner = put_one(store)
    hour = NOON - timedelta(days=2)
    old = [check(owner, hour + timedelta(minutes=number), (number + 1) / 10) for number in range(9)]
    old.append(check(owner, hour + timedelta(minutes=30), None, failed=True))
    recent = [check(owner, NOON - timedelta(minutes=number)) for number in (3, 2, 1)]
    store.record_health([*old, *recent], [], {})
    store.upkeep(NOON)
    _, samples = store.history(owner, NEVER, EVER)
    merged, *rest = samples
    assert (merged.at, merged.span_s, merged.checks, merged.failures) == (hour, 3600.0, 10, 1)
    assert (merged.latency_min_s, merged.latency_median_s, merged.latency_max_s) == (0.1, 0.5, 0.9)
    assert merged.outcome is Outcome.UNREACHABLE
    assert rest == recent
    store.upkeep(NOON)
    assert store.history(owner, NEVER, EVER)[1] == samples


def test_changes_are_kept_for_90_days(store: Store) -> None:
    owner = put_one(store)
    kept, gone = turn(owner, NOON - timedelta(days=89)), turn(owner, NOON - timedelta(days=91))
    store.record_health([check(owner, NOON - timedelta(days=1))], [gone, kept], {})
    store.upkeep(NOON)
    assert store.history(owner, NEVER, EVER)[0] == [kept]


def test_a_clock_that_was_set_years_ahead_by_mistake_makes_no_history_old(store: Store) -> None:
    def used_rows() -> int:
        with store.database.bare() as db:
            return len(gateway_rows.used(db, None))

    owner = put_one(store)
    week = [NOON - timedelta(days=day) for day in range(7)]
    used = UsageKey(NOON, owner, "Work 1", "", "program", "model")
    store.record_health([check(owner, at) for at in week], [turn(owner, at) for at in week], {})
    store.record_usage([(used, UsageCounts(requests=1))], [])
    wrong = NOON + timedelta(days=3650)
    store.record_health([check(owner, wrong)], [], {})
    store.record_usage([(replace(used, at=wrong), UsageCounts(requests=1))], [])
    store.upkeep(wrong + timedelta(hours=1))
    transitions, samples = store.history(owner, NEVER, EVER)
    assert (len(transitions), len(samples)) == (7, 8)
    assert used_rows() == 2
    # Nothing of the wrong time is in a window that ends now.
    assert len(store.history(owner, NEVER, NOON)[1]) == 7
    # The second time it has been there for more than a day, as if it were right.
    store.upkeep(wrong + timedelta(days=1))
    transitions, samples = store.history(owner, NEVER, NOON)
    assert (len(transitions), len(samples)) == (6, 6)
    # A clock that stays there is right.
    for hour in range(6):
        store.upkeep(wrong + timedelta(days=1, hours=hour))
    transitions, samples = store.history(owner, NEVER, EVER)
    assert (len(transitions), len(samples)) == (0, 1)
    assert used_rows() == 1


def test_the_oldest_rows_go_when_there_are_too_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SAMPLES_KEPT", 5)
    monkeypatch.setattr(recording, "TRANSITIONS_KEPT", 3)
    owner = put_one(store)
    moments = [NOON - timedelta(minutes=number) for number in range(10, 0, -1)]
    store.record_health([check(owner, at) for at in moments], [turn(owner, at) for at in moments], {})
    store.upkeep(NOON)
    transitions, samples = store.history(owner, NEVER, EVER)
    assert [sample.at for sample in samples] == moments[-5:]
    assert [transition.at for transition in transitions] == moments[-3:]


def test_the_record_of_hand_outs_is_bounded_and_outlives_its_connection(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "HANDOUTS_KEPT", 5)
    owner = put_one(store)
    made = [
        HandoutRecord(NOON + timedelta(seconds=second), owner, "Work 1", "ResolveConnection", ClientInfo())
        for second in range(12)
    ]
    store.record_handouts([(one, None) for one in made[:7]])
    store.record_handouts([(one, None) for one in made[7:]])
    with store.transaction() as tx:
        tx.next_revision()
        tx.delete_connection(owner)
    assert store.handouts(None, 100) == list(reversed(made[-5:]))
    assert store.handouts(owner, 2) == [made[-1], made[-2]]
    assert store.handouts("another", 100) == []
