"""Tells watchers about changes, through one bounded queue for each watcher.

Not a general message bus. A waiting event is replaced by a newer one about the same object, which keeps
its place in the queue; transitions are all kept. A watcher whose queue is full has missed changes: it
gets LAGGED and its stream ends.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import contextmanager

from nexo.connections.values import frozen
from nexo_daemon.domain.model import HandoutRecord, Transition

QUEUE_LIMIT = 4096


@frozen
class ConnectionChanged:
    """A connection was created or changed, or its health did. Read its present state when you send it."""

    connection_id: str


@frozen
class ConnectionRemoved:
    """A connection was removed."""

    connection_id: str
    name: str


class Sign(enum.Enum):
    """Events without data; the last two end a stream."""

    BINDINGS_CHANGED = enum.auto()
    STATUS_CHANGED = enum.auto()
    """Vault, store, default, offline or pause changed."""
    LAGGED = enum.auto()
    """The queue was full."""
    DAEMON_STOPS = enum.auto()


Event = ConnectionChanged | ConnectionRemoved | Transition | HandoutRecord | Sign
"""A transition is a change of a connection's health state; a hand-out has been recorded."""


def _key(event: Event) -> Hashable:
    match event:
        case ConnectionChanged(connection_id) | ConnectionRemoved(connection_id):
            return connection_id
        case Transition():
            return (event.connection_id, event.at)
        case HandoutRecord():
            return event.subject
        case _:
            return event


class EventQueue:
    """The queue of one watcher."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: dict[Hashable, Event] = {}
        self._wake = asyncio.Event()
        self._last: Event | None = None

    def put(self, event: Event) -> None:
        """Add an event; ignored after the event that ends the stream."""
        if self._last is not None:
            return
        if event is Sign.DAEMON_STOPS:
            self._last = event
        elif len(self._pending) >= self._limit and _key(event) not in self._pending:
            self._pending.clear()
            self._last = Sign.LAGGED
        else:
            self._pending[_key(event)] = event
        self._wake.set()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events, the newest for each object; ends after LAGGED or SHUTTING_DOWN."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                yield self._pending.pop(next(iter(self._pending)))
            if self._last is not None:
                yield self._last
                return


class Bus:
    """The watchers of the daemon, and the followers, which only need to be woken."""

    def __init__(self, queue_limit: int = QUEUE_LIMIT) -> None:
        self._queue_limit = queue_limit
        self._watchers: set[EventQueue] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    @contextmanager
    def subscribe(self) -> Iterator[EventQueue]:
        """A queue for the events from now on. Take the snapshot without an await in between."""
        watcher = EventQueue(self._queue_limit)
        if self._closed:
            watcher.put(Sign.DAEMON_STOPS)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def publish(self, *events: Event) -> None:
        """Tell every watcher."""
        for watcher in self._watchers:
            for event in events:
                watcher.put(event)

    def close(self) -> None:
        """End every stream with SHUTTING_DOWN, future ones too."""
        self._closed = True
        self.publish(Sign.DAEMON_STOPS)
