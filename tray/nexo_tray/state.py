"""What does the tray know, and what after an event? Pure: `fold(state, event, now)`.

The last snapshot, the link to the daemon, and clicks that wait for an answer. Each event carries whole
objects, so the last one wins; a snapshot replaces everything. Not for what is shown of it (`model`).
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
"""A click that the daemon has not confirmed by then is taken back."""


class LinkState(enum.StrEnum):
    """Whether the daemon is there."""

    CONNECTING = "connecting"
    LIVE = "live"
    STARTING = "starting"
    AWAY = "away"


@frozen
class DaemonLink:
    """The link to the daemon; `problem` and `hint` say why it is away and what to do."""

    state: LinkState = LinkState.CONNECTING
    since: datetime | None = None
    problem: str = ""
    hint: str = ""


@frozen
class Switch:
    """A click on another default that the watch has not confirmed yet.

    Attributes:
        revision: of the store, once the daemon has answered the call; 0 before.
    """

    to_id: str
    at: datetime
    revision: int = 0


@frozen
class State:
    """Everything that the picture depends on, but the time.

    Attributes:
        snapshot: the last one received; kept while the daemon is away.
        testing: ids of the connections that a click is testing right now.
        revision: of the store, as of the last event.
        page: the settings screen is installed.
        started_daemon: this tray started the running daemon, so it may stop it.
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
        """Whether the snapshot is the present."""
        return self.link.state is LinkState.LIVE and self.snapshot is not None

    def connection(self, connection_id: str) -> Connection | None:
        """The connection with that id, as last seen."""
        connections = self.snapshot.connections if self.snapshot else ()
        return next((c for c in connections if c.id == connection_id), None)

    @property
    def default(self) -> Connection | None:
        """The default as shown: the one just clicked, else the daemon's."""
        if self.switch and (clicked := self.connection(self.switch.to_id)):
            return clicked
        return confirmed_default(self.snapshot)


def confirmed_default(snapshot: Snapshot | None) -> Connection | None:
    """The default as the daemon says."""
    return next((c for c in snapshot.connections if c.is_default), None) if snapshot else None


def fold(state: State, event: LinkEvent, now: datetime) -> State:
    """The state after one step of `nexo_client.watch.watch_forever`."""
    if event.link is Heard.AWAY or event.event is None:
        return away(state, event.error, now)
    snapshot = after(state.snapshot if state.live else None, event.event)
    if snapshot is None:
        return state
    link = state.link if state.live else DaemonLink(LinkState.LIVE, now)
    switch, revision = state.switch, event.event.revision
    # Only from where the click took effect. That the default is the clicked one proves nothing: of clicks to
    # and fro an earlier one may have done it.
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
    """The state without the daemon; what it said last stays, marked as past."""
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
    """In place of the one with its id, else last: the order of creation, as in a snapshot."""
    found = False
    for old in connections:
        if old.id == new.id:
            found = True
            yield new
        elif new.is_default and old.is_default:
            # The event about the previous default may come later, and two marks would be shown until then.
            yield replace(old, is_default=False)
        else:
            yield old
    if not found:
        yield new


def expired(state: State, now: datetime) -> bool:
    """Whether the click has waited too long for its confirmation."""
    return state.switch is not None and now - state.switch.at >= UNCONFIRMED_AFTER
