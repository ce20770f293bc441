"""Queues the checks that are due: requested and important ones first, one at a time for each host.

At most `CONCURRENCY` quick requests run at once. Hosts that are known to hang use separate places
(`SLOW_CONCURRENCY`), so that they do not delay other checks; a check that begins to hang gives up its place
after `YIELD_AFTER_S`. `watch_list` knows when checks are due.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from nexo_daemon.domain.model import SERVING, Health
from nexo_daemon.health.watch_list import HOST_GAP_S, Launch, WatchedConnection, WatchList

CONCURRENCY: Final = 32
SLOW_CONCURRENCY: Final = 64
MAX_IN_FLIGHT: Final = 256
# Checks also have a total limit, because those that give up their place may be ordinary ones at a busy time.
YIELD_AFTER_S: Final = 0.5
SLOW_AFTER_S: Final = 1.0
FIRST_DEADLINE_S: Final = 15.0
# Enough for a request whose first packet was lost three times (repeated after 1, 3 and 7 s), and short enough
# to detect a hanging host soon: one interval, two of these and a pause are 75 s (p95).
USUAL_DEADLINE_S: Final = 7.5
LONGEST_DEADLINE_S: Final = 30.0

_ASKED, _IMPORTANT, _OTHER = 0, 1, 2


class QueuedCheck(NamedTuple):
    """A check that is due. Sorts by importance, then by time."""

    rank: int
    due: float
    ticket: int
    connection_id: str
    origin: str


@dataclass(slots=True)
class _Host:
    connections: int = 0
    running: bool = False
    cooling: bool = False
    free_at: float = float("-inf")
    waiting: list[QueuedCheck] | None = None


class HostLimits:
    """The limits for each host, by origin."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._cooling: list[tuple[float, str]] = []

    def join(self, origin: str) -> None:
        """A connection to the host was added."""
        self._host(origin).connections += 1

    def leave(self, origin: str) -> None:
        """A connection to the host was removed."""
        self._hosts[origin].connections -= 1
        self.tidy(origin)

    def _host(self, origin: str) -> _Host:
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = _Host()
        return host

    def take(self, origin: str, mono: float) -> bool:
        """Begin a request, if none is running and the pause since the last one is over."""
        host = self._host(origin)
        if host.running or host.free_at > mono:
            return False
        host.running = True
        return True

    def release(self, origin: str, mono: float) -> None:
        """A request ended."""
        host = self._hosts[origin]
        host.running = False
        host.free_at = mono + HOST_GAP_S

    def wait(self, check: QueuedCheck) -> None:
        """Keep a check until its host is available."""
        host = self._host(check.origin)
        if host.waiting is None:
            host.waiting = []
        heapq.heappush(host.waiting, check)

    def next_waiting(
        self, origin: str, mono: float, wanted: Callable[[QueuedCheck], object]
    ) -> QueuedCheck | None:
        """The first check waiting for a host, if it can start now; otherwise it is kept until the pause ends.

        Args:
            origin: the host's origin.
            mono: monotonic time in seconds.
            wanted: whether a check is still wanted.
        """
        host = self._hosts.get(origin)
        if host is None or host.running or host.cooling or not host.waiting:
            return None
        if host.free_at > mono:
            host.cooling = True
            heapq.heappush(self._cooling, (host.free_at, origin))
            return None
        while host.waiting:
            check = heapq.heappop(host.waiting)
            if wanted(check):
                return check
        return None

    def next_rested(self) -> float | None:
        """Monotonic time at which the next host with waiting checks ends its pause."""
        return self._cooling[0][0] if self._cooling else None

    def rested(self, mono: float) -> Iterator[str]:
        """The origins whose pause has ended; each is returned once."""
        while self._cooling and self._cooling[0][0] <= mono:
            origin = heapq.heappop(self._cooling)[1]
            self._hosts[origin].cooling = False
            yield origin

    def tidy(self, origin: str) -> None:
        """Forget a host without connections, unless a check still refers to it."""
        host = self._hosts.get(origin)
        if host is not None and not host.connections and not host.running and not host.cooling:
            del self._hosts[origin]


