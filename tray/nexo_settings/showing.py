"""The records that the page gets: those of the SDK with phrases for the user. None contains a secret."""

from datetime import datetime

from nexo.connections.phrases import phrase
from nexo.connections.terms import HealthState
from nexo_client import records, types
from nexo_client.errors import NexoError
from nexo_client.records import Record
from nexo_settings.refusals import error

SLICES = {24: 96, 168: 84}
"""Hours of a chart -> number of slices, each a quarter of an hour or two hours long."""


def connection(value: types.Connection, now: datetime) -> Record:
    """A connection, with a phrase for its health."""
    record = records.of(value, now)
    record["health"]["phrase"] = phrase(value.health.reason)
    return record


def event(value: types.WatchEvent, now: datetime) -> Record:
    """One message of the daemon's event stream."""
    record = records.event(value, now)
    if value.snapshot is not None:
        record["connections"] = [connection(one, now) for one in value.snapshot.connections]
    if value.connection is not None:
        record["connection"] = connection(value.connection, now)
    if value.transition is not None:
        record["transition"]["phrase"] = phrase(value.transition.reason)
    return record


def result(value: types.TestResult) -> Record:
    """The result of a test, with a phrase and the ticket for saving the tested draft."""
    said = phrase(value.reason or value.outcome.value)
    return records.of(value) | {"ok": value.ok, "phrase": said, "ticket": value.ticket}


def history(value: types.SlicedHistory) -> Record:
    """The health history of a connection, for its chart."""
    return {
        "start": records.moment(value.start),
        "slice_s": value.slice_s,
        "uptime": value.uptime,
        "latency_p50_ms": records.milliseconds(value.latency_p50_s),
        "latency_p95_ms": records.milliseconds(value.latency_p95_s),
        "latency_ms": [records.milliseconds(part.latency_s) for part in value.slices],
        "lights": "".join(_LIGHTS[part.worst] for part in value.slices),
        "transitions": [records.of(one) | {"phrase": phrase(one.reason)} for one in value.transitions[-50:]],
    }


_LIGHTS = {
    HealthState.UNKNOWN: "-",
    HealthState.HEALTHY: "o",
    HealthState.LIMITED: "!",
    HealthState.UNHEALTHY: "x",
}


def backup(value: types.Backup) -> Record:
    """A backup of the store."""
    at = records.moment(value.at) if value.at else None
    return {"name": value.name, "at": at, "reason": value.reason, "size_bytes": value.size_bytes}


def saved(value: types.SavedConnection, now: datetime) -> Record:
    """A saved connection and its warnings."""
    return {
        "connection": connection(value.connection, now),
        "warnings": records.plain(value.warnings),
    }


def refusal(problem: NexoError) -> Record:
    """The record of an error of the daemon."""
    record = error(problem.reason.value, problem.message, problem.next_step, problem.metadata)
    record["error"] |= remedy(problem)
    return record


def remedy(problem: NexoError) -> Record:
    """The action that a button can offer for an error, and its label; empty if there is none."""
    known = problem.remedy
    return {"action": problem.action.value, "label": known.label} if problem.action and known else {}
