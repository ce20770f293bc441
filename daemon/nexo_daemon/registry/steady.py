"""Work that goes on for as long as the daemon lives: a surprise in it costs that round, not the daemon."""

import logging
from collections.abc import Awaitable, Callable

from nexo_daemon.domain.clock import Clock

log = logging.getLogger("nexod")

AGAIN_AFTER_S = 60.0


async def steadily(name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Until cancelled: the work; begun anew a minute after it was surprised."""
    while True:
        try:
            await work()
            # It is not meant to end: to its owner that is a surprise like any other.
            log.error("the task '%s' ended; it begins anew", name)
        except Exception as error:  # noqa: BLE001 - that is the point
            log.error("the task '%s' begins anew after a surprise (%s)", name, type(error).__name__)
        await clock.sleep(AGAIN_AFTER_S)
