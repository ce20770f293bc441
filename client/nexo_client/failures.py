"""How a failed call becomes a typed error; the reverse of `nexo_daemon.rpc.errors`.

The daemon explains itself in the trailing metadata (error.proto); what never reached it is told by the
status code and by a look at the socket.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from google.protobuf.message import DecodeError

from nexo.connections import terms
from nexo.connections.v1 import error_pb2
from nexo_client import channel
from nexo_client.errors import (
    BY_REASON,
    DaemonFailed,
    DaemonNotRunning,
    DeadlineExceeded,
    IncompatibleDaemon,
    NexoError,
)

if TYPE_CHECKING:
    from nexo_client.calls import Call

DETAILS_KEY = "grpc-status-details-bin"


class Failed(Protocol):
    """What the sync and the asyncio error of grpc have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Any: ...


def from_reason(reason: str, message: str, metadata: Mapping[str, str]) -> NexoError:
    """The error of a reason; `DaemonFailed` for one that this version does not know."""
    facts = dict(metadata)
    hint, word = facts.pop("hint", ""), facts.pop("action", "")
    action = terms.Action(word) if word in set(terms.Action) else None
    kind = BY_REASON.get(reason)
    if kind is None:
        facts.setdefault("reason", reason)
        kind = DaemonFailed
    return kind(message, hint=hint, metadata=facts, action=action)


def _explained(trailing: Iterable[tuple[str, str | bytes]] | None) -> NexoError | None:
    for key, value in trailing or ():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        status = error_pb2.ErrorStatus()
        info = error_pb2.ErrorInfo()
        try:
            status.ParseFromString(value)
            for detail in status.details:
                if detail.type_url.rpartition("/")[2] == "google.rpc.ErrorInfo":
                    info.ParseFromString(detail.value)
                    if info.domain == terms.ERROR_DOMAIN:
                        return from_reason(info.reason, status.message, info.metadata)
        except DecodeError:
            return None
    return None


def unless_repeatable(failure: Failed, socket: Path, call: "Call[Any]") -> NexoError | None:
    """The error to raise, or None if the call changes nothing, the line broke and somebody listens again."""
    lost = failure.code() is grpc.StatusCode.UNAVAILABLE and _explained(failure.trailing_metadata()) is None
    if call.reads and lost:
        return channel.diagnose(socket)
    return translate(failure, socket, call.method.name)


def no_answer(socket: Path, call: str) -> DeadlineExceeded:
    """The error of a call that took too long."""
    return DeadlineExceeded(
        f"nexod did not answer {call} in time ({socket})",
        hint="try again with a longer time-out; if it stays so: nexoctl daemon restart",
    )


def translate(failure: Failed, socket: Path, call: str) -> NexoError:
    """The typed error of a failed call.

    Args:
        call: name of the method, for the text.
    """
    explained = _explained(failure.trailing_metadata())
    if explained is not None:
        return explained
    code = failure.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        found = channel.diagnose(socket)
        return found or DaemonNotRunning(
            f"the line to nexod broke during {call} ({socket}); whether it was done is not known",
            hint="try again; if it stays so: nexoctl doctor",
            metadata={"socket": str(socket)},
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return no_answer(socket, call)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return IncompatibleDaemon(
            f"the running nexod does not know {call}",
            hint="it is of another version; restart it: nexoctl daemon restart",
        )
    if code is grpc.StatusCode.CANCELLED:
        return DaemonFailed(f"{call} was cancelled", hint="try again")
    # The text of an unexplained failure may come from anywhere, so it is not repeated.
    return DaemonFailed(
        f"nexod failed in {call} ({code.name})", hint="its log says more: nexoctl daemon logs"
    )
