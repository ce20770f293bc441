"""How much of a turn of the event loop may the gateway take? One step; the daemon answers others between."""

import asyncio
from collections import deque


class Pace:
    """Lets one step begin in each turn of the loop, in the order in which they came. Belongs to one loop."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Returns at once, where nobody else had this turn."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._next)
            return
        waiting = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _next(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            # Who has left meanwhile takes no turn.
            if not waiting.done():
                waiting.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._is_taken = False
