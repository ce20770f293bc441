"""The client for programs with an event loop; the same as `nexo_client.client` on asyncio.

    async with nexo_client.aio.connect() as client:
        conn = await client.resolve(workspace=".")

The channel belongs to the loop on which the client is first used.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
import grpc.aio

from nexo_client import calls, channel, failures, fork, paths, types
from nexo_client.aio_follow import AsyncLiveConnection, Following
from nexo_client.calls import Call, OnLayer, Stream, TestStream
from nexo_client.client import DEFAULT_TIMEOUT_S, closed
from nexo_client.errors import DaemonFailed, DaemonNotRunning
from nexo_client.terms import Outcome
from nexo_client.workspace import WorkspaceLike

__all__ = ["AsyncClient", "AsyncLiveConnection", "AsyncSubscription", "connect"]

T = TypeVar("T")


class _Connecting:
    """What `connect` returns: awaitable, and an asynchronous context manager."""

    def __init__(self, socket: Path, start: bool, timeout_s: float) -> None:
        self._socket = socket
        self._start = start
        self._timeout_s = timeout_s
        self._client: AsyncClient | None = None

    async def _open(self) -> AsyncClient:
        try:
            channel.probe(self._socket)
        except DaemonNotRunning:
            if not self._start:
                raise
            from nexo_client.launch import start_daemon

            await asyncio.to_thread(start_daemon, self._socket, timeout_s=self._timeout_s)
        return AsyncClient(self._socket, timeout_s=self._timeout_s)

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._open()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()


def connect(
    socket: str | os.PathLike[str] | None = None, *, start: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> _Connecting:
    """A client of the daemon of this user: `await connect()` or `async with connect() as client`.

    Args and Raises: as `nexo_client.connect`.
    """
    return _Connecting(paths.socket_path(socket), start, timeout_s)


class AsyncSubscription(Generic[T]):
    """An asynchronous iterator over what the daemon sends; ends when either side ends it."""

    def __init__(self, stream: Stream[T], opened: Any, socket: Path) -> None:
        self._stream = stream
        self._opened = opened
        self._responses: AsyncIterator[Any] = aiter(opened)
        self._socket = socket
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return self._stream.convert(await anext(self._responses))
        except grpc.RpcError as failure:
            if self._closed:
                raise StopAsyncIteration from None
            raise failures.translate(failure, self._socket, self._stream.name) from None
        except asyncio.CancelledError:
            # grpc says so of a call that was cancelled by close(), too.
            if self._closed:
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription. May be called twice."""
        self._closed = True
        self._opened.cancel()


