"""Parts of a gRPC call that the synchronous and the asyncio client share.

The path of a method and the class of its response come from the descriptors of the contract, so generated
stubs are not imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from nexo.connections.codec import read, read_all
from nexo.connections.v1 import workspace_pb2 as w
from nexo.connections.version import __version__
from nexo_client import convert, types
from nexo_client.errors import InvalidField
from nexo_client.workspace import WorkspaceLike, nearest

T = TypeVar("T")

OnLayer = Callable[["types.LayerResult"], None]


class Method(NamedTuple):
    """A gRPC method; `name` is used in messages.

    `repeatable`: the contract marks it as idempotent, so the call may be repeated after a lost connection.
    """

    path: str
    name: str
    request: type[Message]
    response: type[Message]
    repeatable: bool


def method(request: Message) -> Method:
    """The method that takes messages like `request`; each method has its own request class."""
    kind: Any = type(request)  # its type stub wrongly says that it is not hashable
    return _method(kind)


@cache
def _method(request: Any) -> Method:
    asked = request.DESCRIPTOR
    for service in asked.file.services_by_name.values():
        for found in service.methods:
            if found.input_type.full_name == asked.full_name:
                path = f"/{service.full_name}/{found.name}"
                repeatable = found.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
                return Method(path, found.name, request, GetMessageClass(found.output_type), repeatable)
    raise LookupError(f"no method of the contract takes {asked.full_name}")


def sender(method: Method, make: Callable[..., Any]) -> Any:
    """The function that sends requests; `make` is the channel's function for calls of this kind."""
    return make(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )


def value(kind: Callable[[Any], T], field: str) -> Callable[[Any], T]:
    """A function that makes a `kind` of the plain value in a field of a response."""
    return lambda response: kind(getattr(response, field))


def one(kind: Callable[..., T], field: str) -> Callable[[Any], T]:
    """A function that reads the message in a field of a response."""
    return lambda response: read(kind, getattr(response, field))


def each(kind: type[T], field: str) -> Callable[[Any], tuple[T, ...]]:
    """A function that reads the messages in a repeated field of a response."""
    return lambda response: read_all(kind, getattr(response, field))


def positive(timeout_s: float) -> float:
    """The deadline of a client.

    Raises:
        InvalidField: it is not more than 0.
    """
    if timeout_s <= 0:
        raise InvalidField.of("timeout_s", f"is {timeout_s:g} s", "use more than 0")
    return timeout_s


def client_info() -> w.ClientInfo:
    """The description of this process for the daemon."""
    path = Path(sys.argv[0] if sys.argv else "")
    program = path.name if path.name not in ("", "-c", "-m") else "python"
    if program == "__main__.py":
        # The program was started with `python -m package`.
        program = path.parent.name or program
    # Only for display, so a long name is cut.
    return w.ClientInfo(
        name="nexo_client-python", version=__version__, pid=os.getpid(), program=program[:100]
    )


def inquiry(connection: str | None, workspace: WorkspaceLike) -> w.Inquiry:
    """The request part that selects a connection; it includes NEXO_CONNECTION of this process.

    Raises:
        InvalidField: the name is empty; it does not mean the default.
    """
    if connection is not None and not connection.strip():
        hint = "name a connection, or leave it out to get the connection of the workspace"
        raise InvalidField.of("connection", "is empty", hint)
    place = nearest(workspace)
    return w.Inquiry(
        workspace=None if place is None else convert.workspace_to_wire(place),
        connection=connection,
        environment_connection=os.environ.get("NEXO_CONNECTION", ""),
    )
