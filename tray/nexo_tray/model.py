"""Decides what the tray shows: icon, tooltip and menu as a pure function, `picture(state, now)`.

`view` displays the result, `link` provides the state, `controller` acts on clicks.
"""

import enum
import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import field
from datetime import datetime

from nexo.connections import names
from nexo.connections.phrases import phrase
from nexo.connections.terms import HealthState, StoreState, VaultState
from nexo.connections.values import frozen
from nexo_client.types import Connection, Health, Workspace
from nexo_tray import words
from nexo_tray.icons import Look
from nexo_tray.state import LinkState, State

_MENU_COLUMNS = 72
_NAME_LIMIT = 48
_PATH_LIMIT = 64
# LEFT-TO-RIGHT MARK and FIRST STRONG ISOLATE; POP DIRECTIONAL ISOLATE. The mark is for GTK 3, which gives a
# line the direction of its first letter, even of an isolated one.
_ISOLATE, _END_ISOLATE = "\u200e\u2068", "\u2069"
_GLYPHS = {
    HealthState.HEALTHY: "●",
    HealthState.LIMITED: "◐",
    HealthState.UNHEALTHY: "✕",
    HealthState.UNKNOWN: "○",
}
_LOOKS = {
    HealthState.HEALTHY: Look.HEALTHY,
    HealthState.LIMITED: Look.LIMITED,
    HealthState.UNHEALTHY: Look.UNHEALTHY,
    HealthState.UNKNOWN: Look.UNKNOWN,
}
_WAS = {
    HealthState.HEALTHY: "was healthy",
    HealthState.LIMITED: "was limited",
    HealthState.UNHEALTHY: "was failing",
    HealthState.UNKNOWN: "state not known",
}
# The age of a check is shown from here on. The default is checked every minute, others every five minutes.
_FRESH_S = 600


class Do(enum.Enum):
    """The action of a click."""

    SWITCH = enum.auto()
    TEST = enum.auto()
    TEST_ALL = enum.auto()
    COPY_URL = enum.auto()
    MODELS = enum.auto()
    DETAILS = enum.auto()
    WHY = enum.auto()
    SETTINGS = enum.auto()
    ADD = enum.auto()
    EDIT = enum.auto()
    PAUSE = enum.auto()
    NOTIFICATIONS = enum.auto()
    ABOUT = enum.auto()
    START_DAEMON = enum.auto()
    STOP_DAEMON = enum.auto()
    QUIT = enum.auto()


@frozen
class Click:
    """A click: the action, and the id of its connection (empty: none)."""

    do: Do
    connection_id: str = ""


@frozen
class MenuItem:
    """An item of the menu.

    Attributes:
        label: plain text; the view escapes it for its toolkit.
        checked: None for an item without a check mark.
        radio: the check mark is a radio button.
        children: the items of its submenu.
        separator: a line; the other fields are then ignored.
    """

    label: str = ""
    action: Click | None = None
    enabled: bool = True
    checked: bool | None = None
    radio: bool = False
    children: tuple["MenuItem", ...] = ()
    separator: bool = False


SEPARATOR = MenuItem(separator=True)


@frozen
class Picture:
    """Everything that the tray shows. Equal pictures look the same.

    Attributes:
        true_until: when a text with an age becomes out of date; None for never. Not compared.
    """

    look: Look
    tooltip: str
    menu: tuple[MenuItem, ...]
    true_until: datetime | None = field(default=None, compare=False)


def picture(state: State, now: datetime) -> Picture:
    """The icon, the tooltip and the menu for a state at `now`."""
    times = words.RelativeTimes(now)
    headline = _headline(state, times)
    menu = tuple(_menu(state, headline, times))
    return Picture(look(state), f"Nexo: {headline}", menu, times.true_until)


def look(state: State) -> Look:
    """The icon: the first that applies of away, locked, empty, offline, and the health of the default."""
    if not state.live or state.snapshot is None:
        return Look.UNKNOWN if state.link.state is LinkState.CONNECTING else Look.AWAY
    if state.snapshot.status.vault is not VaultState.UNLOCKED:
        return Look.LOCKED
    default = state.default
    if default is None:
        return Look.EMPTY
    if state.snapshot.status.offline_since is not None:
        return Look.OFFLINE
    return _LOOKS[default.health.state] if default.enabled else Look.UNKNOWN


def shown_name(name: str) -> str:
    """A name on one line, with limited length."""
    plain = _one_line(name)
    return _isolated(plain if len(plain) <= _NAME_LIMIT else plain[: _NAME_LIMIT - 1] + "…")


