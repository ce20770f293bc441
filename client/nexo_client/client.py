"""The client for programs without an event loop: `connect()` and `Client`.

What a call sends and returns is described in `calls`; here is how it is sent, retried and given up.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import grpc

from nexo.connections.v1.workspace_pb2 import ClientInfo
from nexo_client import calls, channel, failures, fork, paths, types
from nexo_client.calls import Call, OnLayer, Stream, TestStream
from nexo_client.errors import DaemonFailed, DaemonNotRunning
from nexo_client.terms import Outcome
from nexo_client.workspace import WorkspaceLike

if TYPE_CHECKING:
    from nexo_client.follow import LiveConnection

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 10.0


def connect(
    socket: str | os.PathLike[str] | None = None, *, start: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Client:
    """A client of the daemon of this user.

    Args:
        socket: path of the socket; None for NEXO_SOCKET or the place that the platform calls for.
        start: start the daemon if it does not run (needs the `daemon` extra).
        timeout_s: deadline of every call, and of the start.

    Raises:
        DaemonNotRunning: nobody listens (and `start` is false, or the start failed).
        DaemonUnsafe: the socket or its directory is not private to this user.
        InvalidField: the path of the socket is too long.
    """
    path = paths.socket_path(socket)
    try:
        channel.probe(path)
    except DaemonNotRunning:
        if not start:
            raise
        from nexo_client.launch import start_daemon

        start_daemon(path, timeout_s=timeout_s)
    return Client(path, timeout_s=timeout_s)


class _Line:
    """The channel of one process; made when first used."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.insecure_channel(channel.target(socket), options=channel.OPTIONS)
        self.info = calls.client_info()
        self._methods: dict[str, Callable[..., Any]] = {}

    def method(self, call: Call[Any]) -> Callable[..., Any]:
        found = self._methods.get(call.path)
        if found is None:
            found = self._methods[call.path] = self.channel.unary_unary(
                call.path,
                request_serializer=type(call.request).SerializeToString,
                response_deserializer=call.response.FromString,
            )
        return found


def closed() -> DaemonFailed:
    """The error of a client that is used after `close()`."""
    return DaemonFailed("this client is closed", hint="call nexo_client.connect() again")


