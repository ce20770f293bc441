"""The rows of the gateway: its setting, the named tokens, and what was used. Bounded by age and by number."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nexo_daemon.domain.model import ClientInfo, WorkspaceKey, WorkspaceKind
from nexo_daemon.domain.passes import GatewaySetting, NamedToken, RunPass, UsageCounts, UsageKey, Wish
from nexo_daemon.store import rows, schema
from nexo_daemon.store.soundness import sound

Database = sa.Connection
"""A transaction of the store."""

HOURS_KEPT = timedelta(days=31)
"""Older hours are merged into days."""
DAYS_KEPT = timedelta(days=366)
USAGE_KEPT = 200_000
"""A bound in rows whatever the age; the oldest go first."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

_WORDS = ("connection_id", "connection_name", "workspace", "program", "model")
_COUNTS = tuple(UsageCounts.__dataclass_fields__)


def setting(db: sa.Connection) -> GatewaySetting:
    """Whether the gateway is wanted, and its port."""
    row = db.execute(sa.select(schema.gateway).where(sound(schema.gateway))).one_or_none()
    return GatewaySetting(Wish(row.wish), row.port) if row is not None else GatewaySetting()


def put_setting(db: sa.Connection, wanted: GatewaySetting) -> None:
    """In place of what was."""
    db.execute(sa.delete(schema.gateway))
    db.execute(sa.insert(schema.gateway), {"id": 1, "wish": str(wanted.wish), "port": wanted.port})


def tokens(db: sa.Connection) -> list[NamedToken]:
    """All that can be read. A row that was changed is no token: it could get another connection."""
    table = schema.gateway_tokens
    statement = sa.select(table).where(sound(table)).order_by(table.c.created_at)
    found = (row._asdict() for row in db.execute(statement))
    return [_token(row) for row in found if row["digest"] == rows.digest(_lasting(row))]


def put_token(db: sa.Connection, token: NamedToken) -> None:
    """Add a token."""
    row: dict[str, object] = {
        "id": token.id,
        "name": token.name,
        "token_digest": token.digest,
        **_workspace(token.workspace),
        "connection_id": token.connection_id,
        "connection_name": token.connection_name,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
    values = {**row, "last_used_at": token.last_used_at, "digest": rows.digest(row)}
    db.execute(sa.insert(schema.gateway_tokens), values)


def delete_token(db: sa.Connection, token_id: str) -> None:
    """Of a name or of a run; missing is fine."""
    for table in (schema.gateway_tokens, schema.gateway_runs):
        db.execute(sa.delete(table).where(table.c.id == token_id))


def runs(db: sa.Connection) -> list[RunPass]:
    """As `tokens`."""
    table = schema.gateway_runs
    found = (row._asdict() for row in db.execute(sa.select(table).where(sound(table))))
    return [_run(row) for row in found if row["digest"] == rows.digest(_lasting(row))]


def put_run(db: sa.Connection, run: RunPass) -> None:
    """Add the token of a run."""
    row: dict[str, object] = {
        "id": run.id,
        "token_digest": run.digest,
        **_workspace(run.workspace),
        "connection": run.connection,
        "environment_connection": run.environment_connection,
        "client_name": run.client.name,
        "client_version": run.client.version,
        "client_pid": run.client.pid,
        "client_program": run.client.program,
        "born": run.born,
        "created_at": run.created_at,
    }
    db.execute(sa.insert(schema.gateway_runs), {**row, "digest": rows.digest(row)})


def _workspace(key: WorkspaceKey | None) -> dict[str, object]:
    return {"workspace_kind": str(key.kind) if key else None, "workspace": key.value if key else None}


def _workspace_of(row: dict[str, Any]) -> WorkspaceKey | None:
    kind = row["workspace_kind"]
    return WorkspaceKey(WorkspaceKind(kind), row["workspace"]) if kind else None


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("digest", "last_used_at")}


def _token(row: dict[str, Any]) -> NamedToken:
    return NamedToken(
        id=row["id"],
        name=row["name"],
        digest=row["token_digest"],
        workspace=_workspace_of(row),
        connection_id=row["connection_id"],
        connection_name=row["connection_name"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )


def _run(row: dict[str, Any]) -> RunPass:
    client = ClientInfo(row["client_name"], row["client_version"], row["client_pid"], row["client_program"])
    return RunPass(
        id=row["id"],
        digest=row["token_digest"],
        workspace=_workspace_of(row),
        connection=row["connection"],
        environment_connection=row["environment_connection"],
        client=client,
        born=row["born"],
        created_at=row["created_at"],
    )


def record(
    db: sa.Connection, used: Sequence[tuple[UsageKey, UsageCounts]], seen: Sequence[tuple[str, datetime]]
) -> None:
    """Add to what was used, and note when tokens were used last."""
    for key, counts in used:
        _add(db, key, counts, HOUR)
    table = schema.gateway_tokens
    for token_id, at in seen:
        db.execute(sa.update(table).where(table.c.id == token_id).values(last_used_at=at))


def _add(db: sa.Connection, key: UsageKey, counts: UsageCounts, span: timedelta) -> None:
    table = schema.usage
    values = asdict(key) | {"span_s": span.total_seconds()}
    same = sa.and_(*(table.c[name] == value for name, value in values.items() if name != "connection_name"))
    added = {name: table.c[name] + value for name, value in asdict(counts).items()}
    if not db.execute(sa.update(table).where(same).values(added)).rowcount:
        db.execute(sa.insert(table), values | asdict(counts))


def used(db: sa.Connection, since: datetime | None) -> list[tuple[UsageKey, UsageCounts, timedelta]]:
    """What was used since then: hours, and days where hours are no longer kept."""
    table = schema.usage
    statement = sa.select(table).where(sound(table)).order_by(table.c.at)
    if since is not None:
        statement = statement.where(table.c.at >= since)
    return [
        (
            UsageKey(row["at"], *(row[name] for name in _WORDS)),
            UsageCounts(*(row[name] for name in _COUNTS)),
            timedelta(seconds=row["span_s"]),
        )
        for row in (found._asdict() for found in db.execute(statement))
    ]


def thin(db: sa.Connection, now: datetime) -> None:
    """Merge what is older than a month into days, forget what is older than a year or too much."""
    table = schema.usage
    db.execute(sa.delete(table).where(table.c.at < now - DAYS_KEPT))
    due = hours_since(now)
    old = sa.and_(table.c.at < due, table.c.span_s == HOUR.total_seconds(), sound(table))
    days: dict[UsageKey, UsageCounts] = {}
    for row in (found._asdict() for found in db.execute(sa.select(table).where(old))):
        key = UsageKey(_day(row["at"]), *(row[name] for name in _WORDS))
        days[key] = days.get(key, UsageCounts()) + UsageCounts(*(row[name] for name in _COUNTS))
    db.execute(sa.delete(table).where(old))
    for key, counts in days.items():
        _add(db, key, counts, DAY)
    newest = db.execute(sa.select(sa.func.max(table.c.id))).scalar()
    if newest is not None:
        db.execute(sa.delete(table).where(table.c.id <= newest - USAGE_KEPT))


def hours_since(now: datetime) -> datetime:
    """From here on hours are kept. The beginning of a day, so that no day is half of each."""
    return _day(now - HOURS_KEPT)


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
