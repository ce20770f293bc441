"""Sends the calls of the synchronous client to the daemon: deadlines, retries, subscriptions, closing.

`client` defines the calls. `aio_base_client` is the same on asyncio.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

import grpc
from google.protobuf.message import Message

from nexo.connections.v1.workspace_pb2 import ClientInfo
from nexo_client import calls, channel, failures, fork, types
from nexo_client.arguments import checked
from nexo_client.calls import Method, OnLayer
from nexo_client.errors import DaemonFailed, DaemonNotRunning, NexoError
from nexo_client.workspace import WorkspaceLike

if TYPE_CHECKING:
    from nexo_client.follow import LiveConnection

T = TypeVar("T")
Read = Callable[[Any], T]
L = TypeVar("L", bound="BaseClient")

DEFAULT_TIMEOUT_S = 10.0

LOOK_AGAIN_S = 0.2
"""Interval at which a client that waits for the channel checks whether anybody listens on the socket."""


def found(socket: str | os.PathLike[str] | None, start: bool, timeout_s: float) -> Path:
    """The socket of a running daemon, which is started if `start`; see `nexo_client.connect`."""
    calls.positive(timeout_s)
    path = channel.locate(socket)
    try:
        channel.probe(path)
    except DaemonNotRunning:
        if not start:
            raise
        from nexo_client.launch import start_daemon

        start_daemon(path, timeout_s=timeout_s)
        return channel.locate(socket)
    return path


def opened(kind: type[L], socket: str | os.PathLike[str] | None, start: bool, timeout_s: float) -> L:
    """A client of class `kind`; see `nexo_client.connect`."""
    return kind(found(socket, start, timeout_s), timeout_s=timeout_s)


class Wire:
    """The channel of one process, and its gRPC methods, created when they are first used."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.info = calls.client_info()
        self._sends: dict[str, Callable[..., Any]] = {}

    def unary(self, method: Method) -> Callable[..., Any]:
        """The function that sends a request and returns the response; to be awaited on an asyncio channel."""
        found = self._sends.get(method.path)
        if found is None:
            found = self._sends[method.path] = calls.sender(method, self.channel.unary_unary)
        return found

    def stream(self, method: Method, request: Message, limit_s: float | None) -> Any:
        """The responses to a request; an asynchronous iterator on an asyncio channel."""
        send = calls.sender(method, self.channel.unary_stream)
        return send(request, timeout=limit_s, wait_for_ready=True)


def closed() -> DaemonFailed:
    """The error for a call of a client after or during `close()`."""
    return DaemonFailed("this client is closed", hint="connect again")


