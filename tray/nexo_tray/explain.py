"""The texts of the tray's windows: a connection, its models, the problems, the tray itself. All pure."""

import shlex
from collections.abc import Iterator
from datetime import datetime

from nexo.connections.terms import HealthState
from nexo.connections.values import frozen
from nexo.connections.version import __version__
from nexo_client.types import Connection, ModelList
from nexo_tray import words
from nexo_tray.model import health_words, problems
from nexo_tray.state import State

_MODELS_SHOWN = 40


@frozen
class Text:
    """The content of a window; the text can be selected and copied."""

    title: str
    body: str


def _clock(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "never"


def why(state: State, connection_id: str, now: datetime) -> Text:
    """The problem of a connection and what to do; all problems if there is no connection with this id."""
    connection = state.connection(connection_id)
    if connection is None:
        found = [f"{p.text}\n{p.advice}".strip() for p in problems(state, words.RelativeTimes(now))]
        return Text("Problems", "\n\n".join(found) or "The tray knows of no problem.")
    health = connection.health
    lines = [f"{health.state.value.capitalize()}: {health_words(health, words.RelativeTimes(now))}"]
    if health.advice:
        lines += ["", health.advice]
    lines += ["", f"Since: {_clock(health.since)}", f"Last check: {_clock(health.checked_at)}"]
    if health.retry_at:
        lines.append(f"Not before: {_clock(health.retry_at)}")
    if health.consecutive_failures:
        lines.append(f"Failed checks in a row: {health.consecutive_failures}")
    if health.state is not HealthState.HEALTHY:
        lines += ["", f"Step by step: nexoctl test {shlex.quote(connection.name)}"]
    return Text(f"Why? — {connection.name}", "\n".join(lines))


def details(connection: Connection, now: datetime) -> Text:
    """The configuration of a connection, without secrets, which the tray does not have."""
    health = connection.health
    rows = {
        "Provider": connection.preset or connection.provider.value,
        "Base URL": connection.base_url,
        "API key": words.key_words(connection.key),
        "Headers": ", ".join(connection.header_names) or "none",
        "Model": connection.default_model or "none",
        "Proxy": connection.network.proxy,
        "Health": f"{health.state.value}, {health_words(health, words.RelativeTimes(now))}",
        "Last check": _clock(health.checked_at),
        "Changed": _clock(connection.updated_at),
    }
    return Text(connection.name, "\n".join(f"{key}: {value}" for key, value in rows.items()))


def models(name: str, listed: ModelList) -> Text:
    """The models that a provider lists."""
    ids = [model.id for model in listed.models]
    shown = ids[:_MODELS_SHOWN]
    if len(ids) > len(shown) or listed.truncated:
        shown.append(f"… {len(ids) - _MODELS_SHOWN} more: nexoctl models {shlex.quote(name)}")
    return Text(f"Models of {name}", "\n".join(shown) or "The provider lists none.")


def about(state: State) -> Text:
    """Versions and paths."""
    return Text("Nexo Connections", "\n".join(_about(state)))


def _about(state: State) -> Iterator[str]:
    yield f"Tray {__version__}"
    if state.snapshot is None:
        yield "Daemon: not seen yet"
        return
    status = state.snapshot.status
    present = f"process {status.pid}" if state.live else "away"
    yield f"Daemon {status.version}, {present}, since {_clock(status.started_at)}"
    yield f"Socket: {status.socket_path}"
    yield f"Store: {status.database_path}"
    yield f"Log: {status.log_path}"
    yield ""
    yield "nexoctl can do everything that the tray can: nexoctl --help"
