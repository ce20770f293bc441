"""Keeps a program that shows the daemon's state up to date, through restarts of the daemon.

`Client.watch()` is one subscription; `watch_forever` renews it until the caller stops:

    with nexo_client.connect() as client, watch_forever(client) as steps:
        for step in steps:                    # blocks; steps.stop() from any thread ends the loop
            if step.link is Link.AWAY:
                ...                           # show step.error; mark the known state as out of date
            elif step.event.snapshot:
                ...                           # replaces the known state
            else:
                ...                           # one change
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from nexo.connections.values import frozen
from nexo_client import types
from nexo_client.errors import NexoError

if TYPE_CHECKING:
    from nexo_client.base_client import Subscription
    from nexo_client.client import Client


class Link(enum.Enum):
    """Whether the daemon is reachable."""

    CONNECTED = "connected"
    AWAY = "away"


@frozen
class LinkEvent:
    """One step of `watch_forever`.

    Attributes:
        link: CONNECTED with every event of a subscription; AWAY if the subscription ended or failed.
        event: set if CONNECTED. The first event of every subscription has a snapshot, which replaces the
            known state.
        error: the reason if AWAY; None if the daemon ended the subscription normally.
    """

    link: Link
    event: types.WatchEvent | None = None
    error: NexoError | None = None


# Pauses between attempts; the last one is repeated.
PAUSES_S = (0.05, 0.1, 0.25, 0.5, 1.0)


class Watcher:
    """Iterates over `LinkEvent`s until `stop()`; made by `watch_forever`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._subscription: Subscription[types.WatchEvent] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the iteration immediately. May be called from any thread and more than once."""
        self._stopped.set()
        with self._lock:
            subscription = self._subscription
        if subscription is not None:
            subscription.close()

    def __iter__(self) -> Iterator[LinkEvent]:
        attempt = 0
        told: tuple[type[NexoError] | None, str] | None = None
        while not self._stopped.is_set():
            error: NexoError | None = None
            try:
                subscription = self._subscribe()
                for event in subscription:
                    attempt, told = 0, None
                    if event.ended:
                        break
                    yield LinkEvent(Link.CONNECTED, event)
            except NexoError as caught:
                error = caught
            finally:
                self._unsubscribe()
            if self._stopped.is_set():
                return
            reason = (type(error) if error else None, str(error or ""))
            # Repeated attempts with the same error are reported once.
            if reason != told:
                told = reason
                yield LinkEvent(Link.AWAY, error=error)
            if self._client.is_closed:
                return
            self._stopped.wait(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1

    def _subscribe(self) -> Subscription[types.WatchEvent]:
        subscription = self._client.watch()
        with self._lock:
            self._subscription = subscription
        if self._stopped.is_set():
            subscription.close()
        return subscription

    def _unsubscribe(self) -> None:
        with self._lock:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


def watch_forever(client: Client) -> Watcher:
    """An iterable of `LinkEvent`: snapshots and events, and AWAY while there is no subscription.

    The iteration blocks its thread, and ends with `stop` or when the client is closed. It yields errors as
    events instead of raising them. `connect()` raises if no daemon is running, so a program that may start
    before the daemon creates its client with `Client()`.
    """
    return Watcher(client)
