"""Counts the usage of the gateway by the hour; written every few seconds, never by a request itself.

It holds no prompts, answers or tokens, only counts and names.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from nexo.connections.errors import NexoError
from nexo.connections.terms import StoreState, UsageBy
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.gateway import UsageCounts, UsageKey
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store import gateway_rows

log = logging.getLogger(__name__)

WRITE_EVERY_S = 5.0
KEYS_LIMIT = 4096
"""The maximum number of unsaved entries; beyond it, usage is counted without program and model."""

Row = tuple[UsageKey, UsageCounts]


class Ledger:
    """The buffer between requests and the store."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._waiting: dict[UsageKey, UsageCounts] = {}
        self._seen: dict[str, datetime] = {}
        self._anything = asyncio.Event()
        self._failure = StandingFailure(log, "usage of the gateway is not written")

    def add(self, key: UsageKey, counts: UsageCounts) -> None:
        """Count a request. `key.at` is any time within its hour."""
        hour = key.at.replace(minute=0, second=0, microsecond=0)
        crowded = len(self._waiting) >= KEYS_LIMIT
        own = UsageKey(
            hour,
            key.connection_id,
            key.connection_name,
            "" if crowded else key.workspace,
            "" if crowded else key.program,
            "" if crowded else key.model,
        )
        self._waiting[own] = self._waiting.get(own, UsageCounts()) + counts
        self._anything.set()

    def seen(self, token_id: str) -> None:
        """Note that a named token was used."""
        self._seen[token_id] = self._clock.now()
        self._anything.set()

    async def run(self) -> None:
        """Until cancelled, write unsaved entries every few seconds; sleep while there are none."""
        while True:
            await self._anything.wait()
            await self._clock.sleep(WRITE_EVERY_S)
            await self.flush()
            if not (self._waiting or self._seen):
                self._anything.clear()

    async def flush(self) -> None:
        """Write unsaved entries now. If that fails, they are kept for the next time."""
        if not (self._waiting or self._seen) or self._writer.store.state is not StoreState.READ_WRITE:
            return
        waiting, self._waiting = self._waiting, {}
        seen, self._seen = self._seen, {}

        def work() -> None:
            self._writer.store.record_usage(list(waiting.items()), list(seen.items()))

        try:
            await self._writer.on_store_thread(work)
        except NexoError as error:
            self._failure.came(error.message)
            for key, counts in waiting.items():
                self.add(key, counts)
            self._seen = seen | self._seen
        else:
            self._failure.is_over()

    async def usage(self, since: datetime | None, by: Sequence[UsageBy]) -> list[Row]:
        """Usage since then, grouped. Only the fields in `by` are set in a key.

        Raises:
            StoreFailed: the usage cannot be read.
        """
        await self.flush()

        def work() -> list[Row]:
            with self._writer.store.database.reading() as db:
                return [(key, counts) for key, counts, _ in gateway_rows.used(db, since)]

        names = {id_: one.name for id_, one in self._writer.snapshot.connections.items()}
        waiting = [(k, c) for k, c in self._waiting.items() if since is None or k.at >= since]
        return grouped(await self._writer.on_store_thread(work) + waiting, by, names)

    def hours_since(self) -> datetime:
        """The time from which hours are kept."""
        return gateway_rows.hours_since(self._clock.now())


NEVER = datetime.min.replace(tzinfo=UTC)
"""The time in a key if rows are not grouped by time."""


def grouped(rows: Iterable[Row], by: Sequence[UsageBy], names: dict[str, str]) -> list[Row]:
    """Rows added up by the fields in `by`, and sorted by them, newest times first.

    Args:
        names: the present names of connections by id; removed connections keep their last name.
    """
    sums: dict[UsageKey, UsageCounts] = {}
    for key, counts in rows:
        own = _key(key, by, names)
        sums[own] = sums.get(own, UsageCounts()) + counts

    def place(row: Row) -> tuple[object, ...]:
        key = row[0]
        parts: dict[UsageBy, object] = {
            UsageBy.CONNECTION: (key.connection_name.casefold(), key.connection_id),
            UsageBy.WORKSPACE: key.workspace,
            UsageBy.PROGRAM: key.program,
            UsageBy.MODEL: key.model,
        }
        return tuple(-key.at.timestamp() if one in (UsageBy.DAY, UsageBy.HOUR) else parts[one] for one in by)

    return sorted(sums.items(), key=place)


def _key(key: UsageKey, by: Sequence[UsageBy], names: dict[str, str]) -> UsageKey:
    at = NEVER
    if UsageBy.HOUR in by:
        at = key.at
    elif UsageBy.DAY in by:
        at = key.at.replace(hour=0)
    connection = UsageBy.CONNECTION in by
    return UsageKey(
        at,
        key.connection_id if connection else "",
        names.get(key.connection_id, key.connection_name) if connection else "",
        key.workspace if UsageBy.WORKSPACE in by else "",
        key.program if UsageBy.PROGRAM in by else "",
        key.model if UsageBy.MODEL in by else "",
    )
