"""Runs the health checks on the event loop: sends their requests and publishes the results.

`schedule` decides when to check, and `policy` what a result means.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from nexo.connections.errors import DaemonFailed, NexoError, RetryLater, ShuttingDown
from nexo.connections.terms import Outcome, Reason
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Health, Sample, Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health.clocks import Clocks, Instant
from nexo_daemon.health.policy import Watched
from nexo_daemon.health.schedule import Scheduler
from nexo_daemon.health.system_events import KernelEvents, SystemEvents
from nexo_daemon.health.watch_list import HealthNotice, Launch, NotChecked

log = logging.getLogger(__name__)

CHECK_NOW_LIMIT_S: Final = 60.0
"""Longest wait of `check_now` in seconds; the callers' time limits are shorter."""

STARTS_IN_A_TURN: Final = 2
STARTS_IN_A_ROW: Final = 16
STARTS_PAUSE_S: Final = 0.008
"""Checks to start in one turn of the event loop, checks to start before a pause, and its length in seconds.

During the pause the loop serves calls. Without it, all checks of a burst end together and block the loop.

Measured with bursts of 1000 checks on a busy processor (2026-11-27): with 4 checks in a turn the loop was
blocked for 5 to 8 ms, as with one, and a check takes a fortieth less CPU.
"""


class Sink(Protocol):
    """Receives results. Called on the event loop; must not block."""

    def on_health(
        self, connection_id: str, health: Health, transition: Transition | None, sample: Sample | None
    ) -> None:
        """The health of a connection was checked or changed."""

    def on_offline(self, since: datetime | None) -> None:
        """The computer went offline (since then) or online (None); called again when the clock was set."""

    def on_other_network(self) -> None:
        """The routes changed, or the computer was suspended: open connections may lead nowhere."""