class Subscription(Generic[T]):
    """An iterator over the messages of a stream; a context manager. It ends when either side ends the stream.

    `close()` may be called from any thread. Iterating raises the errors of a call. Threads that iterate over
    the same one share its messages.
    """

    def __init__(self, opened: Any, read: Read[T | None], name: str, client: BaseClient) -> None:
        self._read = read
        self._name = name
        self._opened = opened
        self._client = client
        self._closed = False
        # gRPC fails if two threads ask for the next message.
        self._turn = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            with self._turn:
                while (value := self._read(next(self._opened))) is None:
                    pass
            return value
        except grpc.RpcError as failure:
            if self._closed:
                raise StopIteration from None
            raise self._client.error_of(failure, self._name) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription; may be called more than once."""
        self._closed = True
        self._opened.cancel()


class BaseClient:
    """The base class of clients. Connects on first use, and again in a forked child. A context manager."""

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
        self._lock = threading.Lock()
        self._closed = False
        self._followers: weakref.WeakSet[LiveConnection] = weakref.WeakSet()
        fork.register(self)

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self._socket

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._socket)!r})"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled or copied; make one in each process")

    def close(self) -> None:
        """Closes the channel and the live connections of this client; may be called more than once.

        Calls and subscriptions in progress raise `DaemonFailed`.
        """
        with self._lock:
            self._closed = True
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.channel.close()
        for live in tuple(self._followers):
            live.close()

    def drop_after_fork(self) -> list[Any]:
        """See `fork.Droppable`."""
        wire, self._wire = self._wire, None
        self._lock = threading.Lock()
        return [wire]

    def _connected(self) -> Wire:
        wire = self._wire
        if wire is not None:
            return wire
        with self._lock:
            if self._closed:
                raise closed()
            if self._wire is None:
                channel.check(self._socket)
                self._wire = Wire(
                    grpc.insecure_channel(channel.target(self._socket), options=channel.OPTIONS)
                )
            return self._wire

    def _info(self) -> ClientInfo:
        return self._connected().info

    def error_of(self, failure: failures.Failed, method: str) -> NexoError:
        """The error to raise for a failed call."""
        return closed() if self._closed else failures.translate(failure, self._socket, method)

    def ask(self, request: Message, read: Read[T], *, longer_s: float = 0.0) -> T:
        """Sends a call and reads the response. For the methods of the clients.

        Args:
            read: converts the response.
            longer_s: seconds added to the client's own deadline.
        """
        wire = self._connected()
        method = calls.method(request)
        send = wire.unary(method)
        deadline = self._timeout_s + max(longer_s, 0.0)
        if not method.repeatable:
            # A call that may not be repeated waits for a channel that is reconnecting.
            channel.probe(self._socket)
        try:
            return read(send(request, timeout=deadline, wait_for_ready=not method.repeatable))
        except grpc.RpcError as failure:
            if self._closed or not method.repeatable or not failures.may_be_repeated(failure, self._socket):
                raise self.error_of(failure, method.name) from None
        except ValueError:
            # grpc raises this if another thread has closed the channel.
            raise closed() from None
        self._wait_until_connected(wire, method)
        try:
            return read(send(request, timeout=deadline))
        except grpc.RpcError as failure:
            raise self.error_of(failure, method.name) from None
        except ValueError:
            raise closed() from None

    def _wait_until_connected(self, wire: Wire, method: Method) -> None:
        """Waits until the channel is connected.

        A call with `wait_for_ready` would wait until its deadline even if nobody listens any more.
        """
        give_up = time.monotonic() + self._timeout_s
        connected = grpc.channel_ready_future(wire.channel)
        try:
            while not self._closed:
                try:
                    connected.result(timeout=LOOK_AGAIN_S)
                except grpc.FutureTimeoutError:
                    channel.probe(self._socket)
                    if time.monotonic() > give_up:
                        raise failures.no_answer(self._socket, method.name) from None
                else:
                    return
            raise closed()
        finally:
            connected.cancel()

    def _subscribe(
        self, request: Message, read: Read[T | None], limit_s: float | None = None
    ) -> Subscription[T]:
        """Opens a stream.

        Args:
            read: converts a response; None for one that this version does not know.
            limit_s: the deadline in seconds; None: the stream is open until one side ends it.
        """
        wire, method = self._connected(), calls.method(request)
        channel.probe(self._socket)
        failures.require_thread()
        try:
            return Subscription(wire.stream(method, request, limit_s), read, method.name, self)
        except ValueError:
            raise closed() from None

    def _test(
        self, test: Subscription[types.LayerResult | types.TestResult], on_layer: OnLayer | None
    ) -> types.TestResult:
        with test as events:
            for event in events:
                if isinstance(event, types.TestResult):
                    return event
                if on_layer is not None:
                    on_layer(event)
        raise DaemonFailed("the test ended without a result", hint="its log says more: nexoctl daemon logs")

    def _follow(
        self, connection: str | None, workspace: WorkspaceLike, on_stale: types.OnStale
    ) -> LiveConnection:
        if self._closed:
            raise closed()
        from nexo_client import follow_stream

        inquiry = calls.inquiry(connection, workspace)
        live = follow_stream.follow(self._socket, inquiry, on_stale, self._timeout_s)
        self._followers.add(live)
        try:
            live.wait_ready(self._timeout_s)
        except BaseException:
            live.close()
            raise
        return live
