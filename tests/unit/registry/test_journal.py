"""The journal against a real store: nothing is lost by a failure or by a cancelled flush."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from nexo_daemon.domain.errors import StoreFull
from nexo_daemon.domain.model import ClientInfo, Handout
from nexo_daemon.registry.journal import HANDOUTS_A_JOB, Journal
from nexo_daemon.store.store import Store
from store_parts import HandClock

MANY = 3 * HANDOUTS_A_JOB + 1


def handout(number: int) -> Handout:
    client = ClientInfo(name="test", version="1", pid=number, program="test")
    return Handout(datetime.now(UTC), "id-1", "c1", "resolve", client)


def pids(store: Store) -> list[int]:
    return [one.client.pid for one in reversed(store.handouts(None, 2 * MANY))]


class Line:
    """One store thread, as the daemon has it; `fail_at` lets one of its jobs fail."""

    def __init__(self, fail_at: int = 0) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.jobs = 0
        self.fail_at = fail_at

    async def run(self, work: Callable[[], None]) -> None:
        self.jobs += 1
        if self.jobs == self.fail_at:
            raise StoreFull("the disk is full")
        await asyncio.get_running_loop().run_in_executor(self.thread, work)


def test_many_hand_outs_are_written_in_order_and_in_several_jobs(store: Store) -> None:
    line = Line()
    journal = Journal(store, HandClock(), line.run)
    for number in range(MANY):
        journal.handout(handout(number))
    asyncio.run(journal.flush())
    assert pids(store) == list(range(MANY))
    assert line.jobs == 4


def test_what_could_not_be_written_is_written_the_next_time(store: Store) -> None:
    journal = Journal(store, HandClock(), Line(fail_at=2).run)
    for number in range(MANY):
        journal.handout(handout(number))
    asyncio.run(journal.flush())
    assert pids(store) == list(range(HANDOUTS_A_JOB))
    journal.handout(handout(MANY))
    asyncio.run(journal.flush())
    assert pids(store) == list(range(MANY + 1))


def test_a_cancelled_flush_loses_nothing(store: Store) -> None:
    async def cancel_in_the_middle() -> None:
        started = asyncio.Event()
        line = Line()

        async def tell(work: Callable[[], None]) -> None:
            started.set()
            await line.run(work)

        journal = Journal(store, HandClock(), tell)
        for number in range(MANY):
            journal.handout(handout(number))
        flush = asyncio.create_task(journal.flush())
        await started.wait()
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
        await journal.flush()

    asyncio.run(cancel_in_the_middle())
    assert pids(store) == list(range(MANY))
