"""Background work of the daemon, done every few seconds to hours.

Watches the store's file, thins the history, makes backups, removes replaced keys, and tries once which
secrets open.
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

log = logging.getLogger("nexod")

AGAIN_AFTER_S = 60.0
STORE_EVERY_S = 2.0
# The first backup of a new store would be empty, and the next one is made a day later.
FIRST_AFTER_S = 600.0
EVERY_S = 3600.0
KEYS_EVERY_S = 600.0
_SEALS_IN_A_ROW = 50
"""Secrets tried in one go, about a millisecond of work."""


async def steadily(name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run `work` until cancelled; run it again a minute after it ends or raises."""
    while True:
        try:
            await work()
            # It is not meant to end, so this is treated as an error, too.
            log.error("the task '%s' ended; it restarts", name)
        except Exception as error:  # noqa: BLE001 - that is the point
            log.error("the task '%s' restarts after an unexpected error (%s)", name, type(error).__name__)
        await clock.sleep(AGAIN_AFTER_S)


async def watch_the_store(writer: Writer, clock: Clock) -> None:
    """Watch the store's file until cancelled: when it is removed, replaced or read-only, nothing is saved."""
    failure = StandingFailure(log, "the store has returned but cannot be opened")
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
            # Found by this call, or by a status request.
            said = store.problem
            if said:
                log.error("the store is read-only: %s", said)
            else:
                log.warning("the store is writable again: %s", store.path)
            writer.tell(Effects())


async def keep_in_order(writer: Writer, clock: Clock) -> None:
    """Until cancelled, thin the history and make the daily backup.

    A failure is logged when its text changes; the work is tried again an hour later.
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
        except Exception as error:  # noqa: BLE001 - upkeep must not stop the daemon
            failure.came(type(error).__name__)
        else:
            failure.is_over()


async def forget_when_due(registry: Registry, clock: Clock) -> None:
    """Until cancelled, remove replaced keys that are due, at the start and every few minutes.

    A key is due when its grace period is over: until then it could be put back if the new one is rejected.
    If the clock is far ahead, it is removed too early; in doubt a secret that was replaced does not stay.
    """
    while True:
        await forget_due(registry, clock.now())
        await clock.sleep(KEYS_EVERY_S)


async def forget_due(registry: Registry, now: datetime) -> int:
    """Remove the replaced keys that are due; returns their number. Works with a locked vault."""
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
    """Try to open the secrets of every connection, in small steps; stops when the vault is locked."""
    for number, one in enumerate(list(writer.snapshot.connections.values()), 1):
        if writer.store.vault.state is not VaultState.UNLOCKED:
            return
        if writer.snapshot.connections.get(one.id) is not one:
            # Sealed again in the meantime, maybe with another key.
            continue
        try:
            writer.store.unseal(one)
        except SecretTampered as error:
            log.warning("the secrets of '%s' cannot be used: %s", one.name, error.message)
        except NexoError:
            # The vault was locked in the meantime.
            return
        if number % _SEALS_IN_A_ROW == 0:
            await asyncio.sleep(0)
