"""Converts a failed call into a typed error; the reverse of `nexo_daemon.rpc.errors`.

The daemon sends its error in the trailing metadata (error.proto). If a call did not reach the daemon, the
status code and the state of the socket give the reason.
"""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

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
    InvalidField,
    LimitReached,
    NexoError,
)

DETAILS_KEY = "grpc-status-details-bin"

# A daemon that stops ends the calls that it has not answered with CANCELLED. Callers look first whether they
# have cancelled the call themselves.
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Failed(Protocol):
    """The methods that the synchronous and the asyncio errors of grpc share."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Any: ...


def from_reason(reason: str, message: str, metadata: Mapping[str, str]) -> NexoError:
    """The error for a reason; `DaemonFailed` for a reason that this version does not know."""
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


def may_be_repeated(failure: Failed, socket: Path) -> bool:
    """Whether a repeatable call may be sent again: the connection was lost, and the daemon is back."""
    lost = failure.code() in _LOST and _explained(failure.trailing_metadata()) is None
    return lost and channel.diagnose(socket) is None


def no_answer(socket: Path, call: str) -> DeadlineExceeded:
    """The error for a call that exceeded its deadline."""
    return DeadlineExceeded(
        f"nexod did not answer {call} in time ({socket})",
        hint="try again with a longer time-out; if that does not help: nexoctl daemon restart",
    )


def without_thread(problem: RuntimeError) -> LimitReached:
    """The error for a thread that the system refused."""
    return LimitReached(
        f"this program cannot go on: {problem}",
        hint="end threads or processes of yours, or raise the limit (ulimit -u, TasksMax= of the unit)",
    )


def require_thread() -> None:
    """Check that a thread can be started, before grpc needs one for a stream.

    A channel whose thread was refused opens no stream any more, and closing it never returns (seen with
    grpcio 1.85).

    Raises:
        LimitReached: the system allows no more threads.
    """
    try:
        threading.Thread(target=int, daemon=True).start()
    except RuntimeError as problem:
        raise without_thread(problem) from None


def translate(failure: Failed, socket: Path, call: str) -> NexoError:
    """The typed error for a failed call.

    Args:
        call: the name of the method, for the message.
    """
    explained = _explained(failure.trailing_metadata())
    if explained is not None:
        return explained
    code = failure.code()
    if code in _LOST:
        found = channel.diagnose(socket)
        return found or DaemonNotRunning(
            f"the connection to nexod was lost during {call} ({socket}); it may or may not have been done",
            hint="try again; if that does not help: nexoctl doctor",
            metadata={"socket": str(socket)},
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return no_answer(socket, call)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return IncompatibleDaemon(
            f"the running nexod does not know {call}",
            hint="it is another version; restart it: nexoctl daemon restart",
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Refused by the gRPC library before the daemon read it.
        return InvalidField.of("request", "is too large for nexod", "shorten its longest value")
    # The text of grpc is left out: it may come from anywhere.
    return DaemonFailed(
        f"nexod failed in {call} ({code.name})", hint="its log says more: nexoctl daemon logs"
    )
