"""The journal against a real store: nothing is lost by a failure or by a cancelled flush."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from nexo.connections.errors import StoreFull
from nexo_daemon.domain.model import ClientInfo, HandoutRecord
from nexo_daemon.registry.journal import HANDOUTS_A_JOB, Journal
from nexo_daemon.store.recording import HANDOUTS_KEPT
from nexo_daemon.store.store import Store
from store_parts import NOON, HandClock
from surroundings import PATIENCE_S

MANY = 3 * HANDOUTS_A_JOB + 1


def handout(number: int) -> HandoutRecord:
    client = ClientInfo(name="test", version="1", pid=number, program=f"program-{number}")
    return HandoutRecord(NOON, "id-1", "c1", "resolve", client)


def repeat(pid: int, at: datetime, program: str = "loop") -> HandoutRecord:
    return HandoutRecord(at, "id-1", "c1", "resolve", ClientInfo("test", "1", pid, program))


def pids(store: Store) -> list[int]:
    return [one.client.pid for one in reversed(store.handouts(None, 2 * MANY))]


class StillClock(HandClock):
    """Whoever sleeps, sleeps for ever."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


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


def test_what_is_in_the_record_is_told_with_its_count_and_found_by_its_last_time(store: Store) -> None:
    told: list[HandoutRecord] = []
    journal = Journal(store, HandClock(), Line().run)
    journal.recorded = lambda *some: told.extend(some)
    for minutes in (0, 30):
        journal.handout(repeat(1, NOON + timedelta(minutes=minutes)))
        asyncio.run(journal.flush())
    assert [one.times for one in told] == [1, 2]
    for minutes, found in ((0, 1), (30, 1), (31, 0)):
        assert len(store.handouts(None, 10, NOON + timedelta(minutes=minutes))) == found


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


def record(store: Store) -> list[tuple[str, int, int, datetime, datetime]]:
    return [
        (one.client.program, one.times, one.client.pid, one.at, one.last_at or one.at)
        for one in reversed(store.handouts(None, MANY))
    ]


def test_repeats_are_counted_and_push_nobody_out_of_the_record(store: Store) -> None:
    journal = Journal(store, HandClock(), Line().run)
    journal.handout(repeat(7, NOON, "thief"))
    last = NOON
    for number in range(3 * HANDOUTS_KEPT):
        last = NOON + timedelta(seconds=number // 60)
        journal.handout(repeat(number, last))
        if number % HANDOUTS_KEPT == 0:
            asyncio.run(journal.flush())
    asyncio.run(journal.flush())
    assert record(store) == [
        ("thief", 1, 7, NOON, NOON),
        ("loop", 3 * HANDOUTS_KEPT, 3 * HANDOUTS_KEPT - 1, NOON, last),
    ]


def test_after_an_hour_or_when_the_clock_went_back_a_new_row_begins(store: Store) -> None:
    journal = Journal(store, HandClock(), Line().run)
    for at in (NOON, NOON + timedelta(minutes=59), NOON + timedelta(hours=1), NOON - timedelta(days=1)):
        journal.handout(repeat(1, at))
        asyncio.run(journal.flush())
    assert [times for _, times, *_ in record(store)] == [2, 1, 1]


def test_a_failure_loses_no_count(store: Store) -> None:
    journal = Journal(store, HandClock(), Line(fail_at=2).run)
    for _ in range(3):
        journal.handout(repeat(1, NOON))
        journal.handout(repeat(1, NOON))
        asyncio.run(journal.flush())
    assert [times for _, times, *_ in record(store)] == [6]


def test_a_row_that_a_restore_took_or_gave_to_another_is_not_counted_in(store: Store) -> None:
    journal = Journal(store, HandClock(), Line().run)
    journal.handout(repeat(1, NOON))
    asyncio.run(journal.flush())
    with store.database.begin() as db:
        db.sqlite.execute("UPDATE handouts SET client_program = 'another'")
    journal.handout(repeat(1, NOON))
    asyncio.run(journal.flush())
    assert [(name, times) for name, times, *_ in record(store)] == [("another", 1), ("loop", 2)]


def test_the_first_hand_out_of_a_program_does_not_wait_and_its_repeats_do(store: Store) -> None:
    async def live() -> None:
        line = Line()
        journal = Journal(store, StillClock(), line.run)
        running = asyncio.create_task(journal.run())
        await (await waiting_for(journal, 1))
        jobs = line.jobs
        assert journal.handout(handout(1)) is None
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.jobs == jobs
        # What is new is written at once, and takes along what waited.
        another = journal.handout(handout(2))
        assert another is not None
        await another
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        # What the store thread was given, it does.
        line.thread.shutdown()

    asyncio.run(asyncio.wait_for(live(), PATIENCE_S))
    assert [(name, times) for name, times, *_ in record(store)][-1] == ("program-2", 1)
    assert next(times for name, times, *_ in record(store) if name == "program-1") >= 2


async def waiting_for(journal: Journal, number: int) -> asyncio.Future[None]:
    """The record of a first hand-out, once the journal runs."""
    written = None
    while written is None:
        await asyncio.sleep(0)
        written = journal.handout(handout(number))
    return written


@pytest.mark.parametrize("ending", ["failure", "cancelled"])
def test_a_record_that_cannot_be_written_keeps_nobody_waiting(store: Store, ending: str) -> None:
    async def live() -> None:
        line = Line(fail_at=1)
        journal = Journal(store, StillClock(), line.run)
        task = asyncio.create_task(journal.run())
        written = await waiting_for(journal, 1)
        if ending == "cancelled":
            task.cancel()
        await written
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # Nothing runs any more, so there is nothing to wait for.
        assert journal.handout(handout(2)) is None

    asyncio.run(asyncio.wait_for(live(), PATIENCE_S))
