"""Writes what may be a few seconds late: health samples, transitions, and the audit record of hand-outs.

So that a resolve or a check never waits for the disk. Buffers are bounded: when the disk does not keep up,
the oldest samples are dropped and counted; transitions and hand-outs are written before anything else.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import DomainError
from nexo_daemon.domain.model import Handout, Health, Sample, Transition
from nexo_daemon.logs import StandingFailure
from nexo_daemon.store.store import Store

log = logging.getLogger(__name__)

SAMPLE_LIMIT = 20_000
RECORD_LIMIT = 10_000
FLUSH_AFTER_S = 5.0
# A job of the store thread, a few milliseconds. Between two of them a switch gets its turn.
HANDOUTS_A_JOB = 500


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
        self._handouts: deque[Handout] = deque(maxlen=RECORD_LIMIT)
        self._health: dict[str, Health] = {}
        self._wake = asyncio.Event()
        self._failure = StandingFailure(log, "health history and audit record are not written")

    def health(
        self, connection_id: str, health: Health, sample: Sample | None, transition: Transition | None
    ) -> None:
        """Note a check and what it changed."""
        self._health[connection_id] = health
        if sample is not None:
            self._samples.append(sample)
        if transition is not None:
            self._transitions.append(transition)
        self._wake.set()

    def handout(self, handout: Handout) -> None:
        """Note a secret that leaves the daemon."""
        self._handouts.append(handout)
        self._wake.set()

    def forget(self, connection_id: str) -> None:
        """The connection is gone: its waiting rows would have no parent."""
        self._health.pop(connection_id, None)
        self._samples = deque(
            (s for s in self._samples if s.connection_id != connection_id), maxlen=SAMPLE_LIMIT
        )
        self._transitions = deque(
            (t for t in self._transitions if t.connection_id != connection_id), maxlen=RECORD_LIMIT
        )

    async def run(self) -> None:
        """Flush a few seconds after the first entry, until cancelled. No timer runs while it is empty."""
        while True:
            await self._wake.wait()
            await self._clock.sleep(FLUSH_AFTER_S)
            await self.flush()

    async def flush(self) -> None:
        """Write everything now. A failure keeps hand-outs and transitions for the next time and is logged."""
        self._wake.clear()
        try:
            # Those of now; the ones that come meanwhile have woken the next flush.
            for _ in range(-(-len(self._handouts) // HANDOUTS_A_JOB)):
                await self._write_handouts()
            await self._write_health()
        except DomainError as error:
            self._failure.came(error.message)
        else:
            self._failure.is_over()

    async def _write_handouts(self) -> None:
        handouts = [self._handouts.popleft() for _ in range(min(HANDOUTS_A_JOB, len(self._handouts)))]
        try:
            await self._to_the_end(lambda: self._store.record_handouts(handouts))
        except DomainError:
            self._handouts.extendleft(reversed(handouts))
            raise

    async def _write_health(self) -> None:
        samples, self._samples = list(self._samples), deque(maxlen=SAMPLE_LIMIT)
        transitions, self._transitions = list(self._transitions), deque(maxlen=RECORD_LIMIT)
        health, self._health = self._health, {}
        if not (samples or transitions or health):
            return
        try:
            await self._to_the_end(lambda: self._store.record_health(samples, transitions, health))
        except DomainError:
            self._transitions.extendleft(reversed(transitions))
            for connection_id, value in health.items():
                self._health.setdefault(connection_id, value)
            raise

    async def _to_the_end(self, work: Callable[[], None]) -> None:
        """Whoever cancels the flush does not take back what it has handed to the store."""
        await asyncio.shield(self._on_store_thread(work))
