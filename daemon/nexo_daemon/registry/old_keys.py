"""When does a replaced key go? When the grace time is over in which its rejected successor would give way."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from nexo_client.terms import StoreState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import DomainError
from nexo_daemon.domain.model import Connection
from nexo_daemon.registry.bus import ConnectionChanged
from nexo_daemon.registry.writer import Writer

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0


async def forget_when_due(writer: Writer, clock: Clock) -> None:
    """Until cancelled: remove what is due, at the start and every few minutes."""
    while True:
        await forget_due(writer, clock.now())
        await clock.sleep(LOOK_EVERY_S)


async def forget_due(writer: Writer, now: datetime) -> int:
    """Remove the replaced keys whose time is over; how many. Needs no open vault, and is no new revision."""
    forgotten = 0
    for due in _due(writer.snapshot.connections.values(), now):
        try:
            forgotten += await writer.command(_forget(writer, due.id, now))
        except DomainError as error:
            log.info("the replaced key of '%s' is still kept: %s", due.name, error.message)
    return forgotten


async def _forget(writer: Writer, connection_id: str, now: datetime) -> bool:
    # It may have gone, or been replaced again, while others had their turn.
    still = _due(filter(None, [writer.snapshot.connections.get(connection_id)]), now)
    if not still or writer.store.state is not StoreState.READ_WRITE:
        return False
    without = replace(still[0], previous_key_until=None)
    kept = await writer.commit(lambda tx: tx.update_connection(without, None))
    writer.snapshot = replace(writer.snapshot, connections={**writer.snapshot.connections, kept.id: kept})
    writer.bus.publish(ConnectionChanged(kept.id))
    return True


def _due(connections: Iterable[Connection], now: datetime) -> list[Connection]:
    return [one for one in connections if one.previous_key_until is not None and one.previous_key_until < now]
