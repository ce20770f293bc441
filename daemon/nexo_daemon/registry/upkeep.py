"""What does the store need once in a while? Old history merged and forgotten, and the backup of the day."""

import logging

from nexo.connections.errors import NexoError
from nexo.connections.terms import StoreState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.writer import Writer

log = logging.getLogger(__name__)

# Not at once: the first backup of a new store would be an empty one, and the next is a day away.
FIRST_AFTER_S = 600.0
EVERY_S = 3600.0


async def keep_in_order(writer: Writer, clock: Clock) -> None:
    """Until cancelled. A failure is logged when its words change; the next hour tries again."""
    failure = StandingFailure(log, "history is not thinned, or no backup made")
    wait_s = FIRST_AFTER_S
    while True:
        await clock.sleep(wait_s)
        wait_s = EVERY_S
        if writer.store.state is not StoreState.READ_WRITE:
            continue
        try:
            await writer.on_store_thread(lambda: writer.store.upkeep(clock.now()))
        except NexoError as error:
            failure.came(error.message)
        except Exception as error:  # noqa: BLE001 - old history is no reason to end what hands out connections
            failure.came(type(error).__name__)
        else:
            failure.is_over()
