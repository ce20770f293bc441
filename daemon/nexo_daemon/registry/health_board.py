"""The health of connections: joins what the monitor observes with what the registry knows.

The monitor watches only connections that can be checked. This module reports disabled and sealed connections
as UNKNOWN, with the reason, sends health to watchers and the journal, and has a stand-in chosen for an
unhealthy connection.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from nexo.connections.errors import NexoError, StaleRevision
from nexo.connections.terms import HealthState, KeyVerdict, Layer, LayerStatus, Outcome
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import Health, HealthSettings, Sample, SecretKind, StoredConnection, Transition
from nexo_daemon.domain.probing import TestReport, Verdict
from nexo_daemon.domain.url import origin
from nexo_daemon.health.monitor import Monitor
from nexo_daemon.health.policy import Watched, last_seen, shown
from nexo_daemon.health.queue import LONGEST_DEADLINE_S
from nexo_daemon.providers.prober import Prober
from nexo_daemon.registry.bus import ConnectionChanged, Sign
from nexo_daemon.registry.change import Effects
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.stand_ins import StandIns
from nexo_gateway.router import CallOutcome

log = logging.getLogger(__name__)

# The monitor uses a shorter time limit for services that usually answer fast.
CHECK_TIMEOUT_S = LONGEST_DEADLINE_S
MIN_INTERVAL_S = 5.0
# The time of the last proof is written at most this often, not after every check.
PROVEN_RESOLUTION = timedelta(hours=1)
_NEVER = Health()


class HealthBoard:
    """Owns the monitor; listens to the registry, and is the monitor's sink.

    Attributes:
        stand_ins: the connections that serve in place of unhealthy ones.
        other_network: see `nexo_daemon.health.monitor.Sink.on_other_network`.
    """

    def __init__(
        self,
        registry: Registry,
        prober: Prober,
        journal: Journal,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._registry = registry
        self._prober = prober
        self._journal = journal
        self._clock = clock
        self._health: dict[str, Health] = dict(registry.stored_health)
        self._watched: dict[str, Watched] = {}
        self._unwatched_since: dict[str, datetime] = {}
        self._settings = HealthSettings()
        self._offline = False
        self._errands: set[asyncio.Task[None]] = set()
        self.other_network: Callable[[], None] = lambda: None
        self.stand_ins = StandIns(registry, self.of, self._errand, clock)
        self.monitor = Monitor(probe=self._probe, sink=self, clock=clock, rng=rng)
        registry.listen_to_connections(self.on_change)
        self._configure(registry.snapshot.connections)
        self.stand_ins.choose_anew()

    # -- reads --------------------------------------------------------------------------------------

    def of(self, connection: StoredConnection) -> Health:
        """The health of a connection, as shown to users."""
        known = self._health.get(connection.id, _NEVER)
        since = self._unwatched_since.get(connection.id)
        if not connection.enabled:
            return _unknown("disabled", known, since)
        if self._registry.is_locked(connection):
            return _unknown("locked", known, since)
        seen = self._watched.get(connection.id)
        return known if seen is None else shown(known, seen.interval_s, self._clock.now())

    # -- configuration → monitor --------------------------------------------------------------------

    def on_change(self, effects: Effects) -> None:
        """See `Writer.listen_to_connections`."""
        removed = frozenset(connection.id for connection in effects.removed)
        for connection_id in removed:
            self._health.pop(connection_id, None)
            self._journal.forget(connection_id)
        self._configure(effects.changed, removed)
        for connection_id in effects.probe_again & self._watched.keys():
            self.monitor.changed(connection_id)
        self.stand_ins.choose_anew()

    def _configure(self, changed: Collection[str], removed: Collection[str] = ()) -> None:
        snapshot = self._registry.snapshot
        settings = snapshot.settings.health
        if settings != self._settings:
            # The settings concern every connection.
            self._settings, changed = settings, snapshot.connections
        bound = {binding.connection_id for binding in snapshot.bindings.values()}
        for connection_id in removed:
            self._watched.pop(connection_id, None)
            self._unwatched_since.pop(connection_id, None)
        for connection_id in changed:
            connection = snapshot.connections.get(connection_id)
            if connection is None:
                self._watched.pop(connection_id, None)
                continue
            if not connection.enabled or self._registry.is_locked(connection):
                self._watched.pop(connection_id, None)
                self._unwatched_since.setdefault(connection_id, self._clock.now())
                continue
            self._unwatched_since.pop(connection_id, None)
            important = connection_id == snapshot.settings.default_id or connection_id in bound
            self._watched[connection_id] = watched(connection, settings, important=important)
        self.monitor.configure(self._watched, self._health, only={*changed, *removed})

    # -- monitor → registry -------------------------------------------------------------------------

    async def _probe(self, connection_id: str) -> Verdict:
        while (connection := self._registry.snapshot.connections.get(connection_id)) is not None:
            # The monitor handles failures: a locked vault does not make a connection unhealthy.
            with contextlib.suppress(StaleRevision):
                target = await self._registry.target(connection)
                ask = self._prober.check if connection.facts else self._prober.check_untested
                return await ask(target, timeout_s=CHECK_TIMEOUT_S)
        return Verdict(Outcome.CONFIG_ERROR, "removed")

    def on_health(
        self,
        connection_id: str,
        health: Health,
        transition: Transition | None,
        sample: Sample | None,
    ) -> None:
        """See `nexo_daemon.health.monitor.Sink`."""
        connection = self._registry.snapshot.connections.get(connection_id)
        if connection is None:
            return
        self._health[connection_id] = health
        self._journal.health(connection_id, health, sample, transition)
        self._registry.bus.publish(ConnectionChanged(connection_id))
        if transition is not None:
            log.info(
                "'%s' is %s%s (was %s)",
                connection.name,
                transition.to_state,
                f": {transition.reason}" if transition.reason else "",
                transition.from_state,
            )
            self._registry.bus.publish(transition)
            self.stand_ins.health_changed(connection_id)
            if sample is not None and sample.outcome is Outcome.AUTH_ERROR:
                self._roll_back(connection)
        if sample is not None and sample.outcome is Outcome.OK:
            self._note_proof(connection)

    def on_offline(self, since: datetime | None) -> None:
        """See `nexo_daemon.health.monitor.Sink`."""
        if (since is not None) is not self._offline:
            self._offline = since is not None
            log.info("this computer is %s", "offline" if since else "online again")
        self._registry.bus.publish(Sign.STATUS_CHANGED)

    def on_other_network(self) -> None:
        """See `nexo_daemon.health.monitor.Sink`."""
        self.other_network()

    def _note_proof(self, connection: StoredConnection) -> None:
        if connection.key_verdict is not KeyVerdict.VERIFIED:
            return
        proven = connection.key_proven_at
        if proven is not None and self._clock.now() - proven < PROVEN_RESOLUTION:
            return
        self._errand(self._registry.set_key_facts(connection.id, verdict=None, proven=True))

    def _roll_back(self, connection: StoredConnection) -> None:
        # Only a new key that never worked is replaced: one that did was revoked, probably with the old one.
        if connection.has(SecretKind.PREVIOUS_API_KEY) and connection.key_proven_at is None:
            log.warning("'%s': the new key is rejected; the previous one is put back", connection.name)
            self._errand(self._registry.roll_back_key(connection.id))

    def tested(self, connection: StoredConnection, report: TestReport) -> None:
        """A person tested the connection: show what that proved at once, and check the rest soon."""
        current = self._registry.snapshot.connections.get(connection.id)
        if connection.id not in self._watched or current is None:
            return
        if current.revision == connection.revision and _concerns_health(report):
            self.monitor.tested(connection.id, report.verdict)
        else:
            self._errand(self.monitor.check_now([connection.id]))

    def _errand(self, work: Coroutine[Any, Any, object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except NexoError as error:
                log.info("postponed: %s", error.message)

        task = asyncio.ensure_future(guarded())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # -- commands -----------------------------------------------------------------------------------

    async def check_now(
        self, connections: Sequence[StoredConnection], timeout_s: float | None = None
    ) -> None:
        """Check at once. Connections that can't be checked, or not in time, keep their light.

        Raises:
            RetryLater: every provider asked to wait.
        """
        ids = [c.id for c in connections if c.id in self._watched]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.monitor.check_now(ids)

    def suspect(self, connection: StoredConnection) -> None:
        """A program reported a failure: check soon. A report alone never changes the health."""
        if connection.id in self._watched:
            self.monitor.suspect(connection.id)

    def witnessed(self, request: CallOutcome, verdict: Verdict) -> None:
        """Apply what a request through the gateway proved, unless the connection has changed since."""
        connection = self._registry.snapshot.connections.get(request.connection_id)
        same = connection is not None and connection.revision == request.revision
        if same and request.connection_id in self._watched:
            self.monitor.witnessed(request.connection_id, verdict, request.asked_at)

    async def close(self) -> None:
        """Stop the errands: writes finish, checks end with the monitor, whose task its owner stops."""
        self.stand_ins.close()
        if self._errands:
            await asyncio.wait(self._errands)


_DECIDED = frozenset({Outcome.OK, Outcome.AUTH_ERROR, Outcome.PERMISSION, Outcome.NOT_COMPATIBLE})
_BEYOND_CHECKS = (Layer.MODEL_LISTED, Layer.COMPLETION)


def _concerns_health(report: TestReport) -> bool:
    """Whether the report says something about the service or the key, not about the local network."""
    beyond = any(r.layer in _BEYOND_CHECKS and r.status is LayerStatus.FAILED for r in report.layers)
    return report.verdict.outcome in _DECIDED and not beyond


def watched(connection: StoredConnection, settings: HealthSettings, *, important: bool) -> Watched:
    """How to check a connection: at its own interval, or at that of the settings."""
    usual = settings.important_interval_s if important else settings.other_interval_s
    own = connection.check_interval_s
    return Watched(
        connection.id,
        origin(connection.base_url),
        interval_s=max(usual if own is None else own, MIN_INTERVAL_S),
        important=important,
        paused=connection.checks_paused or settings.paused,
    )


def _unknown(reason: str, known: Health, since: datetime | None) -> Health:
    return replace(
        known,
        state=HealthState.UNKNOWN,
        reason=reason,
        since=since,
        advice="",
        next_check_at=None,
        last_known=last_seen(known),
    )
