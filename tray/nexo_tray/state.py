"""The state of the tray, and how events change it: a pure function, `fold(state, event, now)`.

The state has the last snapshot, the link to the daemon, and the click that waits for confirmation. Each event
has whole objects, so the last one wins; a snapshot replaces everything. `model` decides what is shown.
"""

import enum
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from nexo.connections.values import frozen
from nexo_client.errors import DaemonNotRunning, NexoError
from nexo_client.types import Connection, Snapshot, WatchEvent
from nexo_client.watch import Link as Heard
from nexo_client.watch import LinkEvent

UNCONFIRMED_AFTER = timedelta(seconds=3)
"""A switch that the daemon has not confirmed after this time is undone in the display."""


class LinkState(enum.StrEnum):
    """The state of the link to the daemon."""

    CONNECTING = "connecting"
    LIVE = "live"
    STARTING = "starting"
    AWAY = "away"


@frozen
class DaemonLink:
    """The link to the daemon; `problem` and `hint` say why the daemon is away and what to do."""

    state: LinkState = LinkState.CONNECTING
    since: datetime | None = None
    problem: str = ""
    hint: str = ""


@frozen
class Switch:
    """A switch of the default that the watch has not confirmed yet.

    Attributes:
        to_id: the id of the new default.
        at: the time of the click.
        revision: the revision of the store after the switch; 0 until the daemon has answered the call.
    """

    to_id: str
    at: datetime
    revision: int = 0


@frozen
class State:
    """Everything that the picture depends on, except the time.

    Attributes:
        snapshot: the last snapshot with later events applied; kept while the daemon is away.
        switch: the switch that is not confirmed yet.
        testing: the ids of the connections that are being tested after a click.
        notifications: changes of health are shown as notifications.
        started_daemon: this tray started the running daemon, so it may stop it.
        revision: the revision of the store at the last event.
        page: the settings screen is installed.
    """

    link: DaemonLink = DaemonLink()
    snapshot: Snapshot | None = None
    switch: Switch | None = None
    testing: frozenset[str] = frozenset()
    notifications: bool = True
    started_daemon: bool = False
    revision: int = 0
    page: bool = False

    @property
    def live(self) -> bool:
        """Whether the snapshot is up to date."""
        return self.link.state is LinkState.LIVE and self.snapshot is not None

    def connection(self, connection_id: str) -> Connection | None:
        """The connection with this id in the snapshot; None if there is none."""
        connections = self.snapshot.connections if self.snapshot else ()
        return next((c for c in connections if c.id == connection_id), None)

    @property
    def default(self) -> Connection | None:
        """The default to show: the one that was just clicked, otherwise the daemon's."""
        if self.switch and (clicked := self.connection(self.switch.to_id)):
            return clicked
        return confirmed_default(self.snapshot)


def confirmed_default(snapshot: Snapshot | None) -> Connection | None:
    """The default in the snapshot."""
    return next((c for c in snapshot.connections if c.is_default), None) if snapshot else None


def fold(state: State, event: LinkEvent, now: datetime) -> State:
    """The state after one event of `nexo_client.watch.watch_forever`."""
    if event.link is Heard.AWAY or event.event is None:
        return away(state, event.error, now)
    snapshot = after(state.snapshot if state.live else None, event.event)
    if snapshot is None:
        return state
    link = state.link if state.live else DaemonLink(LinkState.LIVE, now)
    switch, revision = state.switch, event.event.revision
    # Only the revision confirms a switch: an earlier click may have made the clicked connection the default.
    if switch is not None and switch.revision and revision >= switch.revision:
        switch = None
    known = {c.id for c in snapshot.connections}
    return replace(
        state,
        link=link,
        snapshot=snapshot,
        switch=switch,
        testing=state.testing & known,
        revision=revision,
    )


def away(state: State, error: NexoError | None, now: datetime) -> State:
    """The state after losing the daemon; the snapshot is kept but is no longer live."""
    since = state.link.since if state.link.state is LinkState.AWAY else now
    if error is None or isinstance(error, DaemonNotRunning):
        problem = "the daemon is not running" if error is not None else "the daemon was stopped"
    else:
        problem = error.message
    hint = (error or DaemonNotRunning("")).next_step
    if state.link.state is LinkState.STARTING and isinstance(error, DaemonNotRunning):
        return state
    return replace(state, link=DaemonLink(LinkState.AWAY, since, problem, hint))


def after(snapshot: Snapshot | None, event: WatchEvent) -> Snapshot | None:
    """The snapshot with the event applied; None before the first snapshot."""
    if event.snapshot is not None:
        return event.snapshot
    if snapshot is None:
        return None
    if event.connection is not None:
        return replace(snapshot, connections=tuple(_put(snapshot.connections, event.connection)))
    if event.removed is not None:
        kept = tuple(c for c in snapshot.connections if c.name != event.removed)
        return replace(snapshot, connections=kept)
    if event.bindings is not None:
        return replace(snapshot, bindings=event.bindings)
    if event.status is not None:
        return replace(snapshot, status=event.status)
    return snapshot


def _put(connections: Iterable[Connection], new: Connection) -> Iterable[Connection]:
    """Replace the connection with the same id, or append it; this keeps the order of creation."""
    found = False
    for old in connections:
        if old.id == new.id:
            found = True
            yield new
        elif new.is_default and old.is_default:
            # The event about the previous default may come later; until then two defaults would be shown.
            yield replace(old, is_default=False)
        else:
            yield old
    if not found:
        yield new


def expired(state: State, now: datetime) -> bool:
    """Whether the switch was not confirmed in time."""
    return state.switch is not None and now - state.switch.at >= UNCONFIRMED_AFTER
