"""Upkeep against a real store: it needs no check and no hand-out, and goes on after a failure."""

import asyncio
import logging

import pytest

from nexo_daemon.registry.upkeep import EVERY_S, FIRST_AFTER_S, keep_in_order
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store.store import Store
from store_parts import HandClock
from surroundings import PATIENCE_S


class Days(HandClock):
    """Lets so many sleeps pass at once, then stays asleep."""

    def __init__(self, sleeps: int) -> None:
        super().__init__()
        self.left = sleeps
        self.slept: list[float] = []
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.left == 0:
            self.over.set()
            await asyncio.Event().wait()
        self.left -= 1
        await super().sleep(seconds)


async def live(store: Store, sleeps: int) -> Days:
    clock = Days(sleeps)
    writer = Writer(store, clock)
    task = asyncio.create_task(keep_in_order(writer, clock))
    async with asyncio.timeout(PATIENCE_S):
        await clock.over.wait()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    await writer.close()
    return clock


def test_a_store_that_nobody_uses_is_backed_up_once_a_day(store: Store) -> None:
    clock = asyncio.run(live(store, 49))
    assert clock.slept[:2] == [FIRST_AFTER_S, EVERY_S]
    assert [backup.reason for backup in store.backups.list()] == ["daily"] * 3


def test_a_failure_is_told_once_and_does_not_end_it(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made = store.backups.make(store.database, "request", HandClock().now())
    made.path.unlink()
    folder = made.path.parent
    folder.rmdir()
    folder.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        asyncio.run(live(store, 5))
    assert len(caplog.messages) == 1, caplog.messages
    folder.unlink()
    asyncio.run(live(store, 1))
    assert len(store.backups.list()) == 1
