"""The gRPC server: one aio server on a Unix socket, its services, the standard health and reflection ones."""

import asyncio
import contextlib
import os
import socket as sockets
import stat
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health as health_servicer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from nexo.connections import paths
from nexo.connections.files import Identity, identity
from nexo.connections.v1 import daemon_pb2
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import WAITS_UNTIL
from nexo_daemon.rpc.calls import Calls
from nexo_daemon.rpc.errors import Context, answering, refuse

GRACE_S = 1.0
SELF_CALL_TIMEOUT_S = 5.0
# When a lost socket is made again, the old one is kept, because programs are connected to it.
_MOST_SOCKETS = 4

_PACKAGE = daemon_pb2.DESCRIPTOR.package
_OPTIONS = (
    # The socket is local, so the proxy of the environment is not used.
    ("grpc.enable_http_proxy", 0),
    # Twice what the largest valid request has, an import, so that `bounds` names the field that is too long.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # 10 000 connections in one list are about 4 MB.
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
)


@frozen
class ServedSocket:
    """A bound socket, the identity of its file, and the server behind it."""

    socket: Path
    identity: Identity
    server: grpc.aio.Server


class Server:
    """Binds the socket, serves, and stops."""

    def __init__(self, calls: Calls, *services: object) -> None:
        """A server of `services`, each of a class that is named like its service in the contract."""
        self._health = health_servicer.aio.HealthServicer()
        self._sockets: list[ServedSocket] = []
        self._methods: Any = Methods(calls)
        self._names = [self._methods.add(service) for service in services]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._methods)
        names = [
            *self._names,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name,
        ]
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(Reflection(names), self._methods)

    async def start(self, socket: Path) -> None:
        """Bind and serve; returns when a call through the socket was answered.

        When called again, it binds a second socket: programs that are connected notice nothing.

        Raises:
            UnsafePathError: the path is too long, or its directory is not private.
            OSError: the socket cannot be bound.
        """
        _check_free(socket, [served.identity for served in self._sockets])
        # Bound under a temporary name, and renamed when it answers. And when grpcio stops, it removes
        # the file with the name that it has bound, even if that is another daemon's by then (seen).
        unready = socket.with_name(f"{socket.name[:-1]}~")
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self._methods,))
        try:
            server.add_insecure_port(paths.grpc_name(unready))
        except RuntimeError as error:
            raise OSError(f"the socket {socket} cannot be bound: {error}") from None
        await server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            await _call(unready)
            unready.rename(socket)
            self._sockets.append(ServedSocket(socket, identity(socket), server))
        except BaseException:
            await server.stop(None)
            raise
        if len(self._sockets) > _MOST_SOCKETS:
            await self._sockets.pop(0).server.stop(GRACE_S)

    @property
    def served(self) -> ServedSocket:
        """The socket through which programs reach the daemon."""
        return self._sockets[-1]

    async def stop(self) -> None:
        """Refuse new calls, give running ones a moment to end, remove the socket."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(served.server.stop(GRACE_S) for served in self._sockets))
        for served in self._sockets:
            with contextlib.suppress(OSError):
                if identity(served.socket) == served.identity:
                    served.socket.unlink()


def _check_free(socket: Path, ours: Collection[Identity]) -> None:
    """Create the directory of a socket, and check that the socket can be created there.

    Raises:
        UnsafePathError: the path is too long, or its directory is not private.
        OSError: the name is used by something other than a dead socket.
    """
    paths.check_socket_path(socket)
    paths.private_directory(socket.parent)
    try:
        info = socket.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode):
        raise OSError(f"{socket} exists and is not a socket")
    if (info.st_dev, info.st_ino) not in ours and _somebody_listens(socket):
        raise OSError(f"another program listens on {socket}")


def _somebody_listens(socket: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as line:
        line.setblocking(False)
        try:
            line.connect(os.fspath(socket))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


async def _call(socket: Path) -> None:
    options = (("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost"))
    async with grpc.aio.insecure_channel(paths.grpc_name(socket), options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=SELF_CALL_TIMEOUT_S)


class Methods(grpc.GenericRpcHandler):
    """All methods by their full names. The generated code of the standard services treats it as the server.

    If the methods were registered with grpcio by name, it would await each of them separately, which costs a
    twelfth of the CPU of a resolve (2026-11-27).

    The messages of `ResolveConnection` stay encoded: a program sends the same bytes again and again, and
    decoding and encoding them each time was 12 % of that CPU, which limits the number of answers per second.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handlers: dict[str, Any] = {}

    def add(self, service: object) -> str:
        """Register the methods of a service of the contract; returns its full name."""
        described = descriptor_pool.Default().FindServiceByName(f"{_PACKAGE}.{type(service).__name__}")
        handlers = {rpc.name: _handler(rpc, getattr(service, rpc.name)) for rpc in described.methods}
        self.add_registered_method_handlers(described.full_name, handlers)
        return str(described.full_name)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Ignored: the generated code passes the same methods again by name."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register the methods of a service; called by the generated code."""
        for name, handler in handlers.items():
            self._handlers[f"/{service}/{name}"] = (
                handler if handler.unary_unary is None else self._telling(handler)
            )

    def _telling(self, handler: Any) -> Any:
        answer, calls = handler.unary_unary, self._calls

        async def telling(request: object, context: Any) -> object:
            left_s = context.time_remaining()
            WAITS_UNTIL.set(None if left_s is None else time.monotonic() + left_s)
            try:
                return await answer(request, context)
            finally:
                calls.answered()

        return grpc.unary_unary_rpc_method_handler(
            telling, handler.request_deserializer, handler.response_serializer
        )

    def service(self, handler_call_details: Any) -> Any:
        """The handler for the method of a call; None if there is none."""
        handler = self._handlers.get(handler_call_details.method)
        if handler is not None and handler.unary_unary is not None:
            self._calls.began()
        return handler


def _handler(rpc: MethodDescriptor, method: Callable[..., Any]) -> Any:
    if rpc.name == "ResolveConnection":
        return grpc.unary_unary_rpc_method_handler(answering(method))
    make = grpc.unary_unary_rpc_method_handler
    if rpc.server_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if rpc.client_streaming
            else grpc.unary_stream_rpc_method_handler
        )
    asked, answer = GetMessageClass(rpc.input_type), GetMessageClass(rpc.output_type)
    return make(answering(method, streams=rpc.server_streaming), asked.FromString, answer.SerializeToString)


class Reflection:
    """Server reflection, for clients without the contract.

    grpcio's own servicer answers. It is imported at the first request, because it loads the descriptors'
    descriptors: a megabyte that few daemons need.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """See grpc_reflection."""
        try:
            from grpc_reflection.v1alpha.reflection import aio
        except Exception as error:  # noqa: BLE001 - after an upgrade, the new module may raise anything
            await refuse(context, error)
            return
        async for answer in aio.ReflectionServicer(self._names).ServerReflectionInfo(requests, context):
            yield answer
