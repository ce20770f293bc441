"""`LiveConnection`: the connection of a running program, kept up to date by a stream from the daemon.

Reading `current` is a memory access. One thread for each process and socket ("nexo-follow", see
`follow_stream`) updates it. A second thread ("nexo-callbacks") runs the callbacks of `on_change`.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, Self

from nexo.connections.v1.workspace_pb2 import Inquiry
from nexo.connections.values import frozen
from nexo_client.arguments import checked
from nexo_client.errors import DaemonFailed, DaemonNotRunning, DeadlineExceeded, NexoError
from nexo_client.types import OnStale, ResolvedConnection

if TYPE_CHECKING:
    from nexo_client.follow_stream import FollowStream

log = logging.getLogger("nexo_client.follow")

OnChange = Callable[[ResolvedConnection | None], None]


@frozen
class _Unusable:
    """The state without a usable connection, and the reason."""

    error: NexoError


@frozen
class _AfterFork:
    """The state in a forked child: no thread updates the connection until it is read."""


def _fresh_copy(error: NexoError) -> NexoError:
    # A copy, because every raise adds to the traceback of an exception, and threads must not share it.
    return type(error)(error.message, hint=error.hint, metadata=error.metadata, action=error.action)


class LiveConnection:
    """The connection for this program, kept up to date through switches and restarts of the daemon.

    Thread-safe. In a forked child it opens its own stream when it is first read there. A context manager;
    `close()` stops following.
    """

    def __init__(self, stream: "FollowStream", number: int, inquiry: Inquiry, on_stale: OnStale) -> None:
        self.number = number
        self.inquiry = inquiry
        self._stream = stream
        self._on_stale = on_stale
        self._state: ResolvedConnection | _Unusable | _AfterFork = _Unusable(
            DaemonFailed("nothing has been received yet", hint="try again")
        )
        # The last answer of the daemon, even if the daemon cannot be reached any more.
        self._known: ResolvedConnection | _Unusable | None = None
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
            KeyReferenceFailed: as for `Client.resolve`, while the cause persists.
            DaemonNotRunning: the daemon cannot be reached, and `on_stale` is `OnStale.RAISE`.
            DaemonFailed: this object is closed.
        """
        state = self._state
        if type(state) is ResolvedConnection:
            return state
        return self._current_or_raise()

    @property
    def stale(self) -> bool:
        """Whether the daemon cannot be reached, so that the connection may be out of date."""
        return self._away_since is not None

    @property
    def stale_since(self) -> datetime | None:
        """The time when the daemon was lost; None while it is reachable."""
        return self._away_since

    @property
    def revision(self) -> int:
        """The revision of the store that was applied last; it never decreases for the same store."""
        return self._revision

    @property
    def problem(self) -> NexoError | None:
        """The daemon's last reason why there is no usable connection; None if there is one."""
        known = self._known
        return _fresh_copy(known.error) if isinstance(known, _Unusable) else None

    @checked
    def on_change(self, callback: OnChange) -> Callable[[], None]:
        """Registers a callback for a new connection; its argument is None if there is none (see `problem`).

        Callbacks run one after the other on the thread "nexo-callbacks", after `current` has changed. A
        change of only the health or the revision does not count. Several quick changes may be reported as
        one. Exceptions of callbacks are logged.

        Returns:
            A function that removes the callback.
        """
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def close(self) -> None:
        """Stops following. Closing the last one in the process also ends the stream and its threads."""
        if self._closed:
            return
        self._closed = True
        self._state = _Unusable(DaemonFailed("this follower is closed", hint="call client.follow() again"))
        self._ready.set()
        self._wake()
        self._stream.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self._state
        what = repr(state.name) if isinstance(state, ResolvedConnection) else "nothing"
        return f"<LiveConnection {what} revision={self._revision}{' stale' if self.stale else ''}>"

    def __reduce_ex__(self, _: object) -> NoReturn:
        # A copy would not be known to the stream, and never change.
        raise TypeError("a LiveConnection is not pickled or copied; follow in each process")

    def _current_or_raise(self) -> ResolvedConnection:
        if isinstance(self._state, _AfterFork):
            self._stream.revive()
            self.wait_ready(self._stream.timeout_s)
        state = self._state
        if isinstance(state, ResolvedConnection):
            return state
        if isinstance(state, _Unusable):
            raise _fresh_copy(state.error)
        # Still inherited, because the daemon did not answer the forked child.
        if self._on_stale is OnStale.RAISE or not isinstance(self._known, ResolvedConnection):
            raise _fresh_copy(self._away_error(None))
        return self._known

    # -- called by the stream --------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float) -> None:
        """Waits for the first answer of the daemon.

        Raises:
            DeadlineExceeded, DaemonNotRunning, IncompatibleDaemon
        """
        arrived = self._ready.wait(timeout_s)
        if self._known is None and not self._closed:
            if self._stream.problem is not None:
                raise _fresh_copy(self._stream.problem)
            if not arrived:
                raise DeadlineExceeded(
                    "nexod did not say in time which connection this program gets",
                    hint="try again; if that does not help: nexoctl daemon restart",
                )

    def wake_with(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Calls `waker` on the stream's thread after each change. It must not block. Returns the removal."""
        self._wakers.append(waker)
        return lambda: self._wakers.remove(waker) if waker in self._wakers else None

    @property
    def usable(self) -> ResolvedConnection | None:
        """As `current`, but None instead of an error."""
        state = self._state
        return state if isinstance(state, ResolvedConnection) else None

    @property
    def is_ready(self) -> bool:
        """Whether the first answer of the daemon has arrived."""
        return self._known is not None

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def apply(self, state: ResolvedConnection | NexoError, revision: int) -> bool:
        """Applies an answer of the daemon; returns whether callbacks have to run."""
        if self._closed or (revision < self._revision and not self._fresh_stream):
            return False
        self._fresh_stream = False
        self._revision = revision
        before, self._known = (
            self._state,
            state if isinstance(state, ResolvedConnection) else _Unusable(state),
        )
        self._state = self._known
        self._away_since = None
        self._ready.set()
        if isinstance(before, ResolvedConnection) and isinstance(state, ResolvedConnection):
            # A change of the health or the revision alone does not count.
            changed = replace(before, health=state.health, revision=state.revision) != state
        elif isinstance(before, _Unusable) and isinstance(state, NexoError):
            changed = (before.error.reason, before.error.message) != (state.reason, state.message)
        else:
            changed = True
        if changed:
            self._wake()
        return changed and bool(self._callbacks)

    def lose(self, error: NexoError | None) -> bool:
        """Notes that the daemon was lost; returns whether callbacks have to run."""
        self._fresh_stream = True
        if self._closed or self._away_since is not None:
            return False
        self._away_since = datetime.now(UTC)
        if self._on_stale is not OnStale.RAISE:
            return False
        self._state = _Unusable(self._away_error(error))
        self._wake()
        return bool(self._callbacks)

    def give_up_waiting(self) -> None:
        """Ends waiting for the first answer, because it will not come."""
        if self._known is None:
            self._ready.set()
            self._wake()

    def _away_error(self, error: NexoError | None) -> NexoError:
        since = f"{self._away_since:%H:%M:%S} UTC" if self._away_since else "now"
        why = f" ({error.message})" if error else ""
        return DaemonNotRunning(
            f"nexod has been unreachable since {since}, so the connection may be out of date{why}",
            hint="start it with: nexoctl daemon start",
        )

    def _wake(self) -> None:
        for waker in tuple(self._wakers):
            waker()

    def call_back(self) -> None:
        """Runs the callbacks with the current state; on the callback thread."""
        if self._closed:
            return
        connection = self.usable
        for callback in tuple(self._callbacks):
            try:
                callback(connection)
            except Exception:
                log.exception("a callback of on_change failed; the others go on")

    def inherit(self) -> None:
        """Called in a forked child: the connection may be out of date, and no stream is open."""
        self._ready = threading.Event()
        self._fresh_stream = True
        if not self._closed:
            self._away_since = datetime.now(UTC)
            self._state = _AfterFork()
