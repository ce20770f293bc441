"""Makes the handlers of gRPC calls, which convert errors to statuses.

They also check incoming messages against the bounds of the contract before the method runs.

The status carries a `google.rpc.ErrorInfo` (https://google.aip.dev/193). grpcio sends the text of an
unexpected exception to the client (seen), so a handler lets none pass.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from nexo.connections import loading, paths
from nexo.connections.errors import DaemonFailed, NexoError
from nexo.connections.terms import ERROR_DOMAIN
from nexo_daemon.logs import place_of
from nexo_daemon.rpc.bounds import check_bounds

T = TypeVar("T")

log = logging.getLogger(__name__)

# A client drops trailing metadata above 8 KiB, and with it the reason (seen with a connection that many
# directories use). The message is sent twice, once with three bytes for each non-ASCII byte.
_MESSAGE_LIMIT = 800
_FACT_LIMIT = 700

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Awaitable[Any]]
Send = Callable[[T], Awaitable[None]]
"""Sends a message of a stream."""


def code_of(error: NexoError) -> grpc.StatusCode:
    """The gRPC status code of an error."""
    return grpc.StatusCode[error.code]


def metadata_of(error: NexoError) -> dict[str, str]:
    """The content of `ErrorInfo.metadata`."""
    told = {"hint": error.hint, "action": error.action or ""}
    return {**error.metadata, **{name: value for name, value in told.items() if value}}


def shortened(text: str, limit: int) -> str:
    """The text within a number of bytes; a list is cut after a whole line."""
    text = paths.shown(text)
    raw = text.encode("utf-8")
    if len(raw) <= limit:
        return text
    kept = raw[: limit - 4].decode("utf-8", "ignore")
    return f"{kept.rpartition(chr(10))[0]}\n…" if "\n" in kept else f"{kept}…"


def trailer_of(error: NexoError) -> tuple[str, bytes]:
    """The status message, and the value of `grpc-status-details-bin`, within the limits of clients."""
    message = shortened(error.message, _MESSAGE_LIMIT)
    facts = {name: shortened(value, _FACT_LIMIT) for name, value in metadata_of(error).items()}
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=facts))
    status = Status(code=code_of(error).value[0], message=message, details=[packed])
    return message, status.SerializeToString()


def _told(error: Exception) -> NexoError:
    if isinstance(error, NexoError):
        return error
    if isinstance(error, ImportError):
        return DaemonFailed(f"the daemon cannot do this: {loading.REPLACED}", hint="nexoctl daemon restart")
    # The text of an unexpected exception may quote a request, so the log gets the place only.
    log.error("unexpected %s at %s", type(error).__name__, place_of(error))
    return DaemonFailed(
        f"the daemon failed ({type(error).__name__})",
        hint="see 'nexoctl daemon logs', and report it with the output of 'nexoctl doctor'",
    )


async def refuse(context: Context, error: Exception) -> None:
    """End the call with the status of `error`."""
    told = _told(error)
    message, details = trailer_of(told)
    await context.abort(code_of(told), message, (("grpc-status-details-bin", details),))


def answering(method: Callable[..., Awaitable[Any]], *, streams: bool = False) -> Handler:
    """The handler that answers a call with the result of `method`, or with the status of its error.

    Args:
        streams: `method` gets a second argument, with which it sends its answers.
    """

    async def answer(request: Any, context: Context) -> Any:
        try:
            if isinstance(request, Message):
                check_bounds(request)
            return await (method(request, context.write) if streams else method(request))
        except Exception as error:  # noqa: BLE001 - unexpected errors must not reach the client
            await refuse(context, error)

    return answer
