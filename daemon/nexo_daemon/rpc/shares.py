"""How many streams may one program have open? No more than a share, so that it takes none from the others.

A program is the process that it says it is. Who lies about that runs as the same person, who is trusted; this
is for programs that have a fault. Those that say nothing have one share together.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nexo.connections.errors import LimitReached


class Shares:
    """The streams of one kind that are open."""

    def __init__(self, what: str, *, most: int, of_a_program: int) -> None:
        self._what = what
        self._most = most
        self._of_a_program = of_a_program
        self._open: Counter[int] = Counter()

    def take(self, pid: int) -> None:
        """One more of the process `pid`; 0 for one that says nothing. `give` it back.

        Raises:
            LimitReached: it has its share, or all are taken.
        """
        if self._open.total() >= self._most:
            raise LimitReached(f"{self._most} {self._what} already", hint="close some of them")
        if self._open[pid] >= self._of_a_program:
            who = (
                f"the program with pid {pid} has" if pid else "programs that do not identify themselves have"
            )
            raise LimitReached(
                f"{who} {self._of_a_program} of the {self._most} {self._what}",
                hint="share one client per process (nexo_client does), and close unused streams",
            )
        self._open[pid] += 1

    def give(self, pid: int) -> None:
        """One less."""
        self._open[pid] -= 1
        if not self._open[pid]:
            del self._open[pid]

    @contextmanager
    def one_of(self, pid: int) -> Iterator[None]:
        """Take one, and give it back at the end. Raises as `take`."""
        self.take(pid)
        try:
            yield
        finally:
            self.give(pid)
