"""Reads records: checks, changes of health, hand-outs. `recording` writes and thins them."""

import sqlite3
from datetime import datetime

from nexo_daemon.domain.model import HandoutRecord, Sample, Transition
from nexo_daemon.store import rows, tables
from nexo_daemon.store.soundness import sound_rows, unsound_rows
from nexo_daemon.store.tables import microseconds

_TABLES = (
    tables.health,
    tables.samples,
    tables.transitions,
    tables.handouts,
    tables.gateway,
    tables.gateway_tokens,
    tables.gateway_runs,
    tables.usage,
)
# Rows that are dated in the future were written while the clock was wrong.
_WINDOW = "connection_id = ? AND at >= ? AND at <= ? ORDER BY at, id"


def history(
    db: sqlite3.Connection, connection_id: str, since: datetime, until: datetime
) -> tuple[list[Transition], list[Sample]]:
    """Changes and checks of a connection in a window, oldest first."""
    wanted = (connection_id, microseconds(since), microseconds(until))
    turns = sound_rows(db, tables.transitions, _WINDOW, wanted)
    checks = sound_rows(db, tables.samples, _WINDOW, wanted)
    return [rows.transition_from_row(row) for row in turns], rows.samples_from(checks)


def handouts(
    db: sqlite3.Connection, connection_id: str | None, limit: int, since: datetime | None
) -> list[HandoutRecord]:
    """Hand-outs, the newest first; of one connection or of all; with `since` only later ones."""
    wanted, values = ["1"], list[object]()
    if connection_id is not None:
        wanted.append("connection_id = ?")
        values.append(connection_id)
    if since is not None:
        wanted.append("coalesce(last_at, at) >= ?")
        values.append(microseconds(since))
    found = sound_rows(
        db, tables.handouts, f"{' AND '.join(wanted)} ORDER BY id DESC LIMIT ?", (*values, limit)
    )
    return [rows.handout_from_row(row) for row in found]


def unreadable(db: sqlite3.Connection) -> list[str]:
    """Texts about records that cannot be read."""
    counts = ((table.name, unsound_rows(db, table)) for table in _TABLES)
    return [f"{count} of the {name} cannot be read; the rest is served" for name, count in counts if count]
