"""Answers the calls of the page: single answers, streams of lines, and errors.

This module imports everything that is needed to talk to the daemon. That is slow, so it is imported while the
browser loads the page.
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
from nexo_settings.calls import CALLS, STREAMS, PageCalls, utc_now
from nexo_settings.feed import follow
from nexo_settings.reading import JsonBody, NotUnderstood
from nexo_settings.refusals import Record, error

log = logging.getLogger(__name__)


class Answers:
    """Answers calls by name. Belongs to one event loop."""

    def __init__(self, calls: PageCalls) -> None:
        self._calls = calls

    async def answer(self, name: str, body: JsonBody) -> tuple[int, Record]:
        """The HTTP status and the record that answer a call."""
        if name not in CALLS:
            return 404, error("NOT_UNDERSTOOD", "there is no such call")
        return await _outcome(CALLS[name](self._calls, body))

    def lines(self, name: str, body: JsonBody) -> AsyncGenerator[Record, None] | None:
        """The records of a call that is answered as a stream; None if there is no such call."""
        return _guarded(STREAMS[name](self._calls, body)) if name in STREAMS else None

    def news(self, taken: asyncio.Event) -> AsyncGenerator[Record, None]:
        """The events of the daemon, until another tab takes over."""
        return _until(taken, follow(self._calls.client, utc_now))


@contextlib.asynccontextmanager
async def opened(daemon: Path, reveals: Callable[[], bool]) -> AsyncIterator[Answers]:
    """A context with a client of the daemon.

    Args:
        daemon: the socket of the daemon.
        reveals: returns whether the page may show stored secrets.
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
    except Exception as problem:  # noqa: BLE001 - a bug in one call must not end the server
        # The text of the exception is not logged, because it may quote input.
        log.error("a call failed: %s", type(problem).__name__)
        return 500, error("INTERNAL", "the settings screen failed with an unexpected error")


async def _guarded(lines: AsyncIterator[Record]) -> AsyncGenerator[Record, None]:
    """The records of a stream; an error becomes the last record."""
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
    """The records of a stream until another tab takes over."""
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
