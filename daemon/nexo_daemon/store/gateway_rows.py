"""Rows of the gateway: its setting, tokens and usage. `recording` writes the usage."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nexo_daemon.domain.gateway import (
    GatewayMode,
    GatewaySetting,
    NamedToken,
    StoredRun,
    UsageCounts,
    UsageKey,
)
from nexo_daemon.domain.model import ClientInfo, WorkspaceKey, WorkspaceKind
from nexo_daemon.store import rows, tables
from nexo_daemon.store.soundness import sound_rows

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing

HOURS_KEPT = timedelta(days=31)
"""Age after which hourly rows are merged into days."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

WORDS = ("connection_id", "connection_name", "workspace", "program", "model")
COUNTS = tuple(UsageCounts.__dataclass_fields__)


def setting(db: sqlite3.Connection) -> GatewaySetting:
    """Whether the gateway is switched on, and its port."""
    found = [GatewaySetting(GatewayMode(row["wish"]), row["port"]) for row in sound_rows(db, tables.gateway)]
    return found[0] if found else GatewaySetting()


def put_setting(db: "Writing", wanted: GatewaySetting) -> None:
    """Replace the setting."""
    db.delete(tables.gateway)
    db.insert(tables.gateway, {"id": 1, "wish": str(wanted.mode), "port": wanted.port})


def tokens(db: sqlite3.Connection) -> list[NamedToken]:
    """All valid rows. A changed row is not returned, because it could lead to another connection."""
    found = sound_rows(db, tables.gateway_tokens, "1 ORDER BY created_at")
    return [_token(row) for row in found if row["digest"] == rows.digest(_lasting(row))]


def put_token(db: "Writing", token: NamedToken) -> None:
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
    db.insert(tables.gateway_tokens, values)


def delete_token(db: "Writing", token_id: str) -> None:
    """Remove a named token or the token of a run, if it exists."""
    for table in (tables.gateway_tokens, tables.gateway_runs):
        db.delete(table, id=token_id)


def runs(db: sqlite3.Connection) -> list[StoredRun]:
    """All valid rows, as `tokens`."""
    found = sound_rows(db, tables.gateway_runs)
    return [_run(row) for row in found if row["digest"] == rows.digest(_lasting(row))]


def put_run(db: "Writing", run: StoredRun) -> None:
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
    db.insert(tables.gateway_runs, {**row, "digest": rows.digest(row)})


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


def _run(row: dict[str, Any]) -> StoredRun:
    client = ClientInfo(row["client_name"], row["client_version"], row["client_pid"], row["client_program"])
    return StoredRun(
        id=row["id"],
        digest=row["token_digest"],
        workspace=_workspace_of(row),
        connection=row["connection"],
        environment_connection=row["environment_connection"],
        client=client,
        born=row["born"],
        created_at=row["created_at"],
    )


def used(db: sqlite3.Connection, since: datetime | None) -> list[tuple[UsageKey, UsageCounts, timedelta]]:
    """Usage since then, by hour, and by day where hours are no longer kept."""
    earliest = 0 if since is None else tables.microseconds(since)
    return [
        (
            UsageKey(row["at"], *(row[name] for name in WORDS)),
            UsageCounts(*(row[name] for name in COUNTS)),
            timedelta(seconds=row["span_s"]),
        )
        for row in sound_rows(db, tables.usage, "at >= ? ORDER BY at", (earliest,))
    ]


def hours_since(now: datetime) -> datetime:
    """The time from which hours are kept. It begins a day, so that no day is partly merged."""
    return day_of(now - HOURS_KEPT)


def day_of(moment: datetime) -> datetime:
    """The beginning of the day, in UTC."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
