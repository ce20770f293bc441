"""Describes a gRPC call: the request, a function that reads the response, and whether it may be repeated.

`line` and `aio_line` send calls; `client` has the meaning of each call. The path of a method and the class of
its response come from the descriptors of the contract, so generated stubs are not imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from nexo.connections.codec import read, read_all
from nexo.connections.v1 import workspace_pb2 as w
from nexo.connections.values import frozen
from nexo.connections.version import __version__
from nexo_client import convert, types
from nexo_client.errors import InvalidField
from nexo_client.workspace import WorkspaceLike, nearest

T = TypeVar("T")

OnLayer = Callable[["types.LayerResult"], None]


class Method(NamedTuple):
    """A gRPC method; `name` is used in messages."""

    path: str
    name: str
    response: type[Message]


@cache
def method(request: Any) -> Method:
    """The method that takes messages of the class `request`; each method has its own request class."""
    asked = request.DESCRIPTOR
    for service in asked.file.services_by_name.values():
        for found in service.methods:
            if found.input_type.full_name == asked.full_name:
                path = f"/{service.full_name}/{found.name}"
                return Method(path, found.name, GetMessageClass(found.output_type))
    raise LookupError(f"no method of the contract takes {asked.full_name}")


@frozen
class Call(Generic[T]):
    """A call with one response.

    Attributes:
        read: converts the response.
        reads: the call changes no configuration, so it may be repeated after a lost connection.
        longer_s: seconds added to the client's own deadline.
    """

    request: Message
    read: Callable[[Any], T]
    reads: bool = False
    longer_s: float = 0.0

    @property
    def method(self) -> Method:
        kind: Any = type(self.request)  # its type stub wrongly says that it is not hashable
        return method(kind)


@frozen
class StreamCall(Generic[T]):
    """A call with a stream of responses.

    Attributes:
        read: converts a response; None for one that this version does not know.
        limit_s: the deadline in seconds; None: the stream is open until one side ends it.
    """

    request: Message
    read: Callable[[Any], T | None]
    limit_s: float | None

    @property
    def method(self) -> Method:
        kind: Any = type(self.request)  # as above
        return method(kind)


def one(kind: Callable[..., T], field: str) -> Callable[[Any], T]:
    """A function that reads the value in a field of a response."""
    return lambda response: read(kind, getattr(response, field))


def each(kind: type[T], field: str) -> Callable[[Any], tuple[T, ...]]:
    """A function that reads the values in a repeated field of a response."""
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
        raise InvalidField(
            "connection: is empty",
            hint="name a connection, or leave it out to get the connection of the workspace",
            metadata={"field": "connection"},
        )
    place = nearest(workspace)
    return w.Inquiry(
        workspace=None if place is None else convert.workspace_to_wire(place),
        connection=connection,
        environment_connection=os.environ.get("NEXO_CONNECTION", ""),
    )