class _Line:
    """The channel of one process; made when first used."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.aio.insecure_channel(channel.target(socket), options=channel.OPTIONS)
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


class AsyncClient:
    """Talks to the daemon on the loop of the caller; `nexo_client.Client` documents what it raises."""

    def __init__(self, socket: Path, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._closed = False
        self._followers: weakref.WeakSet[AsyncLiveConnection] = weakref.WeakSet()
        fork.register(self)

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self._socket

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._socket)!r})"

    async def close(self) -> None:
        """Closes the channel and whatever follows through this client. May be called twice."""
        self._closed = True
        for live in tuple(self._followers):
            live.close()
        line, self._line = self._line, None
        if line is not None:
            await line.channel.close()

    def drop_after_fork(self) -> list[Any]:
        """For `nexo_client.fork`."""
        line, self._line = self._line, None
        return [line]

    def _connected(self) -> _Line:
        if self._closed:
            raise closed()
        if self._line is None:
            channel.check(self._socket)
            self._line = _Line(self._socket)
        return self._line

    async def _run(self, call: Call[T]) -> T:
        method = self._connected().method(call)
        deadline = self._timeout_s + call.longer_s
        if not call.reads:
            # What changes something must not be sent twice, so it waits for a channel that is reconnecting.
            channel.probe(self._socket)
        try:
            return call.convert(await method(call.request, timeout=deadline, wait_for_ready=not call.reads))
        except grpc.RpcError as failure:
            error = failures.unless_repeatable(failure, self._socket, call)
        except grpc.aio.UsageError:
            raise closed() from None
        if error is not None:
            raise error
        try:
            # Somebody listens again, and what only reads may be asked twice.
            return call.convert(await method(call.request, timeout=deadline, wait_for_ready=True))
        except grpc.RpcError as failure:
            raise failures.translate(failure, self._socket, call.name) from None

    def _stream(self, stream: Stream[T]) -> AsyncSubscription[T]:
        line = self._connected()
        channel.probe(self._socket)
        opened = line.channel.unary_stream(
            stream.path,
            request_serializer=type(stream.request).SerializeToString,
            response_deserializer=stream.response.FromString,
        )(stream.request, timeout=stream.limit_s, wait_for_ready=True)
        return AsyncSubscription(stream, opened, self._socket)

    async def _test(self, stream: TestStream, on_layer: OnLayer | None) -> types.TestResult:
        async with self._stream(stream) as events:
            async for event in events:
                if isinstance(event, types.TestResult):
                    return event
                if event is not None and on_layer is not None:
                    on_layer(event)
        raise DaemonFailed("the test ended without a result", hint="its log says more: nexoctl daemon logs")

    # Connections

    async def list_connections(self) -> tuple[types.Connection, ...]:
        """All connections, in the order in which they were created."""
        return await self._run(calls.list_connections())

    async def get_connection(self, name: str) -> types.Connection:
        """One connection; upper and lower case do not matter.

        Raises:
            ConnectionNotFound
        """
        return await self._run(calls.get_connection(name))

    async def create_connection(
        self, draft: types.ConnectionDraft, *, make_default: bool = False, fixes: Sequence[str] = ()
    ) -> types.SavedConnection:
        """Saves a new connection; the first one becomes the default. Nothing is tested.

        Args:
            fixes: what a test suggested and the person accepted (`Suggestion.fix`).

        Raises:
            InvalidField, NameTaken, LimitReached, StoreReadOnly, StoreFull, VaultLocked
        """
        return await self._run(calls.create_connection(draft, make_default, fixes))

    async def update_connection(
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
        return await self._run(
            calls.update_connection(name, changes, revision, keep_key_for_new_origin, verify_key, fixes)
        )

    async def delete_connection(
        self, name: str, *, replace_with: str = "", force: bool = False, revision: int = 0
    ) -> int:
        """Deletes; returns the new revision of the store.

        Args:
            replace_with: moves the default and the bindings to that connection in the same step.
            force: deletes although in use; its bindings stay and fail closed.

        Raises:
            ConnectionNotFound, ConnectionInUse, StaleRevision, StoreReadOnly
        """
        return await self._run(calls.delete_connection(name, replace_with, force, revision))

    async def test_connection(
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
            on_layer: called with each layer as it finishes, on the loop.

        Raises:
            ConnectionNotFound, InvalidField, KeyOriginChanged, VaultLocked, KeyReferenceFailed
        """
        return await self._test(
            calls.test_connection(
                name, changes, completion, model, timeout_s, keep_key_for_new_origin, fixes
            ),
            on_layer,
        )

    async def test_draft(
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
        return await self._test(calls.test_draft(draft, completion, model, timeout_s, fixes), on_layer)

    async def get_default(self) -> types.Connection | None:
        """The default connection; None if there is none."""
        return await self._run(calls.get_default())

    async def set_default(self, name: str, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Switches the default, also to an unhealthy connection (`.warning` says what is wrong with it).

        Args:
            wait_s: wait at most so long until every live follower has applied it.

        Raises:
            ConnectionNotFound, ConnectionDisabled, StoreReadOnly, StoreFull
        """
        return await self._run(calls.set_default(name, wait_s))

    async def undo_default(self, *, wait_s: float | None = None) -> types.DefaultSwitch:
        """Back to the default before the last switch.

        Raises:
            NothingToUndo
        """
        return await self._run(calls.set_default(None, wait_s))

    async def list_models(self, name: str, *, timeout_s: float = 15.0) -> types.ModelList:
        """Asks the provider for its models, without using tokens.

        Raises:
            ConnectionNotFound, ProviderFailed, VaultLocked
        """
        return await self._run(calls.list_models(name, timeout_s))

    async def list_providers(self) -> tuple[types.ProviderInfo, ...]:
        """The five providers, then the presets."""
        return await self._run(calls.list_providers())

    # Workspaces

    async def resolve(
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
        return await self._run(calls.resolve(connection, workspace, self._connected().info))

    def follow(
        self,
        connection: str | None = None,
        *,
        workspace: WorkspaceLike = None,
        on_stale: types.OnStale = types.OnStale.KEEP,
    ) -> Following:
        """The connection that this program gets, kept true: `await client.follow()` or `async with`.

        See `Client.follow`.
        """
        if self._closed:
            raise closed()
        return Following(
            self._socket,
            lambda: calls.inquiry(connection, workspace),
            on_stale,
            self._timeout_s,
            self._followers.add,
        )

    async def bind(
        self, workspace: WorkspaceLike, connection: str, *, allow_fallback: bool = False
    ) -> types.WorkspaceBinding:
        """Gives a workspace its own connection; directories below it inherit it.

        Raises:
            ConnectionNotFound, InvalidField, StoreReadOnly
        """
        return await self._run(calls.bind(workspace, connection, allow_fallback))

    async def unbind(self, workspace: WorkspaceLike) -> int:
        """Lets a workspace follow the default again; returns the new revision.

        Raises:
            WorkspaceNotFound
        """
        return await self._run(calls.unbind(workspace))

    async def list_workspaces(self) -> tuple[tuple[types.WorkspaceBinding, ...], tuple[types.Follower, ...]]:
        """The bindings, and the programs that follow right now."""
        return await self._run(calls.list_workspaces())

    async def explain(
        self, connection: str | None = None, *, workspace: WorkspaceLike = None
    ) -> types.Explanation:
        """Which connection `resolve` would give and why, without handing out a secret."""
        return await self._run(calls.explain(connection, workspace))

    async def report_outcome(
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
        await self._run(calls.report_outcome(connection_id, outcome, http_status, self._connected().info))

    async def get_fallback(self) -> tuple[str, ...]:
        """The names of the connections that stand in for an unhealthy winner, in order."""
        return await self._run(calls.get_fallback())

    async def set_fallback(self, names: Sequence[str]) -> tuple[str, ...]:
        """Sets the stand-ins; an empty list switches them off.

        Raises:
            ConnectionNotFound
        """
        return await self._run(calls.set_fallback(names))

    # Health

    async def health(self, names: Sequence[str] = ()) -> tuple[types.ConnectionHealth, ...]:
        """The lights as last observed; of all connections if none is named.

        Raises:
            ConnectionNotFound
        """
        return await self._run(calls.health(names))

    async def history(self, name: str, window_s: float = 86400.0) -> types.HealthHistory:
        """Transitions and samples of the last `window_s` seconds.

        Raises:
            ConnectionNotFound
        """
        return await self._run(calls.history(name, window_s))

    async def check_now(
        self, names: Sequence[str] = (), *, timeout_s: float = 60.0
    ) -> tuple[types.ConnectionHealth, ...]:
        """Checks at once; all enabled connections if none is named.

        Raises:
            ConnectionNotFound, RetryLater
        """
        return await self._run(calls.check_now(names, timeout_s))

    async def health_settings(self) -> types.HealthSettings:
        """How often connections are checked."""
        return await self._run(calls.health_settings())

    async def update_health_settings(
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
        return await self._run(calls.update_health_settings(important_interval_s, other_interval_s, paused))

    # The daemon

    async def status(self) -> types.Status:
        """The daemon and its store."""
        return await self._run(calls.status())

    def watch(self) -> AsyncSubscription[types.WatchEvent]:
        """A snapshot, then what changes, until the daemon ends it (`ended` of the last event).

        Closing the subscription ends the iteration.
        """
        return self._stream(calls.watch(self._connected().info))

    async def shutdown(self) -> int:
        """Stops the daemon; returns the pid of the process that is stopping."""
        return await self._run(calls.shutdown())

    async def handouts(self, name: str = "", limit: int = 100) -> tuple[types.Handout, ...]:
        """The record of secrets that left the daemon, newest first.

        Raises:
            ConnectionNotFound
        """
        return await self._run(calls.handouts(name, limit))
