"""Sends the calls of the asyncio client to the daemon; the same as `client` on asyncio."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from nexo.connections.v1.workspace_pb2 import ClientInfo
from nexo_client import calls, channel, failures, fork, types
from nexo_client.arguments import checked
from nexo_client.base_client import DEFAULT_TIMEOUT_S as DEFAULT_TIMEOUT_S
from nexo_client.base_client import LOOK_AGAIN_S, Read, Wire, closed, found
from nexo_client.calls import Method, OnLayer
from nexo_client.errors import DaemonFailed, NexoError
from nexo_client.workspace import WorkspaceLike

if TYPE_CHECKING:
    from nexo_client.aio_follow import AsyncLiveConnection, Following

T = TypeVar("T")
L = TypeVar("L", bound="AsyncBaseClient")


class Connecting(Generic[L]):
    """The result of `connect`: awaitable, and an asynchronous context manager."""

    def __init__(
        self, kind: type[L], socket: str | os.PathLike[str] | None, start: bool, timeout_s: float
    ) -> None:
        self._kind = kind
        self._socket = socket
        self._start = start
        self._timeout_s = timeout_s
        self._client: L | None = None

    async def _open(self) -> L:
        given = (self._socket, self._start, self._timeout_s)
        path = await asyncio.to_thread(found, *given) if self._start else found(*given)
        return self._kind(path, timeout_s=self._timeout_s)

    def __await__(self) -> Generator[Any, None, L]:
        return self._open().__await__()

    async def __aenter__(self) -> L:
        self._client = await self._open()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()


def opened(
    kind: type[L], socket: str | os.PathLike[str] | None, start: bool, timeout_s: float
) -> Connecting[L]:
    """A client of class `kind`; see `nexo_client.aio.connect`."""
    return Connecting(kind, socket, start, timeout_s)


def _is_cancelled() -> bool:
    """Whether the current task was cancelled, and not only its call because the client was closed."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class AsyncSubscription(Generic[T]):
    """An asynchronous iterator over the messages of a stream; it ends when either side ends the stream.

    Tasks that iterate over the same one share its messages. Cancelling a task that waits for a message, or a
    time-out around it, ends the stream.
    """

    def __init__(self, opened: Any, read: Read[T | None], name: str, client: AsyncBaseClient) -> None:
        self._read = read
        self._name = name
        self._opened = opened
        self._responses: AsyncIterator[Any] = aiter(opened)
        self._client = client
        self._closed = False
        self._turn = asyncio.Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            async with self._turn:
                while (value := self._read(await anext(self._responses))) is None:
                    pass
                return value
        except grpc.RpcError as failure:
            if self._closed:
                raise StopAsyncIteration from None
            raise self._client.error_of(failure, self._name) from None
        except asyncio.CancelledError:
            # grpc also raises this for a call that the subscription or the client has cancelled.
            if _is_cancelled() or not (self._closed or self._client.is_closed):
                raise
            if self._closed:
                raise StopAsyncIteration from None
            raise closed() from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription; may be called more than once."""
        self._closed = True
        self._opened.cancel()

    def break_off(self) -> None:
        """Ends the stream because the client was closed; whoever waits for a message gets an error."""
        self._opened.cancel()

    def __del__(self) -> None:
        # Otherwise the stream of a loop that was left with `break` stays open until the client is closed. The
        # event loop may be closed already.
        with suppress(Exception):
            self._opened.cancel()


class AsyncBaseClient:
    """The base class of asyncio clients. Connects on first use. An asynchronous context manager."""

    @checked
    def __init__(
        self, socket: str | os.PathLike[str] | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """A client that connects when it is first used; `connect` also checks that the daemon runs.

        Args:
            socket, timeout_s: as for `connect`.

        Raises:
            DaemonUnsafe, InvalidField: as for `connect`.
        """
        self._socket = channel.locate(socket)
        self._timeout_s = calls.positive(timeout_s)
        self._wire: Wire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._followers: weakref.WeakSet[AsyncLiveConnection] = weakref.WeakSet()
        self._subscriptions: weakref.WeakSet[AsyncSubscription[Any]] = weakref.WeakSet()
        fork.register(self)

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self._socket

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._socket)!r})"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled or copied; make one in each process")

    async def close(self) -> None:
        """Closes the channel and the live connections of this client; may be called more than once.

        Calls and subscriptions in progress raise `DaemonFailed`.
        """
        self._closed = True
        for live in tuple(self._followers):
            live.close()
        # grpc 1.71 cancels only the calls that it finds in the frames of tasks, and these are not among them.
        for subscription in tuple(self._subscriptions):
            subscription.break_off()
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.channel.close()

    def drop_after_fork(self) -> list[Any]:
        """See `fork.Droppable`."""
        wire, self._wire = self._wire, None
        return [wire]

    def _connected(self) -> Wire:
        if self._closed:
            raise closed()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._wire is not None and self._loop is not None and not self._loop.is_closed():
                raise DaemonFailed(
                    "this client belongs to another event loop",
                    hint="call nexo_client.aio.connect() in each event loop",
                )
            # The channel of a loop that has ended cannot be used any more, nor closed.
            self._wire, self._loop = None, loop
        if self._wire is None:
            channel.check(self._socket)
            self._wire = Wire(
                grpc.aio.insecure_channel(channel.target(self._socket), options=channel.OPTIONS)
            )
        return self._wire

    def _info(self) -> ClientInfo:
        return self._connected().info

    def error_of(self, failure: failures.Failed, method: str) -> NexoError:
        """The error to raise for a failed call."""
        return closed() if self._closed else failures.translate(failure, self._socket, method)

    async def ask(self, request: Message, read: Read[T], *, longer_s: float = 0.0) -> T:
        """See `BaseClient.ask`."""
        try:
            return await self._ask(request, read, longer_s)
        except asyncio.CancelledError:
            # grpc also raises this if another task has closed the channel.
            if _is_cancelled() or not self._closed:
                raise
            raise closed() from None

    async def _ask(self, request: Message, read: Read[T], longer_s: float) -> T:
        wire = self._connected()
        method = calls.method(request)
        send = wire.unary(method)
        deadline = self._timeout_s + max(longer_s, 0.0)
        if not method.repeatable:
            # A call that may not be repeated waits for a channel that is reconnecting.
            channel.probe(self._socket)
        try:
            return read(await send(request, timeout=deadline, wait_for_ready=not method.repeatable))
        except grpc.RpcError as failure:
            if self._closed or not method.repeatable or not failures.may_be_repeated(failure, self._socket):
                raise self.error_of(failure, method.name) from None
        except grpc.aio.UsageError:
            raise closed() from None
        await self._wait_until_connected(wire, method)
        try:
            return read(await send(request, timeout=deadline))
        except grpc.RpcError as failure:
            raise self.error_of(failure, method.name) from None
        except grpc.aio.UsageError:
            raise closed() from None

    async def _wait_until_connected(self, wire: Wire, method: Method) -> None:
        """See `BaseClient._wait_until_connected`."""
        give_up = time.monotonic() + self._timeout_s
        while True:
            try:
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await wire.channel.channel_ready()
            except TimeoutError:
                channel.probe(self._socket)
                if time.monotonic() > give_up:
                    raise failures.no_answer(self._socket, method.name) from None
            except grpc.aio.UsageError:
                raise closed() from None
            else:
                return

    def _subscribe(
        self, request: Message, read: Read[T | None], limit_s: float | None = None
    ) -> AsyncSubscription[T]:
        """See `BaseClient._subscribe`."""
        wire, method = self._connected(), calls.method(request)
        channel.probe(self._socket)
        subscription = AsyncSubscription(wire.stream(method, request, limit_s), read, method.name, self)
        self._subscriptions.add(subscription)
        return subscription

    async def _test(
        self, test: AsyncSubscription[types.LayerResult | types.TestResult], on_layer: OnLayer | None
    ) -> types.TestResult:
        async with test as events:
            async for event in events:
                if isinstance(event, types.TestResult):
                    return event
                if on_layer is not None:
                    on_layer(event)
        raise DaemonFailed("the test ended without a result", hint="its log says more: nexoctl daemon logs")

    def _follow(self, connection: str | None, workspace: WorkspaceLike, on_stale: types.OnStale) -> Following:
        if self._closed:
            raise closed()
        from nexo_client.aio_follow import Following

        return Following(
            self._socket,
            lambda: calls.inquiry(connection, workspace),
            on_stale,
            self._timeout_s,
            self._followers.add,
        )