class Subscription(Generic[T]):
    """An iterator over what the daemon sends; a context manager. The iteration ends when either side ends it.

    `close()` may be called from any thread. Iterating raises as a call does when the daemon goes away.
    """

    def __init__(self, stream: Stream[T], opened: Any, socket: Path) -> None:
        self._stream = stream
        self._opened = opened
        self._socket = socket
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return self._stream.convert(next(self._opened))
        except grpc.RpcError as failure:
            if self._closed:
                raise StopIteration from None
            raise failures.translate(failure, self._socket, self._stream.name) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription. May be called twice."""
        self._closed = True
        self._opened.cancel()


class Client:
    """Talks to the daemon; thread-safe, and usable in a forked child (which gets a channel of its own).

    Every method raises `DaemonNotRunning`, `DeadlineExceeded`, `IncompatibleDaemon` or `DaemonFailed` beside
    what its text names. A context manager; `close()` frees the socket.
    """

    def __init__(self, socket: Path, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._followers: weakref.WeakSet[LiveConnection] = weakref.WeakSet()
        fork.register(self)

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self._socket

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._socket)!r})"

    def close(self) -> None:
        """Closes the channel and whatever follows through this client. May be called twice."""
        with self._lock:
            self._closed = True
            line, self._line = self._line, None
        if line is not None:
            line.channel.close()
        for live in tuple(self._followers):
            live.close()

    def drop_after_fork(self) -> list[Any]:
        """For `nexo_client.fork`."""
        line, self._line = self._line, None
        self._lock = threading.Lock()
        return [line]

    def _connected(self) -> _Line:
        line = self._line
        if line is not None:
            return line
        with self._lock:
            if self._closed:
                raise closed()
            if self._line is None:
                channel.check(self._socket)
                self._line = _Line(self._socket)
            return self._line

    def _info(self) -> ClientInfo:
        return self._connected().info

    def _run(self, call: Call[T]) -> T:
        method = self._connected().method(call)
        deadline = self._timeout_s + call.longer_s
        if not call.reads:
            # What changes something must not be sent twice, so it waits for a channel that is reconnecting.
            channel.probe(self._socket)
        try:
            return call.convert(method(call.request, timeout=deadline, wait_for_ready=not call.reads))
        except grpc.RpcError as failure:
            error = failures.unless_repeatable(failure, self._socket, call)
        except ValueError:
            # What grpc says of a channel that another thread has closed.
            raise closed() from None
        if error is not None:
            raise error
        try:
            # Somebody listens again, and what only reads may be asked twice.
            return call.convert(method(call.request, timeout=deadline, wait_for_ready=True))
        except grpc.RpcError as failure:
            raise failures.translate(failure, self._socket, call.name) from None

    def run(self, call: Call[T]) -> T:
        """Sends a call that another module of the SDK describes, such as `nexo_client.administration`."""
        return self._run(call)

    def _stream(self, stream: Stream[T]) -> Subscription[T]:
        line = self._connected()
        channel.probe(self._socket)
        try:
            opened = line.channel.unary_stream(
                stream.path,
                request_serializer=type(stream.request).SerializeToString,
                response_deserializer=stream.response.FromString,
            )(stream.request, timeout=stream.limit_s, wait_for_ready=True)
        except ValueError:
            raise closed() from None
        return Subscription(stream, opened, self._socket)

    def _test(self, stream: TestStream, on_layer: OnLayer | None) -> types.TestResult:
        with self._stream(stream) as events:
            for event in events:
                if isinstance(event, types.TestResult):
                    return event
                if event is not None and on_layer is not None:
                    on_layer(event)
        raise DaemonFailed("the test ended without a result", hint="its log says more: nexoctl daemon logs")

    # Connections

    def list_connections(self) -> tuple[types.Connection, ...]:
        """All connections, in the order in which they were created."""
        return self._run(calls.list_connections())

    def get_connection(self, name: str) -> types.Connection:
        """One connection; upper and lower case do not matter.

        Raises:
            ConnectionNotFound
        """
        return self._run(calls.get_connection(name))

    def create_connection(
        self, draft: types.ConnectionDraft, *, make_default: bool = False, fixes: Sequence[str] = ()
    ) -> types.SavedConnection:
        """Saves a new connection; the first one becomes the default. Nothing is tested.

        Args:
            fixes: what a test suggested and the person accepted (`Suggestion.fix`).

        Raises:
            InvalidField, NameTaken, LimitReached, StoreReadOnly, StoreFull, VaultLocked
        """
        return self._run(calls.create_connection(draft, make_default, fixes))

    def update_connection(
        self,
        name: str,
        changes: types.ConnectionDraft,
        *,
        revision: int = 0,
        keep_key_for_new_origin: bool = False,
        verify_key: bool = False,
        fixes: Sequence[str] = (),
    ) -> types.SavedConnection:
        """Changes the fields that are not None.

        Args:
            revision: the one that was read before; 0 overwrites whatever is there.
            keep_key_for_new_origin: consent to send the stored secrets to the new scheme, host or port.
            verify_key: test a new key first, and keep the old one if the provider rejects it.

        Raises:
            ConnectionNotFound, InvalidField, NameTaken, StaleRevision, KeyOriginChanged, KeyRejected,
            StoreReadOnly, StoreFull, VaultLocked
        """
        return self._run(
            calls.update_connection(name, changes, revision, keep_key_for_new_origin, verify_key, fixes)
        )

    def delete_connection(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Deletes; returns the new revision of the store.

        Args:
            replace_with: moves the default and the bindings to that connection in the same step.
            force: deletes although in use; its bindings stay and fail closed.

        Raises:
            ConnectionNotFound, ConnectionInUse, StaleRevision, StoreReadOnly
        """
        return self._run(calls.delete_connection(name, replace_with, force, revision))

    def test_connection(
        self,
        name: str,
        changes: types.ConnectionDraft | None = None,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        on_layer: OnLayer | None = None,
        keep_key_for_new_origin: bool = False,
        fixes: Sequence[str] = (),
    ) -> types.TestResult:
        """Tests a saved connection, or an edit of it before it is saved.

        A connection that does not work is a result, not an exception.

        Args:
            changes: the edit; the stored secrets stand in for what it leaves out.
            completion: make one minimal request that the provider bills.
            on_layer: called with each layer as it finishes, on the calling thread.

        Raises:
            ConnectionNotFound, InvalidField, KeyOriginChanged, VaultLocked, KeyReferenceFailed
        """
        return self._test(
            calls.test_connection(
                name, changes, completion, model, timeout_s, keep_key_for_new_origin, fixes
            ),
            on_layer,
        )

    def test_draft(
        self,
        draft: types.ConnectionDraft,
        *,
        completion: bool = False,
        model: str = "",
        timeout_s: float = 30.0,
        on_layer: OnLayer | None = None,
        fixes: Sequence[str] = (),
    ) -> types.TestResult:
        """Tests a draft that is not saved; see `test_connection`.

        Raises:
            InvalidField, KeyReferenceFailed
        """
        return self._test(calls.test_draft(draft, completion, model, timeout_s, fixes), on_layer)

    def get_default(self) -> types.Connection | None:
        """The default connection; None if there is none."""
        return self._run(calls.get_default())

    def set_default(self, name: str, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Switches the default, also to an unhealthy connection (`.warning` says what is wrong with it).

        Args:
            wait_s: wait at most so long until every live follower has applied it.

        Raises:
            ConnectionNotFound, ConnectionDisabled, StoreReadOnly, StoreFull
        """
        return self._run(calls.set_default(name, wait_s))

    def undo_default(self, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Back to the default before the last switch.

        Raises:
            NothingToUndo
        """
        return self._run(calls.set_default(None, wait_s))

    def list_models(self, name: str, *, timeout_s: float = 15.0) -> types.ModelList:
        """Asks the provider for its models, without using tokens.

        Raises:
            ConnectionNotFound, ProviderFailed, VaultLocked
        """
        return self._run(calls.list_models(name, timeout_s))

    def list_providers(self) -> tuple[types.ProviderInfo, ...]:
        """The five providers, then the presets."""
        return self._run(calls.list_providers())

    # Workspaces

    def resolve(
        self, connection: str | None = None, *, workspace: WorkspaceLike = None
    ) -> types.ResolvedConnection:
        """The connection that this program gets, secrets included; the daemon records the hand-out.

        The named connection wins over NEXO_CONNECTION, that over the binding of the workspace, that over
        the default. A rule that names what is gone or disabled fails; none falls through to the next.

        Args:
            workspace: a directory (`Path`, or a string that is "." or "..", starts with "~" or holds a
                separator), or the name of a workspace (any other string).

        Raises:
            NoDefaultConnection, ConnectionNotFound, ConnectionDisabled, BindingBroken, VaultLocked,
            KeyReferenceFailed, InvalidField
        """
        return self._run(calls.resolve(connection, workspace, self._info()))

    def follow(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        on_stale: types.OnStale = types.OnStale.KEEP,
    ) -> LiveConnection:
        """The connection that this program gets, kept true: a switch reaches it while it runs.

        Waits for the first answer. That there is no connection to use now is no error here but of
        `LiveConnection.current`, and may change. The arguments are those of `resolve`.

        Args:
            on_stale: what `current` does while the daemon is away.

        Raises:
            InvalidField
        """
        live = self._follow(connection, workspace, on_stale)
        try:
            live.wait_ready(self._timeout_s)
        except BaseException:
            live.close()
            raise
        return live

    def _follow(
        self, connection: str | None, workspace: WorkspaceLike, on_stale: types.OnStale
    ) -> LiveConnection:
        if self._closed:
            raise closed()
        from nexo_client import follow_stream

        inquiry = calls.inquiry(connection, workspace)
        live = follow_stream.follow(self._socket, inquiry, on_stale, self._timeout_s)
        self._followers.add(live)
        return live

    def bind(
        self, workspace: WorkspaceLike, connection: str, *, allow_fallback: bool = False
    ) -> types.WorkspaceBinding:
        """Gives a workspace its own connection; directories below it inherit it.

        Raises:
            ConnectionNotFound, InvalidField, StoreReadOnly
        """
        return self._run(calls.bind(workspace, connection, allow_fallback))

    def unbind(self, workspace: WorkspaceLike) -> int:
        """Lets a workspace follow the default again; returns the new revision.

        Raises:
            WorkspaceNotFound
        """
        return self._run(calls.unbind(workspace))

    def list_workspaces(self) -> tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]:
        """The bindings, and the programs that follow right now."""
        return self._run(calls.list_workspaces())

    def explain(self, connection: str | None = None, *, workspace: WorkspaceLike = None) -> types.Explanation:
        """Which connection `resolve` would give and why, without handing out a secret."""
        return self._run(calls.explain(connection, workspace))

    def report_outcome(
        self,
        connection: types.ResolvedConnection | types.Connection | str,
        outcome: Outcome,
        *,
        http_status: int = 0,
    ) -> None:
        """Tells the daemon what this program saw; a hint that makes it check sooner, never a verdict.

        Args:
            connection: a hand-out, or the id of a connection.
        """
        connection_id = (
            connection
            if isinstance(connection, str)
            else connection.id
            if isinstance(connection, types.Connection)
            else connection.connection_id
        )
        self._run(calls.report_outcome(connection_id, outcome, http_status, self._info()))

    def get_fallback(self) -> tuple[str, ...]:
        """The names of the connections that stand in for an unhealthy winner, in order."""
        return self._run(calls.get_fallback())

    def set_fallback(self, names: Sequence[str]) -> tuple[str, ...]:
        """Sets the stand-ins; an empty list switches them off.

        Raises:
            ConnectionNotFound
        """
        return self._run(calls.set_fallback(names))

    # Health

    def health(self, names: Sequence[str] = ()) -> tuple[types.ConnectionHealth, ...]:
        """The lights as last observed; of all connections if none is named.

        Raises:
            ConnectionNotFound
        """
        return self._run(calls.health(names))

    def history(self, name: str, window_s: float = 86400.0) -> types.HealthHistory:
        """Transitions and samples of the last `window_s` seconds.

        Raises:
            ConnectionNotFound
        """
        return self._run(calls.history(name, window_s))

    def check_now(
        self, names: Sequence[str] = (), *, timeout_s: float = 60.0
    ) -> tuple[types.ConnectionHealth, ...]:
        """Checks at once; all enabled connections if none is named.

        Raises:
            ConnectionNotFound, RetryLater
        """
        return self._run(calls.check_now(names, timeout_s))

    def health_settings(self) -> types.HealthSettings:
        """How often connections are checked."""
        return self._run(calls.health_settings())

    def update_health_settings(
        self,
        *,
        important_interval_s: float | None = None,
        other_interval_s: float | None = None,
        paused: bool | None = None,
    ) -> types.HealthSettings:
        """Changes what is not None.

        Raises:
            InvalidField
        """
        return self._run(calls.update_health_settings(important_interval_s, other_interval_s, paused))

    # The daemon

    def status(self) -> types.Status:
        """The daemon and its store."""
        return self._run(calls.status())

    def watch(self) -> Subscription[types.WatchEvent]:
        """A snapshot, then what changes, until the daemon ends it (`ended` of the last event).

        Closing the subscription, from any thread, ends the iteration. `nexo_client.watch.watch_forever`
        subscribes again by itself.
        """
        return self._stream(calls.watch(self._info()))

    def shutdown(self) -> int:
        """Stops the daemon; returns the pid of the process that is stopping."""
        return self._run(calls.shutdown())

    def handouts(self, name: str = "", limit: int = 100) -> tuple[types.Handout, ...]:
        """The record of secrets that left the daemon, newest first.

        Raises:
            ConnectionNotFound
        """
        return self._run(calls.handouts(name, limit))
