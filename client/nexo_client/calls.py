"""What a call of the contract is: its request, how the answer is read, and whether it may be sent twice.

Not for sending (see `line` and `aio_line`), and not for what each call means (see `client`). The path of a
method and the class of its answer come from the contract, so no generated stub has to be imported.
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
    """A method of the contract; `name` is for a text."""

    path: str
    name: str
    response: type[Message]


@cache
def method(request: Any) -> Method:
    """The method that takes messages of the class `request`: each method has a request of its own."""
    asked = request.DESCRIPTOR
    for service in asked.file.services_by_name.values():
        for found in service.methods:
            if found.input_type.full_name == asked.full_name:
                path = f"/{service.full_name}/{found.name}"
                return Method(path, found.name, GetMessageClass(found.output_type))
    raise LookupError(f"no method of the contract takes {asked.full_name}")


@frozen
class Call(Generic[T]):
    """A call with one answer.

    Attributes:
        read: makes a value of the answer.
        reads: changes no configuration, so that it may be sent again when the line broke.
        longer_s: what the deadline needs beyond the client's own.
    """

    request: Message
    read: Callable[[Any], T]
    reads: bool = False
    longer_s: float = 0.0

    @property
    def method(self) -> Method:
        kind: Any = type(self.request)  # of which the stubs say that it cannot be hashed
        return method(kind)


@frozen
class Stream(Generic[T]):
    """A call whose answers are a stream. `limit_s` None: it ends when one side wants it to.

    Attributes:
        read: makes a value of an answer; None for one that only a newer version knows.
    """

    request: Message
    read: Callable[[Any], T | None]
    limit_s: float | None

    @property
    def method(self) -> Method:
        kind: Any = type(self.request)  # of which the stubs say that it cannot be hashed
        return method(kind)


def one(kind: Callable[..., T], field: str) -> Callable[[Any], T]:
    """Reads the value in a field of an answer."""
    return lambda response: read(kind, getattr(response, field))


def each(kind: type[T], field: str) -> Callable[[Any], tuple[T, ...]]:
    """Reads the values in a repeated field of an answer."""
    return lambda response: read_all(kind, getattr(response, field))


def client_info() -> w.ClientInfo:
    """What this process says about itself."""
    path = Path(sys.argv[0] if sys.argv else "")
    program = path.name if path.name not in ("", "-c", "-m") else "python"
    if program == "__main__.py":
        # `python -m package`, and what our own programs start each other with.
        program = path.parent.name or program
    # A script may be called anything; the record of a hand-out needs no more than this.
    return w.ClientInfo(
        name="nexo_client-python", version=__version__, pid=os.getpid(), program=program[:100]
    )


def inquiry(connection: str | None, workspace: WorkspaceLike) -> w.Inquiry:
    """The question which connection this process gets; NEXO_CONNECTION of the process is part of it.

    Raises:
        InvalidField: the name is empty, which is never taken for the default.
    """
    if connection is not None and not connection.strip():
        raise InvalidField(
            "connection: is empty",
            hint="name a connection, or leave it out for what the workspace gets",
            metadata={"field": "connection"},
        )
    place = nearest(workspace)
    return w.Inquiry(
        workspace=None if place is None else convert.workspace_to_wire(place),
        connection=connection,
        environment_connection=os.environ.get("NEXO_CONNECTION", ""),
    )
