"""Work that goes on when its caller is cancelled, and fails quietly then."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from nexo.connections.errors import NexoError

T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """The result of `work`, which also ends if the caller is cancelled.

    Then nobody is told of a refusal. An unexpected exception goes to the handler of the event loop.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_ended)
        raise


def _ended(task: "asyncio.Future[Any]") -> None:
    # Asking for the exception keeps asyncio from reporting it as never retrieved.
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, NexoError):
        task.get_loop().call_exception_handler({"message": "the caller has gone", "exception": error})
