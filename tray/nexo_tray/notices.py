"""Decides which changes are worth a notification, and words it. `gtk_desktop` and `plain_desktop` show it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nexo.connections.phrases import phrase
from nexo.connections.terms import HealthState
from nexo.connections.values import frozen
from nexo_client.errors import NexoError
from nexo_client.types import ConnectionHealth, DefaultSwitch, HealthTransition, TestResult
from nexo_tray import words
from nexo_tray.icons import Look
from nexo_tray.model import shown_name

_BAD = (HealthState.LIMITED, HealthState.UNHEALTHY)


@frozen
class Notice:
    """A notification.

    Attributes:
        look: the state that its icon shows.
        about: the id of the connection whose "Why?" a click opens; empty for none. A later notification about
            the same connection replaces it on the screen.
        urgent: shown with critical urgency.
    """

    title: str
    body: str
    look: Look
    about: str = ""
    urgent: bool = False


@dataclass(slots=True)
class Notifier:
    """Reports each important health problem once, and its end with the duration."""

    _bad_since: dict[str, datetime] = field(default_factory=dict)
    _last: dict[str, datetime] = field(default_factory=dict)

    def tell(self, change: HealthTransition) -> Notice | None:
        """The notification for a transition; None if it is not important or was already reported."""
        own = change.connection_id
        # A new subscription may repeat the last transition.
        if self._last.get(own) == change.at:
            return None
        self._last[own] = change.at
        name = shown_name(change.connection)
        if change.to_state in _BAD:
            if not change.important:
                return None
            self._bad_since.setdefault(own, change.at)
            limited = change.to_state is HealthState.LIMITED
            return Notice(
                f"{name}: {phrase(change.reason or 'unknown')}",
                change.advice or change.evidence or "The tray's menu has the details.",
                Look.LIMITED if limited else Look.UNHEALTHY,
                own,
                urgent=not limited,
            )
        if change.to_state is not HealthState.HEALTHY:
            return None
        since = self._bad_since.pop(own, None)
        if since is not None:
            took = (change.at - since).total_seconds()
        elif change.important and change.from_state in _BAD:
            took = change.lasted_s or 0.0
        else:
            return None
        after = f"After {words.lasted(took)}." if took >= 1 else "It is healthy."
        return Notice(f"{name} works again", after, Look.HEALTHY, own)


def refused(what: str, error: NexoError, about: str = "") -> Notice:
    """The notification for an action that failed."""
    return Notice(what, " ".join(filter(None, (error.message, error.next_step))), Look.UNHEALTHY, about)


def unconfirmed(name: str) -> Notice:
    """The notification for a switch that the daemon did not confirm in time."""
    return Notice(
        f"Not switched to {shown_name(name)}",
        "The daemon has not confirmed it within 3 seconds. See: nexoctl status",
        Look.AWAY,
    )


def switched(switch: DefaultSwitch) -> Notice | None:
    """The notification about a problem of the new default; None if it has none."""
    if not switch.warning:
        return None
    name = shown_name(switch.connection.name)
    return Notice(f"{name} is the default now", switch.warning, Look.LIMITED, switch.connection.id)


def tested(name: str, result: TestResult, about: str) -> Notice:
    """The notification with the result of a test."""
    if result.ok:
        proven = ", ".join(word.replace("_", " ") for word in result.proven) or "it answers"
        took = f" in {words.latency(result.elapsed_s)}" if result.elapsed_s else ""
        return Notice(f"{shown_name(name)} works", f"Proven{took}: {proven}.", Look.HEALTHY, about)
    text = result.advice or result.provider_message or phrase(result.outcome.value)
    return Notice(
        f"{shown_name(name)}: {phrase(result.reason or result.outcome.value)}",
        text,
        Look.UNHEALTHY,
        about,
    )


def tested_all(lights: Iterable[ConnectionHealth]) -> Notice:
    """The notification with the result of checking all connections; disabled ones do not count."""
    checked = [light.health.state for light in lights if light.health.reason != "disabled"]
    working = checked.count(HealthState.HEALTHY)
    if not checked:
        return Notice("Nothing was tested", "All connections are disabled.", Look.UNKNOWN)
    title = f"{working} of {len(checked)} connections work"
    if len(checked) == 1:
        title = "The connection works" if working else "The connection does not work"
    if working < len(checked):
        return Notice(title, "The menu says why.", Look.UNHEALTHY)
    return Notice(title, "All is well.", Look.HEALTHY)
