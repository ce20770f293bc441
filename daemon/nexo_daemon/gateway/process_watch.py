"""Watches processes through the kernel, so that the token of a run ends with its process."""

import asyncio
import os
from collections.abc import Callable

from nexo.connections.processes import alive

LOOK_EVERY_S = 5.0
"""Interval for polling, in seconds, where the kernel does not notify (macOS)."""


class ProcessWatch:
    """Watches processes. Used on one event loop; close it."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()
        self._looking: set[asyncio.Task[None]] = set()

    def watch(self, pid: int, ended: Callable[[], None]) -> bool:
        """Call `ended` once, when the process ends; False if there is no such process now."""
        if pid <= 0:
            return False
        if not hasattr(os, "pidfd_open"):
            return self._look(pid, ended)
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        except OSError:
            # An old kernel, or a sandbox that forbids the call.
            return self._look(pid, ended)
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(descriptor)
            self._descriptors.discard(descriptor)
            os.close(descriptor)
            ended()

        self._descriptors.add(descriptor)
        loop.add_reader(descriptor, gone)
        return True

    def _look(self, pid: int, ended: Callable[[], None]) -> bool:
        if not alive(pid):
            return False

        async def look() -> None:
            while alive(pid):  # noqa: ASYNC110 - there is no notification
                await asyncio.sleep(LOOK_EVERY_S)
            ended()

        task = asyncio.create_task(look(), name="life")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return True

    def close(self) -> None:
        """Stop watching."""
        for descriptor in self._descriptors:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._descriptors.clear()
        for task in self._looking:
            task.cancel()
