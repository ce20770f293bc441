"""What happened: checks, changes of the light, hand-outs. Bounded; kept by age and by number."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert

from nexo_daemon.domain.model import HandoutRecord, Health, Sample, Transition
from nexo_daemon.store import rows, schema
from nexo_daemon.store.soundness import sound, unsound_rows

SINGLE_CHECKS_KEPT = timedelta(days=1)
"""Older checks are merged into one row an hour."""
HISTORY_KEPT = timedelta(days=90)
"""Changes of the light, and the rows of past hours."""
SAMPLES_KEPT = 3_000_000
TRANSITIONS_KEPT = 200_000
"""Bounds in rows whatever the age: a few hundred MB and tens of MB at most; the oldest go first."""
HANDOUTS_KEPT = 10_000
_HOUR = timedelta(hours=1)
_TABLES = (
    schema.health,
    schema.samples,
    schema.transitions,
    schema.handouts,
    schema.gateway,
    schema.gateway_tokens,
    schema.gateway_runs,
    schema.usage,
)


def record_health(
    db: sa.Connection,
    samples: Sequence[Sample],
    transitions: Sequence[Transition],
    health: Mapping[str, Health],
) -> None:
    """Store what the checks found. What concerns a connection that is gone is left out."""
    alive = set(db.execute(sa.select(schema.connections.c.id)).scalars())
    _insert(db, schema.samples, [rows.sample_to_row(s) for s in samples if s.connection_id in alive])
    _insert(
        db,
        schema.transitions,
        [rows.transition_to_row(t) for t in transitions if t.connection_id in alive],
    )
    lights = [rows.health_to_row(owner, one) for owner, one in health.items() if owner in alive]
    _insert(db, schema.health, lights)


def history(db: sa.Connection, connection_id: str, since: datetime) -> tuple[list[Transition], list[Sample]]:
    """Changes and checks since then, oldest first."""
    turns = db.execute(_since(schema.transitions, schema.transitions.c, connection_id, since))
    columns = [schema.samples.c[name] for name in rows.SAMPLE_FIELDS]
    checks = db.execute(_since(schema.samples, columns, connection_id, since)).all()
    return [rows.transition_from_row(row._asdict()) for row in turns], rows.samples_from(checks)


def thin(db: sa.Connection, now: datetime) -> None:
    """Forget what is too old or too much; merge the checks of each past hour into one row a connection."""
    for table in (schema.samples, schema.transitions):
        db.execute(sa.delete(table).where(table.c.at < now - HISTORY_KEPT))
    old = sa.and_(
        schema.samples.c.span_s == 0,
        schema.samples.c.at < now - SINGLE_CHECKS_KEPT,
        sound(schema.samples),
    )
    hours: dict[tuple[str, int], list[Sample]] = {}
    for row in db.execute(sa.select(schema.samples).where(old).order_by(schema.samples.c.at)):
        sample = rows.sample_from_row(row._asdict())
        hour = schema.microseconds(sample.at) // schema.microseconds_in(_HOUR)
        hours.setdefault((sample.connection_id, hour), []).append(sample)
    db.execute(sa.delete(schema.samples).where(old))
    _insert(db, schema.samples, [rows.sample_to_row(merge(group)) for group in hours.values()])
    _keep_newest(db, schema.samples, SAMPLES_KEPT)
    _keep_newest(db, schema.transitions, TRANSITIONS_KEPT)


def _keep_newest(db: sa.Connection, table: sa.Table, limit: int) -> None:
    oldest_kept = (
        sa.select(table.c.at).order_by(table.c.at.desc()).limit(1).offset(limit - 1).scalar_subquery()
    )
    # No row has a time below NULL: nothing goes while there are fewer.
    db.execute(sa.delete(table).where(table.c.at < oldest_kept))


def merge(samples: Sequence[Sample]) -> Sample:
    """One row for the checks of an hour: the last failure if there was one, and the spread of the latency."""
    # Of all that is stored only this needs it, and it brings fractions and decimals.
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
        span_s=_HOUR.total_seconds(),
        from_traffic=sum(s.from_traffic for s in samples),
    )


def record_handouts(db: sa.Connection, handouts: Sequence[tuple[HandoutRecord, int | None]]) -> list[int]:
    """Store them; the oldest beyond `HANDOUTS_KEPT` go.

    Args:
        handouts: each with the row that it is counted in, or None for a new one.

    Returns:
        the row of each.
    """
    ids = [_recorded(db, handout, row) for handout, row in handouts]
    newest = db.execute(sa.select(sa.func.max(schema.handouts.c.id))).scalar()
    if newest is not None:
        db.execute(sa.delete(schema.handouts).where(schema.handouts.c.id <= newest - HANDOUTS_KEPT))
    return ids


def _recorded(db: sa.Connection, handout: HandoutRecord, row: int | None) -> int:
    table, values = schema.handouts, rows.handout_to_row(handout)
    if row is not None:
        # After a restore, the row may be another one's.
        same = (
            table.c[name] == values[name] for name in ("at", "connection_id", "client_program", "workspace")
        )
        if db.execute(sa.update(table).where(table.c.id == row, *same).values(values)).rowcount:
            return row
    added = db.execute(sa.insert(table).values(values)).inserted_primary_key
    return int(added[0]) if added else 0


def handouts(
    db: sa.Connection, connection_id: str | None, limit: int, since: datetime | None
) -> list[HandoutRecord]:
    """The newest first; of one connection, or of all; with `since` what was handed out then or later."""
    statement = (
        sa.select(schema.handouts)
        .where(sound(schema.handouts))
        .order_by(schema.handouts.c.id.desc())
        .limit(limit)
    )
    if connection_id is not None:
        statement = statement.where(schema.handouts.c.connection_id == connection_id)
    if since is not None:
        last = sa.func.coalesce(schema.handouts.c.last_at, schema.handouts.c.at, type_=schema.Moment())
        statement = statement.where(last >= since)
    return [rows.handout_from_row(row._asdict()) for row in db.execute(statement)]


def unreadable(db: sa.Connection) -> list[str]:
    """What of the past cannot be read, and is therefore shown nowhere else."""
    counts = ((table.name, unsound_rows(db, table)) for table in _TABLES)
    return [f"{count} of the {name} cannot be read; the rest is served" for name, count in counts if count]


def _insert(db: sa.Connection, table: sa.Table, values: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows in one step of SQLite; the light of a connection that has one is replaced.

    `executemany` steps once a row, and Python's sqlite3 gives up and takes back the interpreter at each step:
    a thousand rows were a thousand switches between the store thread and the event loop (2026-11-23).
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
    """The statement that inserts all rows of a JSON array, and how each column's values are written in it."""
    # SQLite numbers the rows of a table whose key is "id".
    columns = [column for column in table.c if column.name != "id"]
    each = sa.func.json_each(sa.bindparam("packed", type_=sa.String)).table_valued("value")
    cells = [sa.func.json_extract(each.c.value, f"$[{n}]") for n in range(len(columns))]
    # Without a WHERE, SQLite reads the ON of ON CONFLICT as that of a join.
    statement = upsert(table).from_select(columns, sa.select(*cells).where(sa.true()))
    if table is schema.health:
        changed = {c.name: c for c in statement.excluded if c.name != "connection_id"}
        statement = statement.on_conflict_do_update(index_elements=["connection_id"], set_=changed)
    dialect = sqlite.dialect()
    return statement, [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]


def _since(
    table: sa.Table, columns: Iterable[sa.Column[Any]], connection_id: str, since: datetime
) -> sa.Select[Any]:
    wanted = (table.c.connection_id == connection_id, table.c.at >= since, sound(table))
    return sa.select(*columns).where(*wanted).order_by(table.c.at, table.c.id)