class CheckQueue:
    """The queue of due checks."""

    def __init__(self, watch_list: WatchList, hosts: HostLimits) -> None:
        self._watch_list = watch_list
        self._hosts = hosts
        self._ready: tuple[list[QueuedCheck], list[QueuedCheck]] = ([], [])
        # By ticket, whether the running check uses one of the quick places.
        self._running: dict[int, bool] = {}
        self._quick: deque[tuple[float, int]] = deque()
        self._quick_running = 0

    @property
    def in_flight(self) -> int:
        """The number of running checks."""
        return len(self._running)

    def next_wake(self, mono: float) -> float | None:
        """Monotonic time for the next call of `launch`; None if only an event can change anything."""
        best = None
        for slow in (False, True):
            if self._ready[slow]:
                if self._room(slow):
                    return mono
                while self._quick and not self._running.get(self._quick[0][1]):
                    self._quick.popleft()
                if not slow and self._quick:
                    best = earlier(best, self._quick[0][0] + YIELD_AFTER_S)
        return earlier(earlier(best, self._watch_list.next_due()), self._hosts.next_rested())

    def launch(self, mono: float) -> Launch | None:
        """The next check to start now; None if there is none. Call until None."""
        self._advance(mono)
        for slow in (False, True):
            ready = self._ready[slow]
            while ready and self._room(slow):
                check = heapq.heappop(ready)
                entry = self._current(check)
                if entry is not None:
                    if self._hosts.take(check.origin, mono):
                        return self._start(entry, check.origin, mono, quick=not slow)
                    self._hosts.wait(check)
                self._next_of_host(check.origin, mono)
        return None

    def _advance(self, mono: float) -> None:
        quick = self._quick
        while quick and quick[0][0] + YIELD_AFTER_S <= mono:
            ticket = quick.popleft()[1]
            if self._running.get(ticket):
                self._running[ticket] = False
                self._quick_running -= 1
        for origin in self._hosts.rested(mono):
            self._next_of_host(origin, mono)
            self._hosts.tidy(origin)
        for due, entry in self._watch_list.fallen_due(mono):
            rank = _ASKED if entry.asked else _IMPORTANT if entry.watched.important else _OTHER
            check = QueuedCheck(rank, due, entry.ticket, entry.watched.id, entry.watched.origin)
            heapq.heappush(self._ready[entry.slow], check)

    def _room(self, slow: bool) -> bool:
        running = len(self._running)
        if running >= MAX_IN_FLIGHT:
            return False
        if not slow:
            return self._quick_running < CONCURRENCY
        return running - self._quick_running < SLOW_CONCURRENCY

    def _start(self, entry: WatchedConnection, origin: str, mono: float, *, quick: bool) -> Launch:
        launch = self._watch_list.start(entry, origin, mono, deadline(entry.tracked.health))
        self._running[launch.ticket] = quick
        if quick:
            self._quick_running += 1
            self._quick.append((mono, launch.ticket))
        return launch

    def _next_of_host(self, origin: str, mono: float) -> None:
        check = self._hosts.next_waiting(origin, mono, self._current)
        entry = None if check is None else self._current(check)
        if check is not None and entry is not None:
            heapq.heappush(self._ready[entry.slow], check)

    def _current(self, check: QueuedCheck) -> WatchedConnection | None:
        """The entry of the check; None if the check was cancelled or replaced since it fell due."""
        entry = self._watch_list.get(check.connection_id)
        return entry if entry is not None and entry.ticket == check.ticket else None

    def release(self, launch: Launch, mono: float) -> None:
        """A check ended: free its place and its host."""
        if self._running.pop(launch.ticket):
            self._quick_running -= 1
        self._hosts.release(launch.origin, mono)
        self._next_of_host(launch.origin, mono)
        self._hosts.tidy(launch.origin)


def deadline(health: Health) -> float:
    """Time limit of a check in seconds: short for services that usually answer fast, to detect hangs soon.

    It is longer for one that is down, or unknown because the network was: the network may have become so slow
    that the short limit is never met, and programs wait longer and get their answers.
    """
    if health.latency_s is None:
        return FIRST_DEADLINE_S
    works = health.state in SERVING
    return min(
        max(8.0 * health.latency_s, USUAL_DEADLINE_S if works else FIRST_DEADLINE_S), LONGEST_DEADLINE_S
    )


def earlier(a: float | None, b: float | None) -> float | None:
    """The earlier of two times that may be None."""
    if a is None or b is None:
        return a if b is None else b
    return min(a, b)