class Monitor:
    """The checks of all connections. Used on one event loop; works while `run` runs."""

    def __init__(
        self,
        *,
        probe: Callable[[str], Awaitable[Verdict]],
        sink: Sink,
        clock: Clock,
        rng: random.Random,
        events: SystemEvents | None = None,
    ) -> None:
        self._probe = probe
        self._sink = sink
        self._clock = clock
        self._core = Scheduler(rng)
        self._events = KernelEvents() if events is None else events
        self._clocks = Clocks()
        self._wake_up = asyncio.Event()
        # Monotonic time until which `run` sleeps; None while it does not.
        self._rests_until: float | None = None
        self._tasks: dict[int, asyncio.Task[Verdict | NotChecked]] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._running = False
        self._stopped = False

    @property
    def offline_since(self) -> datetime | None:
        """Since when the computer is offline; None if it is online."""
        return self._core.offline_since

    def configure(
        self,
        watched: Mapping[str, Watched],
        known: Mapping[str, Health],
        *,
        only: Collection[str] | None = None,
    ) -> None:
        """Set the watched connections; see `Scheduler.configure`. Fast and idempotent."""
        self._cancel(self._core.configure(watched, known, self._now(), only=only))
        for gone in [id_ for id_ in self._waiting if id_ not in watched]:
            self._resolve(gone)
        self._publish()

    def changed(self, connection_id: str) -> None:
        """The configuration or secret of a connection changed: discard its health, check at once."""
        self._cancel(self._core.changed(connection_id, self._now()))
        self._publish()

    def suspect(self, connection_id: str) -> None:
        """A program reported a failure: check once to confirm, unless a check is planned."""
        self._core.suspect(connection_id, self._now())
        self._publish()

    def witnessed(self, connection_id: str, verdict: Verdict, asked_at: float) -> None:
        """A request of a program ended; see `Scheduler.witnessed`."""
        if self._core.witnessed(connection_id, verdict, asked_at, self._now()):
            self._publish()

    def tested(self, connection_id: str, verdict: Verdict) -> None:
        """A person tested a connection; see `Scheduler.tested`."""
        self._core.tested(connection_id, verdict, self._now())
        self._publish()

    async def check_now(self, connection_ids: Iterable[str]) -> Mapping[str, Health]:
        """Check at once and wait for the results, including quick confirming checks.

        Connections that are not watched are omitted; those whose provider asked for a wait keep their state.

        Raises:
            RetryLater: the providers of all of them asked for a wait.
            ShuttingDown: the monitor was stopped.
        """
        if self._stopped:
            raise ShuttingDown("The daemon is stopping.", hint="Start it again: nexoctl daemon start")
        now = self._now()
        wanted = [id_ for id_ in dict.fromkeys(connection_ids) if self._core.health(id_) is not None]
        futures: list[asyncio.Future[None]] = []
        for id_ in wanted:
            if self._core.request(id_, now):
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.setdefault(id_, []).append(future)
                futures.append(future)
        if wanted and not futures:
            raise self._retry_later(wanted)
        self._publish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_NOW_LIMIT_S):
                await asyncio.gather(*futures)
        return {id_: health for id_ in wanted if (health := self._core.health(id_)) is not None}

    def _retry_later(self, wanted: list[str]) -> RetryLater:
        moments = [h.retry_at for id_ in wanted if (h := self._core.health(id_)) and h.retry_at]
        until = min(moments).isoformat(timespec="seconds") if moments else "a later moment"
        return RetryLater(
            f"The provider asked for no requests before {until}.",
            hint="The daemon checks it again at that time; until then the connection is shown as limited.",
            metadata={"retry_at": until} if moments else {},
        )

    async def run(self) -> None:
        """Check until cancelled; then every running check is cancelled and awaited."""
        self._running = True
        self._events.start(self._network_changed, self._wake_up.set)
        try:
            self._core.routed = self._events.routed()
            while True:
                self._look_at_clock()
                await self._start_due()
                await self._rest()
        finally:
            self._running = False
            self._stopped = True
            self._events.stop()
            await self._stop()

    def _look_at_clock(self) -> None:
        """Detect that the computer was suspended or its clock set."""
        now = self._now()
        jump = self._clocks.look(now, self._events.asleep_s())
        if jump.corrected:
            self._core.clock_set(jump.set_s)
            self._publish()
        if jump.needs_recheck:
            log.info("the clock jumped or the computer was suspended: checking again")
            self._sink.on_other_network()
            self._core.woke(jump.asleep_s, now)
            self._core.routed = self._events.routed()

    async def _start_due(self) -> None:
        started = 0
        self._wake_up.clear()
        while (launch := self._core.launch(self._now())) is not None:
            task = asyncio.create_task(self._ask(launch), name=f"check {launch.id}")
            self._tasks[launch.ticket] = task
            # Not a `finally` in the task, because a task cancelled before its first step does not run it.
            task.add_done_callback(partial(self._ended, launch))
            started += 1
            if not started % STARTS_IN_A_ROW:
                await asyncio.sleep(STARTS_PAUSE_S)
            elif not started % STARTS_IN_A_TURN:
                await asyncio.sleep(0)
        # Publishes the events of regular checks that were skipped.
        self._tell()

    async def _rest(self) -> None:
        now = self._now()
        wake = self._core.next_wake(now)
        timeout = None if wake is None else max(0.0, wake - now.mono)
        poll_s = self._events.poll_every_s()
        if poll_s is not None:
            timeout = poll_s if timeout is None else min(timeout, poll_s)
        self._rests_until = float("inf") if wake is None else wake
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake_up.wait()
        finally:
            self._rests_until = None

    def _ended(self, launch: Launch, task: asyncio.Task[Verdict | NotChecked]) -> None:
        self._tasks.pop(launch.ticket, None)
        self._core.finish(launch, None if task.cancelled() else task.result(), self._now())
        self._publish()

    async def _ask(self, launch: Launch) -> Verdict | NotChecked:
        try:
            async with asyncio.timeout(launch.deadline_s):
                return await self._probe(launch.id)
        except TimeoutError:
            return Verdict(
                outcome=Outcome.UNREACHABLE,
                reason="timeout",
                evidence=f"no complete answer within {launch.deadline_s:.3g} s",
                advice="Check whether the provider has an outage, or a proxy or firewall blocks it.",
            )
        except DaemonFailed as error:
            return NotChecked("internal", f"{error.message}: {error.hint}" if error.hint else error.message)
        except NexoError as error:
            if error.reason in (Reason.VAULT_LOCKED, Reason.VAULT_KEY_LOST):
                return NotChecked("locked", error.hint)
            return Verdict(
                outcome=Outcome.CONFIG_ERROR,
                reason=error.reason.value.lower(),
                evidence=error.message,
                advice=f"{error.message}: {error.hint}" if error.hint else error.message,
            )
        except Exception as error:  # noqa: BLE001 - a defect in one probe must not end the checks of the others
            # The exception's text may contain a key; its type does not.
            log.error("a health check failed inside the daemon: %s", type(error).__name__)
            return NotChecked("internal", "The daemon could not make the check; its log names the cause.")

    def _publish(self) -> None:
        self._tell()
        if self._rests_until is not None:
            now = self._now()
            wake = self._core.next_wake(now)
            # Also if it is due already: after a suspension the clock has advanced, but the timer has not.
            if wake is not None and (wake <= now.mono or wake < self._rests_until):
                self._wake_up.set()

    def _tell(self) -> None:
        for notice in self._core.drain():
            if not isinstance(notice, HealthNotice):
                self._sink.on_offline(notice.since)
                continue
            self._sink.on_health(notice.id, notice.health, notice.transition, notice.sample)
            if notice.conclusive:
                self._resolve(notice.id)

    def _resolve(self, connection_id: str) -> None:
        for future in self._waiting.pop(connection_id, ()):
            if not future.done():
                future.set_result(None)

    def _network_changed(self) -> None:
        self._sink.on_other_network()
        self._core.network_changed(self._events.routed(), self._now())
        self._wake_up.set()

    def _cancel(self, launches: Iterable[Launch]) -> None:
        for launch in launches:
            task = self._tasks.get(launch.ticket)
            if task is not None:
                task.cancel()

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(ShuttingDown("The daemon is stopping."))
        self._waiting.clear()

    def _now(self) -> Instant:
        return Instant(self._clock.now(), self._clock.monotonic())
