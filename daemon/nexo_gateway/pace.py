"""Limits the gateway to one step in each turn of the event loop, so that calls of the daemon run in between.

While a call waits for its answer, the gateway takes no step, within limits: an answer needs several turns.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Final

_HEARD_AFTER: Final = 2
"""Turns of the loop between a step and the effect of input that arrived during it."""

MOST_PIECES: Final = 32
"""Pieces of one answer in a step: a step may find thousands, if a provider sends chunks of a byte."""

LONGEST_S: Final = 0.002
"""Maximum time in seconds that a step waits, after the previous one or after it was requested."""


class Pace:
    """Allows one step in each turn of the loop, in the order of requests. Used on one event loop.

    Args:
        others_wait: whether a call with priority is waiting; called once a turn.
    """

    def __init__(
        self,
        others_wait: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._others_wait = others_wait
        self._monotonic = monotonic
        self._steps = 0
        self._is_taken = False
        self._since = 0.0
        self._deaf = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait for a step; returns at once if no other step was taken in this turn or is waiting."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._is_taken = True
            self._begin(self._monotonic())
            loop.call_soon(self._next)
            if not self._others_wait():
                return
        waiting = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    async def paced(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The pieces, with a new step after each `MOST_PIECES` in one."""
        step, found = self._steps, 0
        async for piece in pieces:
            yield piece
            if self._steps != step:
                step, found = self._steps, 0
            found += 1
            if found == MOST_PIECES:
                await self.turn()

    def _begin(self, now: float) -> None:
        self._since, self._deaf = now, _HEARD_AFTER
        self._steps += 1

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        # Skip those that were cancelled.
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if not self._waiting:
            self._is_taken = False
            return
        loop.call_soon(self._next)
        if self._deaf:
            self._deaf -= 1
            return
        now = self._monotonic()
        if now - self._since >= LONGEST_S or not self._others_wait():
            self._begin(now)
            self._waiting.popleft().set_result(None)
