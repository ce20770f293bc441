"""How is a name resolved without letting a dead name server stop anybody else?

`getaddrinfo` cannot be cancelled and blocks for up to half a minute. asyncio runs it on the shared default
executor (6 threads on 2 cores), where a few dead names starve all others, and whose threads are joined when
the program ends. These threads are many, are kept between look-ups (starting one blocks the loop for
milliseconds on a busy computer), leave when there is nothing to do, and never keep the program from ending.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable

_MOST_THREADS = 64
_IDLE_S = 20.0

_Found = tuple[socket.AddressFamily, str]


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host in the order in which to try them, families alternating (RFC 8305).

    Raises:
        socket.gaierror: the name does not resolve.
        UnicodeError: it cannot be a name.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(addresses)

    def look_up() -> None:
        if done.cancelled():
            return
        addresses: list[str] = []
        error: BaseException | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = _alternate([(entry[0], str(entry[4][0])) for entry in found])
        except (OSError, UnicodeError) as problem:
            error = problem
        try:
            loop.call_soon_threadsafe(settle, addresses, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            return

    _threads.submit(look_up)
    return await done


class _Threads:
    """Daemon threads that take jobs, at most `_MOST_THREADS`; a job beyond that waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._idle = 0
        self._count = 0

    def submit(self, job: Callable[[], None]) -> None:
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
                return
            if self._count >= _MOST_THREADS:
                return
            self._count += 1
        try:
            threading.Thread(target=self._work, name="resolve", daemon=True).start()
        except RuntimeError:
            with self._changed:
                self._count -= 1
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


_threads = _Threads()


def _alternate(found: list[_Found]) -> list[str]:
    unique = list(dict.fromkeys(found))
    first_family = unique[0][0] if unique else None
    first = [address for family, address in unique if family == first_family]
    others = [address for family, address in unique if family != first_family]
    mixed: list[str] = []
    while first or others:
        mixed += first[:1] + others[:1]
        first, others = first[1:], others[1:]
    return mixed
