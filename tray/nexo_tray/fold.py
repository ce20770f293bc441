"""What does the tray know after an event? Pure: `fold(state, event, now)`.

Each event carries whole objects, so the last one wins; a snapshot replaces everything.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from nexo_client.errors import DaemonNotRunning, NexoError
from nexo_client.types import Connection, Snapshot, WatchEvent
from nexo_client.watch import Link as Heard
from nexo_client.watch import LinkEvent
from nexo_tray.state import DaemonLink, LinkState, State, Switch

UNCONFIRMED_AFTER = timedelta(seconds=3)
"""A click that the daemon has not confirmed by then is taken back."""


def fold(state: State, event: LinkEvent, now: datetime) -> State:
    """The state after one step of `nexo_client.watch.watch_forever`."""
    if event.link is Heard.AWAY or event.event is None:
        return away(state, event.error, now)
    snapshot = after(state.snapshot if state.live else None, event.event)
    if snapshot is None:
        return state
    link = state.link if state.live else DaemonLink(LinkState.LIVE, now)
    switch = None if _confirms(event.event.revision, state.switch) else state.switch
    known = {c.id for c in snapshot.connections}
    return replace(
        state,
        link=link,
        snapshot=snapshot,
        switch=switch,
        testing=state.testing & known,
        revision=event.event.revision,
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


def _confirms(revision: int, switch: Switch | None) -> bool:
    """Whether the watch has come to where the click took effect.

    That the default is the clicked one proves nothing: of clicks to and fro an earlier one may have done it.
    """
    return switch is None or bool(switch.revision and revision >= switch.revision)


def expired(state: State, now: datetime) -> bool:
    """Whether the click has waited too long for its confirmation."""
    return state.switch is not None and now - state.switch.at >= UNCONFIRMED_AFTER
