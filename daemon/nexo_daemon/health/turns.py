"""Whose turn is it? Of the checks that are due: asked-for and important ones first, hosts one by one.

At most `CONCURRENCY` requests that are quick, and a lane of their own (`SLOW_LANE`) for hosts known to hang,
so that they do not make the checks of others late; one that begins to hang gives up its place after
`YIELD_AFTER_S`. Not for when a check is due: that is said with `arm`.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from typing import Final

from nexo_daemon.health.checks import Launch
from nexo_daemon.health.hosts import Entry, Hosts
from nexo_daemon.health.slot import Slot

CONCURRENCY: Final = 32
SLOW_LANE: Final = 64
MAX_IN_FLIGHT: Final = 256
# Two bounds, as a check that gives up its place may well be an ordinary one of a busy moment.
YIELD_AFTER_S: Final = 0.5
SLOW_AFTER_S: Final = 1.0
FIRST_DEADLINE_S: Final = 15.0
# Enough for a request whose first packet was lost three times (repeated after 1, 3 and 7 s), and short enough
# to find a host that hangs hardly later than any other: an interval, two of these and a pause are 75 s (p95).
USUAL_DEADLINE_S: Final = 7.5
LONGEST_DEADLINE_S: Final = 30.0

_ASKED, _IMPORTANT, _OTHER = 0, 1, 2


class Turns:
    """The queue. Works on the slots that it is given, which their owner adds and removes."""

    def __init__(self, slots: Mapping[str, Slot], hosts: Hosts) -> None:
        self._slots = slots
        self._hosts = hosts
        self._tickets = 0
        self._timers: list[tuple[float, int, str]] = []
        self._ready: tuple[list[Entry], list[Entry]] = ([], [])
        # Whether a running check has a place among the quick ones.
        self._running: dict[int, bool] = {}
        self._quick: deque[tuple[float, int]] = deque()
        self._quick_running = 0

    @property
    def in_flight(self) -> int:
        """How many checks are running."""
        return len(self._running)

    def arm(self, slot: Slot, due: float, *, asked: bool, regular: bool = False) -> None:
        """Plan the next check of a connection, in place of any that was planned."""
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = due
        slot.asked = asked
        slot.regular = regular
        slot.queued = False
        heapq.heappush(self._timers, (due, self._tickets, slot.watched.id))

    def disarm(self, slot: Slot) -> None:
        """Plan none."""
        self._tickets += 1
        slot.ticket = self._tickets
        slot.due = None
        slot.queued = False

    def next_wake(self, mono: float) -> float | None:
        """Monotonic second at which `launch` should be called again; None when only an event can matter."""
        best = None
        for lane in (0, 1):
            if self._ready[lane]:
                if self._room(lane):
                    return mono
                while self._quick and not self._running.get(self._quick[0][1]):
                    self._quick.popleft()
                if lane == 0 and self._quick:
                    best = earlier(best, self._quick[0][0] + YIELD_AFTER_S)
        timers = self._timers
        while timers:
            due, ticket, id_ = timers[0]
            slot = self._slots.get(id_)
            if slot is not None and slot.ticket == ticket:
                best = earlier(best, due)
                break
            heapq.heappop(timers)
        return earlier(best, self._hosts.next_rested())

    def launch(self, mono: float) -> Launch | None:
        """The next check to start at this moment; None when there is none. Call until None."""
        self._advance(mono)
        for lane in (0, 1):
            ready = self._ready[lane]
            while ready and self._room(lane):
                entry = heapq.heappop(ready)
                slot = self._slots.get(entry[3])
                origin = entry[4]
                if slot is None or slot.ticket != entry[2]:
                    self._next_of_host(origin, mono)
                    continue
                if not self._hosts.take(origin, mono):
                    self._hosts.wait(entry)
                    self._next_of_host(origin, mono)
                    continue
                return self._start(slot, mono, quick=lane == 0)
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
        timers = self._timers
        while timers and timers[0][0] <= mono:
            due, ticket, id_ = heapq.heappop(timers)
            slot = self._slots.get(id_)
            if slot is not None and slot.ticket == ticket:
                slot.queued = True
                rank = _ASKED if slot.asked else _IMPORTANT if slot.pace.important else _OTHER
                heapq.heappush(self._ready[slot.slow], (rank, due, ticket, id_, slot.watched.origin))

    def _room(self, lane: int) -> bool:
        running = len(self._running)
        if running >= MAX_IN_FLIGHT:
            return False
        if lane == 0:
            return self._quick_running < CONCURRENCY
        return running - self._quick_running < SLOW_LANE

    def _start(self, slot: Slot, mono: float, *, quick: bool) -> Launch:
        launch = Launch(
            slot.ticket, slot.watched.id, slot.watched.origin, mono, deadline(slot.light.health.latency_s)
        )
        slot.queued = False
        slot.asked = False
        slot.due = None
        slot.running = launch
        slot.doubtful = False
        self._running[launch.ticket] = quick
        if quick:
            self._quick_running += 1
            self._quick.append((mono, launch.ticket))
        return launch

    def _next_of_host(self, origin: str, mono: float) -> None:
        entry = self._hosts.next_waiting(origin, mono, self._is_current)
        if entry is not None:
            heapq.heappush(self._ready[self._slots[entry[3]].slow], entry)

    def _is_current(self, entry: Entry) -> bool:
        slot = self._slots.get(entry[3])
        return slot is not None and slot.ticket == entry[2]

    def release(self, launch: Launch, mono: float) -> None:
        """A check ended: its place and its host are free for others."""
        if self._running.pop(launch.ticket):
            self._quick_running -= 1
        self._hosts.release(launch.origin, mono)
        self._next_of_host(launch.origin, mono)
        self._hosts.tidy(launch.origin)


def deadline(latency_s: float | None) -> float:
    """Seconds that a check may take: short where answers usually come fast, so that a hang is found soon."""
    if latency_s is None:
        return FIRST_DEADLINE_S
    return min(max(8.0 * latency_s, USUAL_DEADLINE_S), LONGEST_DEADLINE_S)


def earlier(a: float | None, b: float | None) -> float | None:
    """The earlier of two moments, of which there may be none."""
    if a is None or b is None:
        return a if b is None else b
    return min(a, b)