def shown_workspace(workspace: Workspace) -> str:
    """A path or a name on one line; of a long one the end, because paths often begin alike."""
    plain = _one_line(str(workspace))
    return _isolated(plain if len(plain) <= _PATH_LIMIT else "…" + plain[1 - _PATH_LIMIT :])


def _one_line(text: str) -> str:
    return names.replaced(text, lambda _: " ")


def _isolated(text: str) -> str:
    """The text; right-to-left letters in it do not turn the words around it."""
    turns = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if turns else text


def label(state: State, connection: Connection, times: words.RelativeTimes) -> str:
    """The label of a connection: glyph, name, and health."""
    name = shown_name(connection.name)
    if not state.live:
        was = connection.health.last_known or connection.health.state
        return f"○ {name} — {_WAS[was]}"
    if not connection.enabled:
        return f"○ {name} — disabled"
    if connection.id in state.testing:
        return f"◌ {name} — testing…"
    return f"{_GLYPHS[connection.health.state]} {name} — {health_words(connection.health, times)}"


def health_words(health: Health, times: words.RelativeTimes) -> str:
    """The health in a few words: latency, age or reason."""
    why = phrase(health.reason or "unknown")
    match health.state:
        case HealthState.HEALTHY:
            text = words.latency(health.latency_s) if health.latency_s is not None else "works"
            if health.checked_at and (times.now - health.checked_at).total_seconds() >= _FRESH_S:
                text += f", {times.ago(health.checked_at)}"
            return text
        case HealthState.LIMITED:
            rest = times.rest(health.retry_at) if health.retry_at else ""
            return f"{why}, {rest}" if rest else why
        case HealthState.UNHEALTHY:
            since = f" {times.ago(health.since)}" if health.since else ""
            return f"{why}{since}"
        case HealthState.UNKNOWN:
            if health.last_known in (None, HealthState.UNKNOWN) or health.reason == "never":
                return why
            return f"{why}, {_WAS[health.last_known or HealthState.UNKNOWN]}"


def _headline(state: State, times: words.RelativeTimes) -> str:
    if not state.live or state.snapshot is None:
        match state.link.state:
            case LinkState.CONNECTING | LinkState.LIVE:
                return "looking for the daemon…"
            case LinkState.STARTING:
                return "starting the daemon…"
            case LinkState.AWAY:
                return state.link.problem or "the daemon is not running"
    default = state.default
    if default is None:
        return "no default connection" if state.snapshot.connections else "no connections yet"
    name = shown_name(default.name)
    if state.snapshot.status.vault is not VaultState.UNLOCKED:
        return f"{name} — vault {state.snapshot.status.vault.value.replace('_', ' ')}"
    if not default.enabled:
        return f"{name} — disabled"
    health = default.health
    text = health_words(health, times)
    if health.state is HealthState.HEALTHY:
        text = f"healthy, {text}"
    checked = f", checked {times.ago(health.checked_at)}" if health.checked_at else ""
    return f"{name} — {text}{checked}"


def _menu(state: State, headline: str, times: words.RelativeTimes) -> Iterator[MenuItem]:
    live, connections = state.live, state.snapshot.connections if state.snapshot else ()
    default = state.default
    yield MenuItem(headline[0].upper() + headline[1:] if not default or not live else headline, enabled=False)
    yield SEPARATOR
    for connection in connections:
        yield MenuItem(
            label(state, connection, times),
            Click(Do.SWITCH, connection.id),
            enabled=live and connection.enabled,
            checked=default is not None and connection.id == default.id,
            radio=True,
        )
    if connections:
        yield SEPARATOR
    reasons = tuple(_why(state, times))
    if reasons:
        yield MenuItem("Why?", children=reasons)
    if connections:
        yield MenuItem("Connections", enabled=live, children=tuple(_submenus(state, live, default)))
    yield MenuItem("Add connection…", Click(Do.ADD))
    if state.page:
        yield MenuItem("Settings…", Click(Do.SETTINGS))
    if connections:
        yield MenuItem("Test all", Click(Do.TEST_ALL), enabled=live and not state.testing)
        yield MenuItem("Workspaces", children=tuple(_workspaces(state)))
    yield SEPARATOR
    if state.snapshot:
        yield MenuItem(
            "Pause checks", Click(Do.PAUSE), enabled=live, checked=state.snapshot.status.checks.paused
        )
    yield MenuItem("Notifications", Click(Do.NOTIFICATIONS), checked=state.notifications)
    yield MenuItem("About…", Click(Do.ABOUT))
    yield SEPARATOR
    if state.link.state is LinkState.AWAY:
        yield MenuItem("Start daemon", Click(Do.START_DAEMON))
    if live and state.started_daemon:
        yield MenuItem("Stop daemon", Click(Do.STOP_DAEMON))
    yield MenuItem("Quit tray", Click(Do.QUIT))


