"""Threads for work that may never return, separate for each kind of work.

A file on a dead mount, a name server that is gone, a keyring that hangs: such a call cannot be cancelled. On
asyncio's shared executor (6 threads on 2 cores) a few of them would block all other work, and Python joins
that executor's threads before it exits. So the daemon does not use it. The threads of a pool serve one kind
of work, are limited in number, and are kept between jobs, because starting one blocks the loop for
milliseconds on a busy computer. They end when there is nothing to do, and never keep the process from
exiting.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_IDLE_S = 20.0


class ThreadPool:
    """Daemon threads for one kind of work, at most `most`; a job beyond that waits for its turn.

    Args:
        deadline_s: how long a caller waits, including the queue; None for work that has a time limit itself.
    """

    def __init__(self, name: str, *, most: int, deadline_s: float | None = None) -> None:
        self.name = name
        self._most = most
        self._deadline_s = deadline_s
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle = 0
        self._count = 0
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, work: Callable[[], T], *, deadline_s: float | None = None) -> T:
        """Run `work` on a thread; returns its result. After cancellation or time-out the thread goes on.

        Raises:
            TimeoutError: no result within the time limit; the work goes on, and its result is ignored.
            RuntimeError: the system allows no more threads; the work is not done.
        """
        async with asyncio.timeout(self._deadline_s if deadline_s is None else deadline_s):
            return await self._to_the_end(work)

    async def _to_the_end(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            if done.done():
                return
            result: T | None = None
            error: BaseException | None = None
            try:
                result = work()
            except BaseException as problem:  # noqa: BLE001 - it is raised for the caller
                error = problem
            try:
                loop.call_soon_threadsafe(_settle, done, result, error)
            except RuntimeError:
                # The loop is closed, so nobody waits for the result.
                return

        self._submit(job)
        return await done

    async def join(self, key: Hashable, work: Callable[[], T], *, deadline_s: float | None = None) -> T:
        """Like `run`, but joins running work with the same key: both use one thread."""
        task = self._under_way.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = asyncio.create_task(self._to_the_end(work))
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._forget(key, ended))
        async with asyncio.timeout(self._deadline_s if deadline_s is None else deadline_s):
            return cast("T", await asyncio.shield(task))

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            # Retrieved, so that asyncio does not report it if no caller waits any more.
            task.exception()

    def _submit(self, job: Callable[[], None]) -> None:
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
                return
            if self._count >= self._most:
                return
            self._count += 1
        try:
            threading.Thread(target=self._work, name=self.name, daemon=True).start()
        except RuntimeError:
            # The system allows no more threads. The job waits for the others, or must never be done, because
            # its caller is told that it failed.
            with self._changed:
                self._count -= 1
                if self._count:
                    return
                self._jobs.remove(job)
            raise

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._jobs:
                    if not self._changed.wait(_IDLE_S) and not self._jobs:
                        self._idle -= 1
                        self._count -= 1
                        return
                self._idle -= 1
                job = self._jobs.popleft()
            job()


def _settle(done: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)  # type: ignore[arg-type]  # without an error there is a result


IMPORTS = ThreadPool("imports", most=1)
"""Imports libraries that are needed after the first answer, or later."""
