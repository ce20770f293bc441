"""Locks the vault automatically: after a time without hand-outs, at suspend, with the screen."""

import asyncio
import logging
from collections.abc import Callable

from nexo.connections.errors import InvalidField, NexoError
from nexo.connections.terms import VaultState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import AutoLock
from nexo_daemon.health.clocks import SUSPENDED_S
from nexo_daemon.registry.writer import Writer
from nexo_daemon.vault import session_signals

log = logging.getLogger(__name__)

SHORTEST_S = 60.0
LONGEST_S = 30 * 86_400.0
_AGAIN_AFTER_S = 60.0
_LOOK_EVERY_S = 5.0
"""A timer of the event loop stands still while the computer sleeps: a longer one would end too late."""


class AutoLocker:
    """Holds the setting, and runs the task that applies it.

    Attributes:
        problem: why suspend and screen lock cannot be noticed; empty if they can, or need not be.
    """

    def __init__(self, writer: Writer, clock: Clock, used_at: Callable[[], float]) -> None:
        self._writer = writer
        self._clock = clock
        self._used_at = used_at
        self._since = clock.elapsed()
        self._slept_s = self._sleep_so_far_s()
        self._changed = asyncio.Event()
        self.setting = AutoLock()
        self.problem = ""

    async def load(self) -> None:
        """Read the setting from the store."""
        try:
            self.setting = await self._writer.on_store_thread(self._writer.store.auto_lock)
        except NexoError as error:
            log.warning("the auto-lock setting cannot be read: %s", error.message)

    async def set(self, wanted: AutoLock) -> None:
        """Save and apply the setting.

        Raises:
            InvalidField: the time is too short or too long.
            StoreReadOnly, StoreFull, StoreFailed: not saved.
        """
        if wanted.idle_s is not None and not SHORTEST_S <= wanted.idle_s <= LONGEST_S:
            raise InvalidField.of("idle", "has to be between a minute and 30 days", "give another time")
        self._writer.require_writable()
        await self._writer.on_store_thread(lambda: self._writer.store.set_auto_lock(wanted))
        self.setting = wanted
        self.used()
        self._changed.set()

    def used(self) -> None:
        """Restart the idle time, because somebody used the vault."""
        self._since = self._clock.elapsed()
        # A sleep before this use does not lock the vault after it.
        self._slept_s = self._sleep_so_far_s()

    async def run(self) -> None:
        """Lock the vault when the setting says so; runs until cancelled."""
        while True:
            self._changed.clear()
            work = [
                asyncio.create_task(self._changed.wait()),
                asyncio.create_task(self._lock_when_idle()),
                asyncio.create_task(self._lock_after_sleep()),
                asyncio.create_task(self._lock_when_told()),
            ]
            try:
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)

    async def _lock_when_idle(self) -> None:
        while True:
            # Read again after each sleep: the setting may have changed in the meantime.
            idle_s = self.setting.idle_s
            if idle_s is None:
                return await self._never()
            left = max(self._since, self._used_at()) + idle_s - self._clock.elapsed()
            if left <= 0:
                minutes = idle_s / 60
                self._lock(f"no program asked for a key for {minutes:g} minute{'' if minutes == 1 else 's'}")
            await self._clock.sleep(min(left if left > 0 else idle_s, _LOOK_EVERY_S))

    async def _lock_after_sleep(self) -> None:
        """Notices a suspend that logind could not report, because it or the bus was away."""
        if not self.setting.on_suspend:
            return await self._never()
        while True:
            before, self._slept_s = self._slept_s, self._sleep_so_far_s()
            if self._slept_s - before > SUSPENDED_S:
                self._lock("the computer was suspended")
            await self._clock.sleep(_LOOK_EVERY_S)

    def _sleep_so_far_s(self) -> float:
        return self._clock.elapsed() - self._clock.monotonic()

    async def _lock_when_told(self) -> None:
        self.problem = ""
        if not (self.setting.on_suspend or self.setting.on_screen_lock):
            return await self._never()
        while True:
            try:
                await session_signals.listen(self.setting, self._lock, self._hears)
            except session_signals.NoSignalsError as error:
                if not self.problem:
                    log.warning("%s", error)
                self.problem = str(error)
            await self._clock.sleep(_AGAIN_AFTER_S)

    @staticmethod
    async def _never() -> None:
        await asyncio.Event().wait()

    def _hears(self) -> None:
        self.problem = ""

    def _lock(self, why: str) -> None:
        if self._writer.store.vault.state is VaultState.UNLOCKED:
            self._writer.store.key_manager.lock(why)
            self._writer.vault_changed()
            log.info("the vault was locked: %s", why)
