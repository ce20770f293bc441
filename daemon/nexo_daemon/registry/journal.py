"""Writes records that may be some seconds late: health samples, transitions, audit record of hand-outs.

Resolving and checking thus rarely wait for the disk. The first hand-out to a program is written before the
program gets the secret; repeats within an hour are counted in the same row, so a program that asks often
cannot push out the rows of others. Buffers are bounded: when the disk is too slow, the oldest samples are
dropped and counted; transitions and hand-outs are written first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import islice
from typing import NamedTuple

from nexo.connections.errors import NexoError
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.finishing import to_its_end
from nexo_daemon.domain.model import HandoutRecord, Health, Sample, Transition
from nexo_daemon.logs import StandingFailure
from nexo_daemon.store.store import Store

log = logging.getLogger(__name__)

SAMPLE_LIMIT = 20_000
RECORD_LIMIT = 10_000
FLUSH_AFTER_S = 5.0
# Takes the store thread a few milliseconds. Commands run between two such jobs.
HANDOUTS_A_JOB = 500
COUNTED_FOR = timedelta(hours=1)
SUBJECT_LIMIT = 4096

Subject = tuple[str, ...]


class HandoutRow(NamedTuple):
    """The stored row for a subject: its hand-outs within an hour are counted there."""

    id: int
    handout: HandoutRecord


def _nobody(*_handouts: HandoutRecord) -> None:
    return None


class Journal:
    """The buffer between the event loop and the store thread."""

    def __init__(
        self, store: Store, clock: Clock, on_store_thread: Callable[[Callable[[], None]], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_store_thread = on_store_thread
        self._samples: deque[Sample] = deque(maxlen=SAMPLE_LIMIT)
        self._transitions: deque[Transition] = deque(maxlen=RECORD_LIMIT)
        # Hand-outs that are not written yet, and the rows that repeats are counted in; oldest first.
        self._handouts: dict[Subject, HandoutRecord] = {}
        self._rows: dict[Subject, HandoutRow] = {}
        self._health: dict[str, Health] = {}
        self._runs = False
        # Awaited by all whose records the next flush writes.
        self._next_flush: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._at_once = asyncio.Event()
        self._failure = StandingFailure(log, "health history and audit record are not written")
        # Called with recorded hand-outs; set by the owner, who tells watchers.
        self.recorded: Callable[..., None] = _nobody

    def health(
        self, connection_id: str, health: Health, sample: Sample | None, transition: Transition | None
    ) -> None:
        """Record a check and the transition that it caused."""
        self._health[connection_id] = health
        if sample is not None:
            self._samples.append(sample)
        if transition is not None:
            self._transitions.append(transition)
        self._wake.set()

    def handout(self, handout: HandoutRecord) -> asyncio.Future[None] | None:
        """Record that a secret leaves the daemon.

        Returns:
            A future that is done when the first hand-out to a program is stored, or cannot be stored now; it
            is shared, so do not cancel it. None if the hand-out is counted in an existing row.
        """
        subject = handout.subject
        waiting = self._handouts.get(subject)
        if waiting is None and len(self._handouts) >= RECORD_LIMIT:
            del self._handouts[next(iter(self._handouts))]
        self._handouts[subject] = handout if waiting is None else waiting.and_again(handout)
        self._wake.set()
        if self._row_for(handout) is not None:
            return None
        self._at_once.set()
        if self._runs and self._next_flush is None:
            self._next_flush = asyncio.get_running_loop().create_future()
        return self._next_flush

    def _row_for(self, handout: HandoutRecord) -> HandoutRow | None:
        row = self._rows.get(handout.subject)
        # A clock that was set back starts a new row, too.
        recent = row is not None and timedelta(0) <= handout.at - row.handout.at < COUNTED_FOR
        return row if recent else None

    def forget(self, connection_id: str) -> None:
        """The connection was removed: discard its waiting rows, whose foreign key would be invalid."""
        self._health.pop(connection_id, None)
        self._samples = deque(
            (s for s in self._samples if s.connection_id != connection_id), maxlen=SAMPLE_LIMIT
        )
        self._transitions = deque(
            (t for t in self._transitions if t.connection_id != connection_id), maxlen=RECORD_LIMIT
        )

    async def run(self) -> None:
        """Flush a few seconds after the first entry; runs until cancelled. Uses no timer while empty."""
        self._runs = True
        try:
            while True:
                await self._wake.wait()
                await self._pause()
                await self.flush()
        finally:
            self._runs = False
            self._tell(self._next_flush)
            self._next_flush = None

    async def _pause(self) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(FLUSH_AFTER_S)),
            asyncio.ensure_future(self._at_once.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @staticmethod
    def _tell(flush: "asyncio.Future[None] | None") -> None:
        if flush is not None and not flush.done():
            flush.set_result(None)

    async def flush(self) -> None:
        """Write everything now. Failures are logged; hand-outs and transitions are kept for the next time."""
        self._wake.clear()
        self._at_once.clear()
        this, self._next_flush = self._next_flush, None
        try:
            # Only the present ones; those that arrive during the flush have woken the next one.
            for _ in range(-(-len(self._handouts) // HANDOUTS_A_JOB)):
                await self._write_handouts()
            await self._write_health()
        except NexoError as error:
            self._failure.came(error.message)
        else:
            self._failure.is_over()
        finally:
            self._tell(this)

    async def _write_handouts(self) -> None:
        batch = list(islice(self._handouts.values(), HANDOUTS_A_JOB))
        rows = [self._row_for(handout) for handout in batch]
        # A row holds the totals for its subject, so writing it twice changes nothing.
        whole = [
            handout if row is None else row.handout.and_again(handout)
            for handout, row in zip(batch, rows, strict=True)
        ]
        for handout in batch:
            del self._handouts[handout.subject]
        entries = list(zip(whole, (None if row is None else row.id for row in rows), strict=True))
        ids: list[int] = []
        try:
            # Cancelling the flush does not stop a write that the store thread has begun.
            await to_its_end(self._on_store_thread(lambda: ids.extend(self._store.record_handouts(entries))))
        except NexoError:
            first: dict[Subject, HandoutRecord] = {}
            for handout in batch:
                later = self._handouts.pop(handout.subject, None)
                first[handout.subject] = handout if later is None else handout.and_again(later)
            self._handouts = first | self._handouts
            raise
        for handout, row_id in zip(whole, ids, strict=True):
            self._rows.pop(handout.subject, None)
            self._rows[handout.subject] = HandoutRow(row_id, handout)
        while len(self._rows) > SUBJECT_LIMIT:
            del self._rows[next(iter(self._rows))]
        self.recorded(*whole)

    async def _write_health(self) -> None:
        samples, self._samples = list(self._samples), deque(maxlen=SAMPLE_LIMIT)
        transitions, self._transitions = list(self._transitions), deque(maxlen=RECORD_LIMIT)
        health, self._health = self._health, {}
        if not (samples or transitions or health):
            return
        try:
            await to_its_end(
                self._on_store_thread(lambda: self._store.record_health(samples, transitions, health))
            )
        except NexoError:
            self._transitions.extendleft(reversed(transitions))
            for connection_id, value in health.items():
                self._health.setdefault(connection_id, value)
            raise
