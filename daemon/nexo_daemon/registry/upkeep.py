"""What goes on beside the commands for as long as the daemon lives: looked after every few seconds to hours.

The place of the store, its history and backups, replaced keys, and once which secrets do not open.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from nexo.connections.errors import NexoError, SecretTampered
from nexo.connections.terms import StoreState, VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.files import StoreUnusable
from nexo_daemon.store.store import Store

log = logging.getLogger("nexod")

AGAIN_AFTER_S = 60.0
STORE_EVERY_S = 2.0
# Not at once: the first backup of a new store would be an empty one, and the next is a day away.
FIRST_AFTER_S = 600.0
EVERY_S = 3600.0
KEYS_EVERY_S = 600.0
_SEALS_IN_A_ROW = 50
"""A millisecond's worth."""


async def steadily(name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Until cancelled: the work; begun anew a minute after it was surprised."""
    while True:
        try:
            await work()
            # It is not meant to end: to its owner that is a surprise like any other.
            log.error("the task '%s' ended; it restarts", name)
        except Exception as error:  # noqa: BLE001 - that is the point
            log.error("the task '%s' restarts after an unexpected error (%s)", name, type(error).__name__)
        await clock.sleep(AGAIN_AFTER_S)


async def watch_the_store(writer: Writer, clock: Clock) -> None:
    """Until cancelled. A file that was removed, replaced or made read-only is no store to say "Saved" of."""
    failure = StandingFailure(log, "the store is back and cannot be opened")
    store = writer.store
    said = store.problem
    while True:
        await clock.sleep(STORE_EVERY_S)
        if await writer.on_store_thread(store.look):
            try:
                await writer.reload(store.reopen)
            except StoreUnusable as error:
                failure.came(error.message)
            else:
                failure.is_over()
        if store.problem != said:
            # By this look, or by one of somebody who asked for the status.
            said = store.problem
            if said:
                log.error("the store takes no changes: %s", said)
            else:
                log.warning("the store takes changes again: %s", store.path)
            writer.tell(Effects())


class Told:
    """Tells when the problem of the store becomes another one, or goes. Listener of the registry."""

    def __init__(self, store: Store, tell: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        self._said = store.problem

    def on_routing(self) -> None:
        """See `Writer.listen_to_routing`."""
        problem = self._store.problem
        if problem != self._said:
            self._said = problem
            self._tell(problem)


async def keep_in_order(writer: Writer, clock: Clock) -> None:
    """Until cancelled: old history is merged and forgotten, and the backup of the day made.

    A failure is logged when its words change; the next hour tries again.
    """
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


async def forget_when_due(registry: Registry, clock: Clock) -> None:
    """Until cancelled: remove replaced keys that are due, at the start and every few minutes.

    Due is a key when the grace time is over in which its rejected successor would give way.
    """
    while True:
        await forget_due(registry, clock.now())
        await clock.sleep(KEYS_EVERY_S)


async def forget_due(registry: Registry, now: datetime) -> int:
    """Remove the replaced keys whose time is over; how many. Needs no open vault, and is no new revision."""
    forgotten = 0
    for due in list(registry.snapshot.connections.values()):
        if due.previous_key_until is None or due.previous_key_until >= now:
            continue
        try:
            forgotten += await registry.forget_previous_key(due.id, now)
        except NexoError as error:
            log.info("the replaced key of '%s' could not be deleted: %s", due.name, error.message)
    return forgotten


async def try_seals(writer: Writer) -> None:
    """Try the secrets of every connection, with other work in between; nothing while the vault is shut."""
    for number, one in enumerate(list(writer.snapshot.connections.values()), 1):
        if writer.store.vault.state is not VaultState.UNLOCKED:
            return
        if writer.snapshot.connections.get(one.id) is not one:
            # Sealed again since, maybe with another key.
            continue
        try:
            writer.store.unseal(one)
        except SecretTampered as error:
            log.warning("the secrets of '%s' cannot be used: %s", one.name, error.message)
        except NexoError:
            # It was shut at this very moment.
            return
        if number % _SEALS_IN_A_ROW == 0:
            await asyncio.sleep(0)
