"""May this host be asked now? One request at a time to a host, and a rest after each.

Connections of one host wait here for each other, important ones first. Knows nothing of connections but
what stands in their entries.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

HOST_GAP_S: Final = 0.1
"""The rest of a host after a request: never more than ten a second."""

Entry = tuple[int, float, int, str, str]
"""A check that wants its turn: rank, monotonic second since when, ticket, connection, origin of the host."""


@dataclass(slots=True)
class _Host:
    slots: int = 0
    running: bool = False
    cooling: bool = False
    free_at: float = float("-inf")
    waiting: list[Entry] | None = None


class Hosts:
    """The hosts of all watched connections, by origin."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._cooling: list[tuple[float, str]] = []

    def join(self, origin: str) -> None:
        """One more connection has this host."""
        self._host(origin).slots += 1

    def leave(self, origin: str) -> None:
        """One less has."""
        self._hosts[origin].slots -= 1
        self.tidy(origin)

    def _host(self, origin: str) -> _Host:
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = _Host()
        return host

    def take(self, origin: str, mono: float) -> bool:
        """Begin a request, if none is under way and the host has had its rest."""
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

    def wait(self, entry: Entry) -> None:
        """Keep an entry until its host is free."""
        host = self._host(entry[4])
        if host.waiting is None:
            host.waiting = []
        heapq.heappush(host.waiting, entry)

    def next_waiting(self, origin: str, mono: float, wanted: Callable[[Entry], bool]) -> Entry | None:
        """The first of those that wait for a host, if it can go now; else it is thought of after the rest.

        Args:
            origin: of the host.
            mono: the moment.
            wanted: tells an entry from one that is out of date.
        """
        host = self._hosts.get(origin)
        if host is None or host.running or host.cooling or not host.waiting:
            return None
        if host.free_at > mono:
            host.cooling = True
            heapq.heappush(self._cooling, (host.free_at, origin))
            return None
        while host.waiting:
            entry = heapq.heappop(host.waiting)
            if wanted(entry):
                return entry
        return None

    def next_rested(self) -> float | None:
        """Monotonic second at which the next host that others wait for has had its rest."""
        return self._cooling[0][0] if self._cooling else None

    def rested(self, mono: float) -> Iterator[str]:
        """The origins of those that have had it by now; each is given once."""
        while self._cooling and self._cooling[0][0] <= mono:
            origin = heapq.heappop(self._cooling)[1]
            self._hosts[origin].cooling = False
            yield origin

    def tidy(self, origin: str) -> None:
        """Forget a host that nobody has, unless it is still on somebody's mind."""
        host = self._hosts.get(origin)
        if host is not None and not host.slots and not host.running and not host.cooling:
            del self._hosts[origin]
