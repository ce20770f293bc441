"""How much of a turn of the event loop may the gateway take? One step; the daemon answers others between.

While somebody waits for such an answer it takes none, within bounds: an answer needs several turns.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_HEARD_AFTER: Final = 2
"""Turns: what came from outside during a step is read at the end of the next one, and heard in the second."""

LONGEST_S: Final = 0.002
"""Whatever else there is to do, a step begins so long after the one before, or after it was wanted."""


class Pace:
    """Lets one step begin in a turn of the loop, in the order in which they came. Belongs to one loop.

    Args:
        others_wait: whether somebody who goes first waits at this moment; asked once a turn.
    """

    def __init__(
        self,
        others_wait: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._others_wait = others_wait
        self._monotonic = monotonic
        self._is_taken = False
        self._since = 0.0
        self._deaf = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Returns at once, where nobody else had this turn or waits for it."""
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

    def _begin(self, now: float) -> None:
        self._since, self._deaf = now, _HEARD_AFTER

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        # Who has left meanwhile takes no turn.
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
