"""Writes records: checks, changes of health, hand-outs, usage. Limited by age and number.

`history` and `gateway_rows` read them. Imported only after the daemon has answered its first call.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert

from nexo_daemon.domain.gateway import UsageCounts, UsageKey
from nexo_daemon.domain.model import HandoutRecord, Health, Sample, Transition
from nexo_daemon.store import rows, schema, tables
from nexo_daemon.store.gateway_rows import COUNTS, DAY, HOUR, WORDS, day_of, hours_since
from nexo_daemon.store.soundness import sound
from nexo_daemon.store.tables import StoredTable
from nexo_daemon.store.writing import Writing

SINGLE_CHECKS_KEPT = timedelta(days=1)
"""Age after which checks are merged into hourly rows."""
HISTORY_KEPT = timedelta(days=90)
"""Age after which changes of health and hourly rows are deleted."""
SAMPLES_KEPT = 3_000_000
TRANSITIONS_KEPT = 200_000
"""Limits in rows, a few hundred MB and tens of MB at most; the oldest rows are deleted first."""
HANDOUTS_KEPT = 10_000
DAYS_KEPT = timedelta(days=366)
USAGE_KEPT = 200_000
"""Limit in rows; the oldest are deleted first."""


def record_health(
    db: Writing,
    samples: Sequence[Sample],
    transitions: Sequence[Transition],
    health: Mapping[str, Health],
) -> None:
    """Store the results of checks, except those of removed connections."""
    alive = set(db.execute(sa.select(schema.connections.c.id)).scalars())
    _insert(db, schema.samples, [rows.sample_to_row(s) for s in samples if s.connection_id in alive])
    _insert(
        db,
        schema.transitions,
        [rows.transition_to_row(t) for t in transitions if t.connection_id in alive],
    )
    health_board = [rows.health_to_row(owner, one) for owner, one in health.items() if owner in alive]
    _insert(db, schema.health, health_board)


def thin(db: Writing, now: datetime) -> None:
    """Delete what is too old or too much; merge the checks of each past hour into one row a connection."""
    if _has_a_day(db, schema.samples, now - HISTORY_KEPT, now):
        for table in (schema.samples, schema.transitions):
            _delete_oldest(db, table, now - HISTORY_KEPT)
    old = sa.and_(
        schema.samples.c.span_s == 0,
        schema.samples.c.at < now - SINGLE_CHECKS_KEPT,
        _sound(tables.samples),
    )
    hours: dict[tuple[str, int], list[Sample]] = {}
    for row in db.execute(sa.select(schema.samples).where(old).order_by(schema.samples.c.at)):
        sample = rows.sample_from_row(row._asdict())
        hour = tables.microseconds(sample.at) // tables.microseconds_in(HOUR)
        hours.setdefault((sample.connection_id, hour), []).append(sample)
    db.execute(sa.delete(schema.samples).where(old))
    _insert(db, schema.samples, [rows.sample_to_row(merge(group)) for group in hours.values()])
    _keep_newest(db, schema.samples, SAMPLES_KEPT)
    _keep_newest(db, schema.transitions, TRANSITIONS_KEPT)


def _has_a_day(db: Writing, table: sa.Table, since: datetime, now: datetime) -> bool:
    """Whether there is a row since then that is at least a day old.

    Otherwise the clock may have been set far ahead by mistake, and all rows from before only seem to be old.
    """
    return bool(db.execute(sa.select(sa.exists().where(table.c.at.between(since, now - DAY)))).scalar())


def _delete_oldest(db: Writing, table: sa.Table, before: datetime) -> None:
    """Delete the rows before then, at most a day of them.

    That is enough for what has become too old since the last time, and little is lost if the clock was set
    far ahead twice, where `_has_a_day` takes the rows of the first time for a sign that it is right.
    """
    first = db.execute(sa.select(sa.func.min(table.c.at)).where(table.c.at < before)).scalar()
    if first is not None:
        db.execute(sa.delete(table).where(table.c.at < min(before, first + DAY)))


def _keep_newest(db: Writing, table: sa.Table, limit: int) -> None:
    oldest_kept = (
        sa.select(table.c.at).order_by(table.c.at.desc()).limit(1).offset(limit - 1).scalar_subquery()
    )
    # With fewer rows the limit is NULL, no time is below it, and nothing is deleted.
    db.execute(sa.delete(table).where(table.c.at < oldest_kept))


def merge(samples: Sequence[Sample]) -> Sample:
    """One row for the checks of an hour: the last failure if there was one, and the latency statistics."""
    # Imported here, because only this function needs it and it imports fractions and decimal.
    from statistics import median

    failed = [sample for sample in samples if sample.failures]
    word = failed[-1] if failed else samples[-1]
    latencies = [s.latency_median_s for s in samples if s.latency_median_s is not None]
    start = samples[0].at.replace(minute=0, second=0, microsecond=0)
    return Sample(
        connection_id=word.connection_id,
        at=start,
        outcome=word.outcome,
        reason=word.reason,
        latency_min_s=min((s.latency_min_s for s in samples if s.latency_min_s is not None), default=None),
        latency_median_s=median(latencies) if latencies else None,
        latency_max_s=max((s.latency_max_s for s in samples if s.latency_max_s is not None), default=None),
        checks=sum(s.checks for s in samples),
        failures=sum(s.failures for s in samples),
        span_s=HOUR.total_seconds(),
        from_traffic=sum(s.from_traffic for s in samples),
    )


def record_handouts(db: Writing, handouts: Sequence[tuple[HandoutRecord, int | None]]) -> list[int]:
    """Store hand-outs; the oldest beyond `HANDOUTS_KEPT` are deleted.

    Args:
        handouts: with the row in which each is counted, or None for a new row.

    Returns:
        The row of each hand-out.
    """
    ids = [_recorded(db, handout, row) for handout, row in handouts]
    newest = db.execute(sa.select(sa.func.max(schema.handouts.c.id))).scalar()
    if newest is not None:
        db.execute(sa.delete(schema.handouts).where(schema.handouts.c.id <= newest - HANDOUTS_KEPT))
    return ids


def _recorded(db: Writing, handout: HandoutRecord, row: int | None) -> int:
    table, values = schema.handouts, rows.handout_to_row(handout)
    if row is not None:
        # After a restore the row id may belong to another hand-out.
        same = (
            table.c[name] == values[name] for name in ("at", "connection_id", "client_program", "workspace")
        )
        if db.execute(sa.update(table).where(table.c.id == row, *same).values(values)).rowcount:
            return row
    added = db.execute(sa.insert(table).values(values)).inserted_primary_key
    return int(added[0]) if added else 0


def record_usage(
    db: Writing, used: Sequence[tuple[UsageKey, UsageCounts]], seen: Sequence[tuple[str, datetime]]
) -> None:
    """Add to the usage counts, and note when tokens were last used."""
    for key, counts in used:
        _add(db, key, counts, HOUR)
    for token_id, at in seen:
        db.update(tables.gateway_tokens, {"last_used_at": at}, id=token_id)


def _add(db: Writing, key: UsageKey, counts: UsageCounts, span: timedelta) -> None:
    table = schema.usage
    values = asdict(key) | {"span_s": span.total_seconds()}
    same = sa.and_(*(table.c[name] == value for name, value in values.items() if name != "connection_name"))
    added = {name: table.c[name] + value for name, value in asdict(counts).items()}
    if not db.execute(sa.update(table).where(same).values(added)).rowcount:
        db.insert(tables.usage, values | asdict(counts))


def thin_usage(db: Writing, now: datetime) -> None:
    """Merge usage older than a month into days; delete what is older than a year, or too much."""
    table = schema.usage
    if _has_a_day(db, table, now - DAYS_KEPT, now):
        _delete_oldest(db, table, now - DAYS_KEPT)
    due = hours_since(now)
    old = sa.and_(table.c.at < due, table.c.span_s == HOUR.total_seconds(), _sound(tables.usage))
    days: dict[UsageKey, UsageCounts] = {}
    for row in (found._asdict() for found in db.execute(sa.select(table).where(old))):
        key = UsageKey(day_of(row["at"]), *(row[name] for name in WORDS))
        days[key] = days.get(key, UsageCounts()) + UsageCounts(*(row[name] for name in COUNTS))
    db.execute(sa.delete(table).where(old))
    for key, counts in days.items():
        _add(db, key, counts, DAY)
    newest = db.execute(sa.select(sa.func.max(table.c.id))).scalar()
    if newest is not None:
        db.execute(sa.delete(table).where(table.c.id <= newest - USAGE_KEPT))


def _sound(table: StoredTable) -> sa.ColumnElement[bool]:
    return sa.literal_column(sound(table), sa.Boolean())


def _insert(db: Writing, table: sa.Table, values: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows in one step of SQLite; existing health of a connection is replaced.

    `executemany` takes a step for each row, and Python's sqlite3 releases and takes the GIL at each step:
    a thousand rows caused a thousand switches between the store thread and the event loop (2026-11-23).
    """
    if not values:
        return
    statement, processors = _insert_all(table)
    packed = [
        [process(row[name]) if process else row[name] for name, process in processors] for row in values
    ]
    db.execute(statement, {"packed": json.dumps(packed, ensure_ascii=False)})


@cache
def _insert_all(table: sa.Table) -> tuple[sa.Executable, list[tuple[str, Any]]]:
    """The statement that inserts all rows of a JSON array, and the converters for the columns."""
    # SQLite assigns "id" where that is the key.
    columns = [column for column in table.c if column.name != "id"]
    each = sa.func.json_each(sa.bindparam("packed", type_=sa.String)).table_valued("value")
    cells = [sa.func.json_extract(each.c.value, f"$[{n}]") for n in range(len(columns))]
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as part of a join.
    statement = upsert(table).from_select(columns, sa.select(*cells).where(sa.true()))
    if table is schema.health:
        changed = {c.name: c for c in statement.excluded if c.name != "connection_id"}
        statement = statement.on_conflict_do_update(index_elements=["connection_id"], set_=changed)
    dialect = sqlite.dialect()
    return statement, [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]
