"""How a running program keeps the right connection: `LiveConnection`, a value that a stream keeps true.

Reading `current` reads memory. One thread for each process and socket ("nexo-follow", see `follow_stream`)
sets it; a second one ("nexo-callbacks"), started with the first `on_change`, calls back.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nexo.connections.v1.workspace_pb2 import Inquiry
from nexo.connections.values import frozen
from nexo_client.errors import DaemonFailed, DaemonNotRunning, DeadlineExceeded, NexoError
from nexo_client.types import OnStale, ResolvedConnection

if TYPE_CHECKING:
    from nexo_client.follow_stream import FollowStream

log = logging.getLogger("nexo_client.follow")

OnChange = Callable[[ResolvedConnection | None], None]


@frozen
class _Nothing:
    """In the place of a connection: why there is none."""

    error: NexoError


@frozen
class _Inherited:
    """In the place of a connection in a forked child: nobody keeps it true until it is read."""


def _again(error: NexoError) -> NexoError:
    # An exception collects a traceback each time that it is raised, and belongs to one thread.
    return type(error)(error.message, hint=error.hint, metadata=error.metadata, action=error.action)


class LiveConnection:
    """The connection that this program gets, kept true through switches and restarts of the daemon.

    Thread-safe. In a forked child it follows again, on its own stream, when it is first read there.
    A context manager; `close()` ends it.
    """

    def __init__(self, stream: "FollowStream", number: int, inquiry: Inquiry, on_stale: OnStale) -> None:
        self.number = number
        self.inquiry = inquiry
        self._stream = stream
        self._on_stale = on_stale
        self._state: ResolvedConnection | _Nothing | _Inherited = _Nothing(
            DaemonFailed("nothing has been received yet", hint="try again")
        )
        # What the daemon said last, whatever has become of the daemon since.
        self._known: ResolvedConnection | _Nothing | None = None
        self._revision = 0
        self._away_since: datetime | None = None
        self._fresh_stream = True
        self._closed = False
        self._ready = threading.Event()
        self._wakers: list[Callable[[], None]] = []
        self._callbacks: list[OnChange] = []

    @property
    def current(self) -> ResolvedConnection:
        """The connection to use now; an immutable object, read from memory.

        Raises:
            NoDefaultConnection, ConnectionNotFound, ConnectionDisabled, BindingBroken, VaultLocked,
            KeyReferenceFailed: as `Client.resolve`, for as long as that is so.
            DaemonNotRunning: the daemon is away and this follower was made with `OnStale.RAISE`.
            DaemonFailed: closed.
        """
        state = self._state
        if type(state) is ResolvedConnection:
            return state
        return self._otherwise()

    @property
    def stale(self) -> bool:
        """Whether the daemon is away, so that a change may have gone unnoticed."""
        return self._away_since is not None

    @property
    def stale_since(self) -> datetime | None:
        """When the daemon went away; None while it is there."""
        return self._away_since

    @property
    def revision(self) -> int:
        """Revision of the store that this follower has applied; never goes back while one store is in use."""
        return self._revision

    @property
    def problem(self) -> NexoError | None:
        """Why there is nothing to use, as the daemon said last; None if there is a connection."""
        known = self._known
        return _again(known.error) if isinstance(known, _Nothing) else None

    def on_change(self, callback: OnChange) -> Callable[[], None]:
        """Calls back with the new connection, or None if there is none to use (see `problem`).

        Called on the thread "nexo-callbacks", one call at a time, after `current` gives the new one. Only
        what a program would notice counts: not a new health, not a new revision alone. Several quick
        changes may come as one. An exception of a callback is logged.

        Returns:
            A function that takes the callback off again.
        """
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def close(self) -> None:
        """Stops following; the last one of the process also ends the stream and its threads."""
        if self._closed:
            return
        self._closed = True
        self._state = _Nothing(DaemonFailed("this follower is closed", hint="call client.follow() again"))
        self._ready.set()
        self._wake()
        self._stream.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self._state
        what = repr(state.name) if isinstance(state, ResolvedConnection) else "nothing"
        return f"<LiveConnection {what} revision={self._revision}{' stale' if self.stale else ''}>"

    def _otherwise(self) -> ResolvedConnection:
        if isinstance(self._state, _Inherited):
            self._stream.revive()
            self.wait_ready(self._stream.timeout_s)
        state = self._state
        if isinstance(state, ResolvedConnection):
            return state
        if isinstance(state, _Nothing):
            raise _again(state.error)
        # Still inherited: the daemon did not answer the child.
        if self._on_stale is OnStale.RAISE or not isinstance(self._known, ResolvedConnection):
            raise _again(self._away_error(None))
        return self._known

    # -- called by the stream --------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float) -> None:
        """Waits until the daemon has said what this follower gets.

        Raises:
            DeadlineExceeded, DaemonNotRunning, IncompatibleDaemon
        """
        arrived = self._ready.wait(timeout_s)
        if self._known is None and not self._closed:
            if self._stream.problem is not None:
                raise _again(self._stream.problem)
            if not arrived:
                raise DeadlineExceeded(
                    "nexod did not say in time which connection this program gets",
                    hint="try again; if it stays so: nexoctl daemon restart",
                )

    def wake_with(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Calls `waker` on the stream's thread after each change; it must not block. Returns the undo."""
        self._wakers.append(waker)
        return lambda: self._wakers.remove(waker) if waker in self._wakers else None

    @property
    def usable(self) -> ResolvedConnection | None:
        """What `current` gives; None where it raises."""
        state = self._state
        return state if isinstance(state, ResolvedConnection) else None

    @property
    def is_ready(self) -> bool:
        """Whether the daemon has said what this follower gets."""
        return self._known is not None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def apply(self, state: ResolvedConnection | NexoError, revision: int) -> bool:
        """Takes what the daemon said; returns whether a program would notice."""
        if self._closed or (revision < self._revision and not self._fresh_stream):
            return False
        self._fresh_stream = False
        self._revision = revision
        before, self._known = self._state, state if isinstance(state, ResolvedConnection) else _Nothing(state)
        self._state = self._known
        self._away_since = None
        self._ready.set()
        if isinstance(before, ResolvedConnection) and isinstance(state, ResolvedConnection):
            # What a program does not notice is the same again.
            changed = replace(before, health=state.health, revision=state.revision) != state
        elif isinstance(before, _Nothing) and isinstance(state, NexoError):
            changed = (before.error.reason, before.error.message) != (state.reason, state.message)
        else:
            changed = True
        if changed:
            self._wake()
        return changed and bool(self._callbacks)

    def lose(self, error: NexoError | None) -> bool:
        """The daemon went away; returns whether a program would notice."""
        self._fresh_stream = True
        if self._closed or self._away_since is not None:
            return False
        self._away_since = datetime.now(UTC)
        if self._on_stale is not OnStale.RAISE:
            return False
        self._state = _Nothing(self._away_error(error))
        self._wake()
        return bool(self._callbacks)

    def give_up_waiting(self) -> None:
        """Wakes whoever waits for the first state: it will not come by waiting."""
        if self._known is None:
            self._ready.set()
            self._wake()

    def _away_error(self, error: NexoError | None) -> NexoError:
        since = f"{self._away_since:%H:%M:%S} UTC" if self._away_since else "now"
        why = f" ({error.message})" if error else ""
        return DaemonNotRunning(
            f"nexod has been away since {since}, so the connection may be out of date{why}",
            hint="start it with: nexoctl daemon start",
        )

    def _wake(self) -> None:
        for waker in tuple(self._wakers):
            waker()

    def call_back(self) -> None:
        """Runs the callbacks with the present state; on the callback thread."""
        if self._closed:
            return
        connection = self.usable
        for callback in tuple(self._callbacks):
            try:
                callback(connection)
            except Exception:
                log.exception("a callback of on_change failed; the others go on")

    def inherit(self) -> None:
        """In a forked child: what is known may be out of date, and nobody listens."""
        self._ready = threading.Event()
        self._fresh_stream = True
        if not self._closed:
            self._away_since = datetime.now(UTC)
            self._state = _Inherited()
