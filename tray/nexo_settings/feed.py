"""Follows the daemon for a tab, through restarts: `nexo_client.watch` for an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from nexo_client.aio import AsyncClient
from nexo_client.errors import NexoError, ShuttingDown
from nexo_client.records import Record
from nexo_client.watch import PAUSES_S
from nexo_settings import showing


async def follow(client: AsyncClient, now: Callable[[], datetime]) -> AsyncIterator[Record]:
    """Yields events of the daemon, and `away` once for each reason while it is unreachable. Never ends."""
    attempt = 0
    told: tuple[str, str] | None = None
    while True:
        problem: NexoError | None = None
        try:
            async with client.watch() as events:
                async for event in events:
                    attempt, told = 0, None
                    if event.ended:
                        break
                    yield showing.event(event, now())
        except NexoError as caught:
            problem = caught
        away = problem or ShuttingDown("nexod has ended")
        reason = (away.reason.value, away.message)
        if reason != told:
            told = reason
            record = {"event": "away", "reason": reason[0], "message": reason[1], "hint": away.next_step}
            yield record | showing.remedy(away)
        await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
        attempt += 1
