"""A failed call becomes the right exception, and no text of anybody else gets into it."""

import asyncio
import contextlib
import tempfile
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from nexo.connections import terms
from nexo.connections.terms import Reason
from nexo.connections.v1 import connection_pb2, daemon_pb2, error_pb2, workspace_pb2
from nexo_client import Client, aio, channel, errors, follow_stream
from nexo_client.failures import DETAILS_KEY, from_reason
from nexo_client.watch import Link, watch_forever
from surroundings import PATIENCE_S, wait_for

Handle = Callable[[Any, grpc.ServicerContext], Any]


@contextlib.contextmanager
def serving(handlers: dict[str, Handle]) -> Iterator[Path]:
    """A real gRPC server on a private socket; a method that is not among `handlers` is unimplemented."""

    class Methods(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            method = details.method.rpartition("/")[2]
            handle = handlers.get(method)
            if handle is None:
                return None
            if method == "FollowConnection":
                return grpc.stream_stream_rpc_method_handler(
                    handle,
                    workspace_pb2.FollowConnectionRequest.FromString,
                    workspace_pb2.FollowConnectionResponse.SerializeToString,
                )
            if method == "Watch":
                return grpc.unary_stream_rpc_method_handler(
                    handle, None, lambda message: message.SerializeToString()
                )
            return grpc.unary_unary_rpc_method_handler(
                handle, None, lambda message: message.SerializeToString()
            )

    with tempfile.TemporaryDirectory(prefix="nexo-") as directory:
        socket = Path(directory) / "s"
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((Methods(),))
        server.add_insecure_port(channel.target(socket))
        server.start()
        try:
            yield socket
        finally:
            server.stop(None).wait()


def refusing(code: grpc.StatusCode, reason: str, metadata: dict[str, str], domain: str) -> Handle:
    def handle(_: Any, context: grpc.ServicerContext) -> None:
        info = error_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
        status = error_pb2.ErrorStatus(code=code.value[0], message="the sentence of the daemon")
        detail = status.details.add()
        detail.type_url = "type.googleapis.com/google.rpc.ErrorInfo"
        detail.value = info.SerializeToString()
        context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
        context.abort(code, "the text of the transport")

    return handle


def test_every_reason_has_a_class_and_every_class_one_reason() -> None:
    assert set(errors.BY_REASON) == set(Reason) - {Reason.INTERNAL}
    for reason, kind in errors.BY_REASON.items():
        assert kind.reason == reason
        error = from_reason(reason, "text", {"hint": "do this", "field": "name"})
        assert type(error) is kind
        assert (error.message, error.hint, error.metadata) == ("text", "do this", {"field": "name"})


def test_a_reason_of_a_newer_daemon_is_still_an_error_of_ours() -> None:
    error = from_reason("SOMETHING_NEW", "text", {})
    assert type(error) is errors.DaemonFailed
    assert error.metadata["reason"] == "SOMETHING_NEW"


def test_what_the_daemon_explains_is_raised_with_its_words() -> None:
    handle = refusing(
        grpc.StatusCode.NOT_FOUND,
        "CONNECTION_NOT_FOUND",
        {"hint": "see nexoctl list", "name": "x"},
        terms.ERROR_DOMAIN,
    )
    with (
        serving({"GetConnection": handle}) as socket,
        Client(socket) as client,
        pytest.raises(errors.ConnectionNotFound) as raised,
    ):
        client.get_connection("x")
    assert raised.value.message == "the sentence of the daemon"
    assert raised.value.hint == "see nexoctl list"
    assert raised.value.metadata == {"name": "x"}


def test_an_explanation_of_somebody_else_is_not_taken_for_ours() -> None:
    handle = refusing(grpc.StatusCode.NOT_FOUND, "CONNECTION_NOT_FOUND", {}, "example.com")
    with (
        serving({"GetConnection": handle}) as socket,
        Client(socket) as client,
        pytest.raises(errors.DaemonFailed),
    ):
        client.get_connection("x")


def test_the_text_of_a_crashed_handler_is_not_repeated() -> None:
    """grpcio sends the exception of a handler to the caller word for word, secrets included (seen)."""

    def crash(_: Any, context: grpc.ServicerContext) -> None:
        raise RuntimeError("sk-secret-in-an-exception")

    with (
        serving({"GetConnection": crash}) as socket,
        Client(socket) as client,
        pytest.raises(errors.DaemonFailed) as raised,
    ):
        client.get_connection("x")
    assert "sk-secret" not in str(raised.value) + repr(raised.value.metadata) + raised.value.hint
    assert "sk-secret" not in "".join(traceback.format_exception(raised.value))


def test_details_that_cannot_be_read_do_no_harm() -> None:
    def handle(_: Any, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(((DETAILS_KEY, b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.INTERNAL, "x")

    with (
        serving({"GetConnection": handle}) as socket,
        Client(socket) as client,
        pytest.raises(errors.DaemonFailed, match="GetConnection"),
    ):
        client.get_connection("x")


def test_an_older_daemon_is_told_from_a_broken_one() -> None:
    with serving({}) as socket, Client(socket) as client:
        with pytest.raises(errors.IncompatibleDaemon, match="GetStatus"):
            client.status()
        with pytest.raises(errors.IncompatibleDaemon, match="FollowConnection"):
            client.follow()
        with pytest.raises(errors.IncompatibleDaemon, match="Watch"):
            next(client.watch())


def test_a_daemon_that_does_not_answer_meets_a_deadline() -> None:
    def hang(_: Any, context: grpc.ServicerContext) -> Any:
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(PATIENCE_S)
        return connection_pb2.ListConnectionsResponse()

    with (
        serving({"ListConnections": hang}) as socket,
        Client(socket, timeout_s=0.2) as client,
        pytest.raises(errors.DeadlineExceeded, match="ListConnections"),
    ):
        client.list_connections()


class Busy:
    """Handlers that do not come to an end before the client leaves."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def answer(self, _: Any, context: grpc.ServicerContext) -> Any:
        self._wait(context)
        return connection_pb2.ListConnectionsResponse()

    def watch(self, _: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield daemon_pb2.WatchResponse(sequence=1)
        self._wait(context)

    def _wait(self, context: grpc.ServicerContext) -> None:
        ended = threading.Event()
        context.add_callback(ended.set)
        self.asked.set()
        ended.wait(PATIENCE_S)

    @property
    def handlers(self) -> dict[str, Handle]:
        return {"ListConnections": self.answer, "Watch": self.watch}


def all_of(client: Client) -> list[Any]:
    return list(client.watch())


@pytest.mark.parametrize("call", [Client.list_connections, all_of])
def test_a_call_in_progress_says_that_the_client_was_closed(call: Callable[[Client], Any]) -> None:
    busy = Busy()
    with serving(busy.handlers) as socket, Client(socket) as client, ThreadPoolExecutor(1) as threads:
        asking = threads.submit(call, client)
        assert busy.asked.wait(PATIENCE_S)
        client.close()
        with pytest.raises(errors.DaemonFailed, match="this client is closed"):
            asking.result(PATIENCE_S)


def three_events(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    for sequence in (1, 2, 3):
        yield daemon_pb2.WatchResponse(sequence=sequence)


def test_threads_share_the_messages_of_a_subscription() -> None:
    """gRPC fails if two ask for the next message, and reports it as a fault of its own."""
    meeting = threading.Barrier(3)

    def take(events: Iterator[Any]) -> list[int]:
        meeting.wait(PATIENCE_S)
        return [event.sequence for event in events]

    with serving({"Watch": three_events}) as socket, Client(socket) as client, client.watch() as events:
        with ThreadPoolExecutor(3) as threads:
            taken = [threads.submit(take, events) for _ in range(3)]
        assert sorted(number for one in taken for number in one.result()) == [1, 2, 3]


def test_tasks_share_the_messages_of_a_subscription() -> None:
    async def scenario(socket: Path) -> list[Any]:
        async with aio.AsyncClient(socket) as client, client.watch() as events:
            return await asyncio.gather(*(anext(events) for _ in range(3)))

    with serving({"Watch": three_events}) as socket:
        assert sorted(event.sequence for event in asyncio.run(scenario(socket))) == [1, 2, 3]


def test_a_program_that_watches_for_ever_ends_with_its_client() -> None:
    with serving(Busy().handlers) as socket, Client(socket) as client, watch_forever(client) as steps:
        links = []
        for step in steps:
            links.append(step.link)
            client.close()
        assert links == [Link.CONNECTED, Link.AWAY]


async def all_of_asyncio(client: aio.AsyncClient) -> list[Any]:
    return [event async for event in client.watch()]


@pytest.mark.parametrize("call", [aio.AsyncClient.list_connections, all_of_asyncio])
def test_on_asyncio_a_call_in_progress_does_not_look_like_a_cancelled_task(
    call: Callable[[aio.AsyncClient], Coroutine[Any, Any, Any]],
) -> None:
    """grpc raises CancelledError for both, which would end the task without a word."""

    async def scenario(socket: Path, busy: Busy, end: Callable[[Any, Any], Awaitable[object]]) -> None:
        async with aio.AsyncClient(socket) as client:
            asking = asyncio.create_task(call(client))
            assert await asyncio.to_thread(busy.asked.wait, PATIENCE_S)
            await end(client, asking)
            await asking

    async def close(client: aio.AsyncClient, _: Any) -> None:
        await client.close()

    async def cancel(client: aio.AsyncClient, asking: asyncio.Task[Any]) -> None:
        asking.cancel()
        await client.close()

    for end, expected in ((close, errors.DaemonFailed), (cancel, asyncio.CancelledError)):
        busy = Busy()
        with serving(busy.handlers) as socket, pytest.raises(expected):
            asyncio.run(scenario(socket, busy, end))


def test_an_asyncio_client_outlives_its_event_loop_and_is_not_shared_by_two() -> None:
    handlers = {"ListConnections": lambda *_: connection_pb2.ListConnectionsResponse()}

    async def ask(client: aio.AsyncClient) -> int:
        return len(await client.list_connections())

    async def share(client: aio.AsyncClient) -> None:
        await client.list_connections()
        with pytest.raises(errors.DaemonFailed, match="another event loop"):
            await asyncio.to_thread(asyncio.run, ask(client))
        await client.close()

    with serving(handlers) as socket:
        client = aio.AsyncClient(socket)
        assert [asyncio.run(ask(client)) for _ in range(3)] == [0, 0, 0]
        asyncio.run(share(client))


def follow(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
    """Tells each follower of the connection "work"."""
    for request in requests:
        if request.WhichOneof("event") == "subscribe":
            connection = workspace_pb2.ResolvedConnection(name="work", revision=1)
            yield workspace_pb2.FollowConnectionResponse(
                followers=[request.subscribe.follower], connection=connection, revision=1
            )


def test_one_follower_too_many_does_not_disturb_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon ends a stream with too many, so all were without news again and again."""
    monkeypatch.setattr(follow_stream, "FOLLOWERS_PER_STREAM", 3)
    with serving({"FollowConnection": follow}) as socket, Client(socket) as client:
        kept = [client.follow() for _ in range(3)]
        with pytest.raises(errors.LimitReached, match="follows 3 times already"):
            client.follow()
        assert [live.current.name for live in kept] == ["work"] * 3
        kept.pop().close()
        assert client.follow().current.name == "work"


def test_a_watch_that_was_left_with_break_ends() -> None:
    ended: list[object] = []

    def watch(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        over = threading.Event()
        context.add_callback(over.set)
        context.add_callback(lambda: ended.append(over))
        yield daemon_pb2.WatchResponse(sequence=1)
        over.wait(120)

    async def leave(socket: Path) -> None:
        async with aio.AsyncClient(socket) as client:
            for _ in range(3):
                async for _event in client.watch():
                    break
            await asyncio.to_thread(wait_for, lambda: len(ended) == 3, "the streams end")

    with serving({"Watch": watch}) as socket:
        asyncio.run(leave(socket))


def test_a_follower_is_iterated_on_its_own_event_loop_only() -> None:
    """Another one would hear of no change, as the stream's thread wakes the first."""

    async def made(client: aio.AsyncClient) -> aio.AsyncLiveConnection:
        live = await client.follow()
        assert await anext(aiter(live)) == live.current
        return live

    async def iterate(live: aio.AsyncLiveConnection) -> None:
        with pytest.raises(errors.DaemonFailed, match="another event loop"):
            await anext(aiter(live))

    with serving({"FollowConnection": follow}) as socket:
        live = asyncio.run(made(aio.AsyncClient(socket)))
        asyncio.run(iterate(live))
        assert live.current.name == "work"
        live.close()


def test_what_changes_something_is_never_sent_twice() -> None:
    """The line breaks after the request has arrived, so nobody knows whether it was done."""
    arrived: list[bytes] = []

    def break_off(request: bytes, context: grpc.ServicerContext) -> None:
        arrived.append(request)
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    handlers = {"SetDefaultConnection": break_off, "GetDefaultConnection": break_off}
    with serving(handlers) as socket, Client(socket) as client:
        with pytest.raises(errors.DaemonNotRunning, match="it may or may not have been done"):
            client.set_default("x")
        assert len(arrived) == 1
        with pytest.raises(errors.DaemonNotRunning):
            client.get_default()
        assert len(arrived) == 3


def test_a_follower_takes_no_older_revision_on_one_stream() -> None:
    def follow(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            if request.WhichOneof("event") == "subscribe":
                for revision, name in ((5, "new"), (3, "old")):
                    yield workspace_pb2.FollowConnectionResponse(
                        followers=[request.subscribe.follower],
                        connection=workspace_pb2.ResolvedConnection(name=name, revision=revision),
                        revision=revision,
                    )
            if request.WhichOneof("event") == "applied" and request.applied.revision == 3:
                yield workspace_pb2.FollowConnectionResponse(
                    followers=[1],
                    connection=workspace_pb2.ResolvedConnection(name="newest", revision=6),
                    revision=6,
                )

    with serving({"FollowConnection": follow}) as socket, Client(socket) as client, client.follow() as live:
        names: list[str] = []
        remove = live.wake_with(lambda: names.append(live.current.name))
        wait_for(lambda: live.revision == 6, "the newest")
        remove()
        assert "old" not in names
