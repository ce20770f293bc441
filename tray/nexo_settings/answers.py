"""What does a call of the page get? Answers, lines and refusals, from the daemon.

With this module comes everything that asks the daemon, which is half of the start; it is imported while the
browser has the files of the page.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from nexo_client.aio import AsyncClient
from nexo_client.errors import DaemonNotRunning, NexoError
from nexo_settings import showing
from nexo_settings.calls import CALLS, STREAMS, PageCalls
from nexo_settings.feed import follow
from nexo_settings.reading import JsonBody, NotUnderstood
from nexo_settings.refusals import Record, error

log = logging.getLogger(__name__)


class Answers:
    """Belongs to one event loop."""

    def __init__(self, calls: PageCalls) -> None:
        self._calls = calls

    async def answer(self, name: str, body: JsonBody) -> tuple[int, Record]:
        """Status and record of a call."""
        if name not in CALLS:
            return 404, error("NOT_UNDERSTOOD", "there is no such call")
        return await _outcome(CALLS[name](self._calls, body))

    def lines(self, name: str, body: JsonBody) -> AsyncGenerator[Record, None] | None:
        """The records of a call that is answered line by line; None if this is no such call."""
        return _guarded(STREAMS[name](self._calls, body)) if name in STREAMS else None

    def news(self, taken: asyncio.Event) -> AsyncGenerator[Record, None]:
        """What the daemon tells, until another tab takes over."""
        return _until(taken, follow(self._calls.client, self._calls.now))


@contextlib.asynccontextmanager
async def opened(daemon: Path, reveals: Callable[[], bool]) -> AsyncIterator[Answers]:
    """The answers of a daemon, until the context ends.

    Args:
        reveals: says whether the page may show a stored secret.
    """
    async with AsyncClient(daemon) as client:
        yield Answers(PageCalls(client, reveals=reveals))


async def _outcome(answer: Awaitable[Record]) -> tuple[int, Record]:
    try:
        return 200, await answer
    except NotUnderstood as problem:
        return 400, error("NOT_UNDERSTOOD", str(problem))
    except NexoError as problem:
        status = 503 if isinstance(problem, DaemonNotRunning) else 409
        return status, showing.refusal(problem)
    except Exception as problem:  # noqa: BLE001 - a mistake of ours in one call must not end the page
        # Without the text of the exception, which may quote input.
        log.error("a call failed: %s", type(problem).__name__)
        return 500, error("INTERNAL", "the settings screen failed with an unexpected error")


async def _guarded(lines: AsyncIterator[Record]) -> AsyncGenerator[Record, None]:
    """The lines, and what went wrong as the last of them."""
    following = aiter(lines)
    try:
        while True:
            status, record = await _outcome(_next(following))
            if record is _END:
                return
            yield record
            if status != 200:
                return
    finally:
        await _close(lines)


_END: Record = {}


async def _next(lines: AsyncIterator[Record]) -> Record:
    return await anext(lines, _END)


async def _close(lines: Any) -> None:
    await lines.aclose()


async def _until(taken: asyncio.Event, lines: AsyncIterator[Record]) -> AsyncGenerator[Record, None]:
    """The lines until another tab takes over."""
    over = asyncio.ensure_future(taken.wait())
    try:
        while True:
            following = asyncio.ensure_future(_next(lines))
            try:
                await asyncio.wait((over, following), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                following.cancel()
                raise
            if not following.done():
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
                yield {"event": "taken"}
                return
            yield following.result()
    finally:
        over.cancel()
        await _close(lines)
