"""Limits the number of streams that one program may have open, so that it leaves some to the others.

A program is identified by the process id that it gives. A program that lies runs as the same user, who is
trusted: the limit is for faulty programs. Programs that give no id share one limit.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nexo.connections.errors import LimitReached


class Shares:
    """The open streams of one kind."""

    def __init__(self, what: str, *, most: int, of_a_program: int) -> None:
        self._what = what
        self._most = most
        self._of_a_program = of_a_program
        self._open: Counter[int] = Counter()

    def take(self, pid: int) -> None:
        """Count a new stream of the process `pid` (0: unknown). `give` it back at its end.

        Raises:
            LimitReached: the process has its share, or all streams are in use.
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
        """Count a stream less."""
        self._open[pid] -= 1
        if not self._open[pid]:
            del self._open[pid]

    @contextmanager
    def one_of(self, pid: int) -> Iterator[None]:
        """Take a stream, and give it back at the end. Raises as `take`."""
        self.take(pid)
        try:
            yield
        finally:
            self.give(pid)
