"""What `--json` prints: the SDK's values as JSON objects, one function a noun.

Names and meaning are an interface that scripts rely on; add to it, never rename. Moments are RFC 3339 in
UTC, spans end in `_ms` or `_s`, what is not known is null. No record but `resolved` holds a secret.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nexo_client import types

Record = dict[str, Any]


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float | None) -> float | None:
    """Seconds in ms, to the microsecond."""
    return None if seconds is None else round(seconds * 1000, 3)


def health(name: str, value: types.Health, now: datetime) -> Record:
    """The light of a connection."""
    age = None if value.checked_at is None else round((now - value.checked_at).total_seconds(), 1)
    return {
        "connection": name,
        "state": value.state.value,
        "reason": value.reason,
        "since": moment(value.since),
        "checked_at": moment(value.checked_at),
        "age_s": age,
        "latency_ms": milliseconds(value.latency_s),
        "retry_at": moment(value.retry_at),
        "consecutive_failures": value.consecutive_failures,
        "next_check_at": moment(value.next_check_at),
        "advice": value.advice,
        "last_known": value.last_known.value if value.last_known else None,
    }


def sample(value: types.HealthSample) -> Record:
    """A check, or the checks of an hour."""
    return {
        "at": moment(value.at),
        "span_s": value.span_s or 0.0,
        "checks": value.checks,
        "failures": value.failures,
        "latency_min_ms": milliseconds(value.latency_min_s),
        "latency_median_ms": milliseconds(value.latency_median_s),
        "latency_max_ms": milliseconds(value.latency_max_s),
        "outcome": value.outcome.value,
        "reason": value.reason,
    }


def history(
    light: types.ConnectionHealth, value: types.HealthHistory, window_s: float, now: datetime
) -> Record:
    """The past of a connection; `uptime` is 0 to 1."""
    return {
        "connection": light.connection,
        "window_s": window_s,
        "uptime": value.uptime,
        "latency_p50_ms": milliseconds(value.latency_p50_s),
        "latency_p95_ms": milliseconds(value.latency_p95_s),
        "latency_p99_ms": milliseconds(value.latency_p99_s),
        "health": health(light.connection, light.health, now),
        "transitions": [transition(item) for item in value.transitions],
        "samples": [sample(item) for item in value.samples],
    }


def network(value: types.NetworkProfile) -> Record:
    """How a connection reaches the network."""
    return {"proxy": value.proxy, "no_proxy": list(value.no_proxy), "ca_bundle": value.ca_bundle}


def connection(value: types.Connection, now: datetime) -> Record:
    """A connection, without secrets."""
    return {
        "name": value.name,
        "id": value.id,
        "provider": value.provider.value,
        "preset": value.preset,
        "base_url": value.base_url,
        "auth_scheme": value.auth_scheme.value,
        "key": {
            "source": value.key.source.value,
            "verdict": value.key.verdict.value,
            "reference": value.key.reference,
            "added_at": moment(value.key.added_at),
            "proven_at": moment(value.key.proven_at),
            "expires_at": moment(value.key.expires_at),
            "previous_kept_until": moment(value.key.previous_kept_until),
        },
        "header_names": list(value.header_names),
        "default_model": value.default_model,
        "enabled": value.enabled,
        "is_default": value.is_default,
        "network": network(value.network),
        "proxy_has_credentials": value.proxy_has_credentials,
        "check_interval_s": value.check_interval_s,
        "checks_paused": value.checks_paused,
        "health": health(value.name, value.health, now),
        "revision": value.revision,
        "created_at": moment(value.created_at),
        "updated_at": moment(value.updated_at),
    }


def suggestion(value: types.Suggestion) -> Record:
    """A proposed change, or a warning."""
    return {
        "field": value.field,
        "text": value.text,
        "value": value.value,
        "verified": value.verified,
        "fix": value.fix,
    }


def layer(value: types.LayerResult) -> Record:
    """One step of a test; `ok` is null when it was not reached or does not apply."""
    ok = {"passed": True, "failed": False}.get(value.status.value)
    return {
        "layer": value.layer.value,
        "ok": ok,
        "ms": milliseconds(value.elapsed_s),
        "evidence": value.evidence,
        "status": value.status.value,
    }


def test(value: types.TestResult) -> Record:
    """The verdict of a test."""
    return {
        "connection": value.connection,
        "outcome": value.outcome.value,
        "reason": value.reason,
        "key": value.key.value,
        "layers": [layer(item) for item in value.layers],
        "models": [item.id for item in value.models],
        "http_status": value.http_status,
        "request_id": value.request_id or None,
        "retry_at": moment(value.retry_at),
        "advice": value.advice,
        "proven": list(value.proven),
        "suggestions": [suggestion(item) for item in value.suggestions],
        "elapsed_ms": milliseconds(value.elapsed_s),
        "price_note": value.price_note,
        "provider_message": value.provider_message,
    }


def model(value: types.Model) -> Record:
    """A model that a provider lists."""
    return {
        "id": value.id,
        "display_name": value.display_name,
        "created_at": moment(value.created_at),
        "owner": value.owner,
        "context_window": value.context_window or None,
    }


def provider(value: types.ProviderInfo) -> Record:
    """A provider or a preset."""
    return {
        "name": value.name,
        "display_name": value.display_name,
        "provider": value.provider.value,
        "is_preset": value.is_preset,
        "default_base_url": value.default_base_url,
        "auth_scheme": value.auth_scheme.value,
        "key_required": value.key_required,
        "key_url": value.key_url,
        "note": value.note,
    }


def client(value: types.ClientInfo) -> Record:
    """What a program claims about itself."""
    return {"name": value.name, "version": value.version, "pid": value.pid, "program": value.program}


def workspace(value: types.Workspace) -> Record:
    """A directory or a name; the other is null."""
    return {"path": value.path or None, "name": value.name or None}


def binding(value: types.WorkspaceBinding) -> Record:
    """A workspace and what it gets."""
    return {
        "workspace": workspace(value.workspace),
        "connection": value.connection,
        "broken": value.broken,
        "allow_fallback": value.allow_fallback,
        "created_at": moment(value.created_at),
    }


def follower(value: types.Follower) -> Record:
    """A program that follows right now."""
    return {
        "client": client(value.client),
        "workspaces": [workspace(item) for item in value.workspaces],
        "applied_revision": value.applied_revision,
        "connected_at": moment(value.connected_at),
    }


def explanation(value: types.Explanation) -> Record:
    """Which connection a workspace gets, and why."""
    return {
        "connection": value.connection or None,
        "source": value.source.value if value.source else None,
        "steps": [
            {"source": step.source.value, "connection": step.connection, "won": step.won, "text": step.text}
            for step in value.steps
        ],
        "problem": {"reason": value.problem_reason, "message": value.problem}
        if value.problem_reason
        else None,
        "revision": value.revision,
    }


def switch(value: types.DefaultSwitch, now: datetime) -> Record:
    """What a change of the default did."""
    return {
        "connection": value.connection.name,
        "previous": value.previous.name if value.previous else None,
        "revision": value.revision,
        "warning": value.warning,
        "followers": value.followers,
        "pending_followers": list(value.pending_followers),
        "health": health(value.connection.name, value.connection.health, now),
    }


def transition(value: types.HealthTransition) -> Record:
    """A change of the light."""
    return {
        "connection": value.connection,
        "at": moment(value.at),
        "from": value.from_state.value,
        "to": value.to_state.value,
        "reason": value.reason,
        "evidence": value.evidence,
        "lasted_s": value.lasted_s,
        "advice": value.advice,
        "important": value.important,
    }


def handout(value: types.Handout) -> Record:
    """A secret that left the daemon."""
    return {
        "at": moment(value.at),
        "connection": value.connection,
        "method": value.method,
        "client": client(value.client),
        "workspace": value.workspace or None,
        "source": value.source.value if value.source else None,
    }


def status(value: types.Status) -> Record:
    """The daemon and its store."""
    return {
        "running": True,
        "version": value.version,
        "pid": value.pid,
        "started_at": moment(value.started_at),
        "socket": value.socket_path,
        "database": value.database_path,
        "log": value.log_path,
        "revision": value.revision,
        "vault": {"state": value.vault.value, "slot": value.vault_slot, "problem": value.vault_problem},
        "store": {"state": value.store.value, "problem": value.store_problem, "advice": value.store_advice},
        "default_connection": value.default_connection or None,
        "connections": value.connections,
        "enabled_connections": value.enabled_connections,
        "followers": [follower(item) for item in value.followers],
        "watchers": value.watchers,
        "offline_since": moment(value.offline_since),
        "checks_paused": value.checks_paused,
    }


def resolved(value: types.ResolvedConnection, now: datetime) -> Record:
    """A hand-out. Holds secrets."""
    return {
        "connection": value.name,
        "provider": value.provider.value,
        "preset": value.preset,
        "base_url": value.base_url,
        "auth_scheme": value.auth_scheme.value,
        "api_key": value.api_key,
        "headers": dict(value.headers),
        "model": value.model,
        "network": network(value.network),
        "source": value.source.value,
        "source_detail": value.source_detail,
        "revision": value.revision,
        "health": health(value.name, value.health, now),
    }


def event(value: types.WatchEvent, now: datetime) -> Record:
    """One message of the event stream; `event` says which."""
    head: Record = {"sequence": value.sequence, "revision": value.revision}
    if value.snapshot is not None:
        return head | {
            "event": "snapshot",
            "connections": [connection(item, now) for item in value.snapshot.connections],
            "bindings": [binding(item) for item in value.snapshot.bindings],
            "status": status(value.snapshot.status),
        }
    if value.connection is not None:
        return head | {"event": "connection", "connection": connection(value.connection, now)}
    if value.removed is not None:
        return head | {"event": "removed", "connection": value.removed}
    if value.bindings is not None:
        return head | {"event": "bindings", "bindings": [binding(item) for item in value.bindings]}
    if value.status is not None:
        return head | {"event": "status", "status": status(value.status)}
    if value.transition is not None:
        return head | {"event": "transition", "transition": transition(value.transition)}
    return head | {"event": value.ended or "unknown"}
