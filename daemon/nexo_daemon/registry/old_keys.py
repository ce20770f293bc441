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
from nexo_daemon.store.transaction import Transaction

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0


async def forget_when_due(writer: Writer, clock: Clock) -> None:
    """Until cancelled: remove what is due, at the start and every few minutes."""
    while True:
        try:
            await forget_due(writer, clock.now())
        except DomainError as error:
            log.info("replaced keys are still kept: %s", error.message)
        await clock.sleep(LOOK_EVERY_S)


async def forget_due(writer: Writer, now: datetime) -> int:
    """Remove the replaced keys whose time is over; how many. Needs no open vault, and is no new revision.

    Raises:
        StoreFull, StoreFailed: they are still there.
        ShuttingDown: the daemon is stopping.
    """

    async def work() -> int:
        due = _due(writer.snapshot.connections.values(), now)
        if not due or writer.store.state is not StoreState.READ_WRITE:
            return 0

        def write(tx: Transaction) -> list[Connection]:
            return [tx.update_connection(replace(one, previous_key_until=None), None) for one in due]

        forgotten = {one.id: one for one in await writer.commit(write)}
        writer.snapshot = replace(writer.snapshot, connections={**writer.snapshot.connections, **forgotten})
        writer.bus.publish(*(ConnectionChanged(id_) for id_ in forgotten))
        return len(forgotten)

    return await writer.command(work())


def _due(connections: Iterable[Connection], now: datetime) -> list[Connection]:
    return [one for one in connections if one.previous_key_until is not None and one.previous_key_until < now]
