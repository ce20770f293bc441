"""Work that never returns keeps nobody else waiting, takes a bounded number of threads, and stops no end."""

import asyncio
import re
import threading
from pathlib import Path

import pytest

from nexo_daemon.domain.thread_pool import ThreadPool
from surroundings import PATIENCE_S
from threads import no_more_threads

DAEMON = Path(__file__).parents[2] / "daemon"


def test_work_that_hangs_ends_for_its_caller_and_delays_no_other_pool() -> None:
    release = threading.Event()

    async def run() -> None:
        dead, alive = ThreadPool("dead", most=2), ThreadPool("alive", most=1)
        hung = [asyncio.create_task(dead.run(release.wait, deadline_s=2.0)) for _ in range(20)]
        assert await alive.run(lambda: 7) == 7
        assert not any(task.done() for task in hung)
        results = await asyncio.gather(*hung, return_exceptions=True)
        assert {type(result) for result in results} == {TimeoutError}
        assert sum(thread.name == "dead" for thread in threading.enumerate()) == 2
        release.set()
        # The pool is whole again once the work has returned; what nobody waits for is skipped.
        assert await dead.run(lambda: 8, deadline_s=PATIENCE_S) == 8

    try:
        asyncio.run(run())
    finally:
        release.set()


def test_asking_again_for_what_hangs_takes_no_second_thread() -> None:
    release = threading.Event()
    calls: list[int] = []

    def hangs() -> str:
        calls.append(1)
        release.wait(PATIENCE_S)
        return "in the end"

    async def run() -> None:
        pool = ThreadPool("joined", most=8)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await pool.join("a", hangs, deadline_s=0.05)
        assert await pool.join("b", lambda: "another", deadline_s=PATIENCE_S) == "another"
        waiting = asyncio.create_task(pool.join("a", hangs, deadline_s=PATIENCE_S))
        await asyncio.sleep(0)
        release.set()
        assert await waiting == "in the end"
        assert len(calls) == 1
        assert await pool.join("a", lambda: "anew", deadline_s=PATIENCE_S) == "anew"

    asyncio.run(run())


def test_a_failure_reaches_its_caller() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await ThreadPool("failing", most=1).run(lambda: 1 // 0)

    asyncio.run(run())


def test_work_that_was_refused_is_not_done_later() -> None:
    done: list[str] = []

    async def run() -> None:
        pool = ThreadPool("refused", most=2)
        with no_more_threads(), pytest.raises(RuntimeError):
            await pool.run(lambda: done.append("refused"))
        assert await pool.run(lambda: done.append("next"), deadline_s=PATIENCE_S) is None
        assert done == ["next"]

    asyncio.run(run())


def test_without_a_thread_of_its_own_it_waits_for_one_that_is_busy() -> None:
    release = threading.Event()

    async def run() -> None:
        pool = ThreadPool("few", most=2)
        first = asyncio.create_task(pool.run(release.wait, deadline_s=PATIENCE_S))
        await asyncio.sleep(0)
        with no_more_threads():
            second = asyncio.create_task(pool.run(lambda: 7, deadline_s=PATIENCE_S))
            await asyncio.sleep(0)
        release.set()
        assert await second == 7
        assert await first

    try:
        asyncio.run(run())
    finally:
        release.set()


def test_nothing_in_the_daemon_uses_the_executor_that_all_share_and_a_stop_joins() -> None:
    found = [
        f"{path.relative_to(DAEMON)}:{number}"
        for path in sorted(DAEMON.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"to_thread\(|run_in_executor\(|ThreadPoolExecutor\(", line)
    ]
    assert not found, "use a ThreadPool of its own (nexo_daemon.domain.thread_pool)"