def _submenus(state: State, live: bool, default: Connection | None) -> Iterator[MenuItem]:
    for connection in state.snapshot.connections if state.snapshot else ():
        own = connection.id
        is_default = default is not None and own == default.id
        yield MenuItem(
            shown_name(connection.name),
            enabled=live,
            children=(
                MenuItem(
                    "Make default", Click(Do.SWITCH, own), enabled=connection.enabled and not is_default
                ),
                MenuItem(
                    "Test now", Click(Do.TEST, own), enabled=connection.enabled and own not in state.testing
                ),
                MenuItem("Copy base URL", Click(Do.COPY_URL, own)),
                MenuItem("Models…", Click(Do.MODELS, own)),
                MenuItem("Details…", Click(Do.DETAILS, own)),
                MenuItem("Edit…", Click(Do.EDIT, own)),
            ),
        )


@frozen
class Problem:
    """A problem, what to do about it, and the id of its connection (empty: none)."""

    text: str
    advice: str = ""
    connection_id: str = ""


def problems(state: State, times: words.RelativeTimes) -> Iterator[Problem]:
    """All problems, those of the daemon before those of the connections."""
    if not state.live or state.snapshot is None:
        if state.link.state is LinkState.AWAY:
            text = state.link.problem or "the daemon is not running"
            yield Problem(text[0].upper() + text[1:], state.link.hint)
        return
    status = state.snapshot.status
    if status.vault is not VaultState.UNLOCKED:
        yield Problem(f"The vault is {status.vault.value.replace('_', ' ')}", status.vault_problem)
    elif status.vault_problem:
        yield Problem("The vault will not unlock again", status.vault_problem)
    if status.store is StoreState.READ_ONLY:
        yield Problem("The store is read-only", status.store_problem)
    if status.offline_since is not None:
        yield Problem(
            f"This computer is offline, noticed {times.ago(status.offline_since)}",
            "Nothing is wrong with the connections; they are checked again once the network is back.",
        )
    for connection in state.snapshot.connections:
        health = connection.health
        if connection.enabled and health.state in (HealthState.LIMITED, HealthState.UNHEALTHY):
            yield Problem(label(state, connection, times), health.advice, connection.id)
    for binding in state.snapshot.bindings:
        if binding.broken:
            yield Problem(
                f"✕ {shown_workspace(binding.workspace)} is bound to {shown_name(binding.connection)}, "
                "which is gone",
                f"Bind it again: nexoctl workspace bind {shlex.quote(str(binding.workspace))} CONNECTION",
            )


def _why(state: State, times: words.RelativeTimes) -> Iterator[MenuItem]:
    for problem in problems(state, times):
        explain = Click(Do.WHY, problem.connection_id)
        yield MenuItem(problem.text, explain)
        for line in _wrapped(problem.advice):
            # Enabled, because greyed text is hard to read.
            yield MenuItem(f"    {line}", explain)


def _wrapped(text: str) -> Iterator[str]:
    """Split a sentence into lines that fit into a menu."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _MENU_COLUMNS:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    if line:
        yield line


def _workspaces(state: State) -> Iterator[MenuItem]:
    snapshot = state.snapshot
    bindings = snapshot.bindings if snapshot else ()
    for binding in bindings:
        mark = "✕ " if binding.broken else ""
        yield MenuItem(
            f"{mark}{shown_workspace(binding.workspace)} → {shown_name(binding.connection)}", enabled=False
        )
    if not bindings:
        yield MenuItem("No workspace is bound: all use the default", enabled=False)
    status = snapshot.status if snapshot and state.live else None
    followers, behind = (len(status.followers), status.gateway_programs) if status else (0, 0)
    if followers or behind:
        yield SEPARATOR
    if followers:
        programs = "1 program follows" if followers == 1 else f"{followers} programs follow"
        yield MenuItem(f"{programs} switches live", enabled=False)
    if behind:
        programs = "1 program is" if behind == 1 else f"{behind} programs are"
        yield MenuItem(f"{programs} behind the gateway", enabled=False)
