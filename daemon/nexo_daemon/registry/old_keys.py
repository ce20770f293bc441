"""When does a replaced key go? When the grace time is over in which its rejected successor would give way."""

import logging
from collections.abc import Iterable
from datetime import datetime

from nexo.connections.errors import NexoError
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import StoredConnection
from nexo_daemon.registry.registry import Registry

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0


async def forget_when_due(registry: Registry, clock: Clock) -> None:
    """Until cancelled: remove what is due, at the start and every few minutes."""
    while True:
        await forget_due(registry, clock.now())
        await clock.sleep(LOOK_EVERY_S)


async def forget_due(registry: Registry, now: datetime) -> int:
    """Remove the replaced keys whose time is over; how many. Needs no open vault, and is no new revision."""
    forgotten = 0
    for due in _due(registry.snapshot.connections.values(), now):
        try:
            forgotten += await registry.forget_previous_key(due.id, now)
        except NexoError as error:
            log.info("the replaced key of '%s' is still kept: %s", due.name, error.message)
    return forgotten


def _due(connections: Iterable[StoredConnection], now: datetime) -> list[StoredConnection]:
    return [one for one in connections if one.previous_key_until is not None and one.previous_key_until < now]
