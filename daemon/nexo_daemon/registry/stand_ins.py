"""Chooses stand-ins for unhealthy connections: a pure choice with hysteresis, kept up to date.

Made for the default, and for connections of bindings that allow it; empty while the fall-back is disabled.
While the connection that the rules chose (the winner) is UNHEALTHY, the first healthy stand-in of the list
serves. UNHEALTHY is confirmed by repeated checks, so that switch is immediate. Programs are moved as rarely
as possible: they return only when the winner has been healthy for a while, and keep a healthy stand-in even
if an earlier one of the list recovers.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from nexo.connections.terms import HealthState
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import SERVING, Health, StoredConnection
from nexo_daemon.registry.resolution import StandIn
from nexo_daemon.registry.writer import Writer

log = logging.getLogger(__name__)

RETURN_AFTER_S: Final = 120.0
"""How long the winner must have been healthy before programs return to it, in seconds."""


def choose(
    winner: str,
    fallback: Sequence[str],
    health: Mapping[str, Health],
    now: datetime,
    previous: StandIn | None = None,
) -> StandIn:
    """Choose the connection that serves for a winner; the winner itself, without a reason, if it is healthy.

    Args:
        winner: id of the connection that the rules chose.
        fallback: ids of the enabled stand-ins, in order of preference; empty disables the fall-back.
        health: by connection id.
        now: the present time.
        previous: the last choice for this winner, for the hysteresis.
    """
    candidates = [id_ for id_ in fallback if id_ != winner]
    if not candidates:
        return StandIn(winner)
    winner_health = health.get(winner, Health())
    current = winner if previous is None else previous.connection_id
    if current not in candidates:
        current = winner
    if winner_health.state is not HealthState.UNHEALTHY:
        return _with_winner_up(winner, winner_health, current, health, now)
    if current != winner and _state(health, current) is HealthState.HEALTHY:
        return StandIn(current, _down(winner_health))
    for wanted in (HealthState.HEALTHY, HealthState.LIMITED):
        for id_ in candidates:
            if _state(health, id_) is wanted:
                limited = (
                    "" if wanted is HealthState.HEALTHY else "; no stand-in is healthy, this one is limited"
                )
                return StandIn(id_, _down(winner_health) + limited)
    return StandIn(winner, _down(winner_health) + ", and so is every stand-in")


def _with_winner_up(
    winner: str, winner_health: Health, current: str, health: Mapping[str, Health], now: datetime
) -> StandIn:
    if current == winner or _state(health, current) is HealthState.UNHEALTHY:
        return StandIn(winner)
    if winner_health.state not in SERVING:
        # UNKNOWN (offline, paused, just edited) does not prove that the winner has recovered.
        return StandIn(current, f"it was down, and has not been healthy since ({winner_health.reason})")
    back_at = (winner_health.since or now) + timedelta(seconds=RETURN_AFTER_S)
    if now >= back_at:
        return StandIn(winner)
    why = f"it is healthy again, and replaces the stand-in after {RETURN_AFTER_S:.0f} s"
    # If the clock was set back, programs must not wait longer than the rule says.
    revisit = min(back_at, now + timedelta(seconds=RETURN_AFTER_S))
    return StandIn(current, why, revisit_at=revisit)


def _state(health: Mapping[str, Health], connection_id: str) -> HealthState:
    return health.get(connection_id, Health()).state


def _down(health: Health) -> str:
    return f"it is unhealthy ({health.reason})" if health.reason else "it is unhealthy"


class StandIns:
    """Chooses again when health or the configuration changes, and when a choice is due for a review.

    Attributes:
        chosen: the choice by the id of the unhealthy winner; the winner itself if no stand-in is available.
    """

    def __init__(
        self,
        writer: Writer,
        health_of: Callable[[StoredConnection], Health],
        errand: Callable[[Coroutine[Any, Any, object]], None],
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._health_of = health_of
        self._errand = errand
        self._clock = clock
        self._choices: dict[str, StandIn] = {}
        self.chosen: dict[str, StandIn] = {}
        self._concerned: frozenset[str] = frozenset()
        self._timer: asyncio.TimerHandle | None = None

    def health_changed(self, connection_id: str) -> None:
        """The health state of a connection changed."""
        if connection_id in self._concerned and self.choose_anew():
            # A new revision, so that followers see the answer as newer.
            self._errand(self._writer.stand_ins_changed())

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def choose_anew(self) -> bool:
        """Choose again after a change of health or configuration; returns whether a choice changed."""
        self.close()
        snapshot = self._writer.snapshot
        connections = snapshot.connections
        fallback = [
            id_ for id_ in snapshot.settings.fallback_ids if id_ in connections and connections[id_].enabled
        ]
        if not fallback:
            changed = bool(self.chosen)
            self._choices, self.chosen, self._concerned = {}, {}, frozenset()
            return changed
        winners = {b.connection_id for b in snapshot.bindings.values() if b.allow_fallback}
        if snapshot.settings.default_id is not None:
            winners.add(snapshot.settings.default_id)
        winners = {id_ for id_ in winners if id_ in connections and connections[id_].enabled}
        self._concerned = frozenset(winners.union(fallback))
        health = {id_: self._health_of(connections[id_]) for id_ in self._concerned}
        now = self._clock.now()
        self._choices = {
            id_: choose(id_, fallback, health, now, self._choices.get(id_)) for id_ in sorted(winners)
        }
        before = self.chosen
        self.chosen = {id_: choice for id_, choice in self._choices.items() if choice.why}
        self._revisit()
        self._report(before)
        return self.chosen != before

    def _revisit(self) -> None:
        moments = [choice.revisit_at for choice in self._choices.values() if choice.revisit_at is not None]
        if moments:
            wait_s = max(0.0, (min(moments) - self._clock.now()).total_seconds())
            self._timer = asyncio.get_running_loop().call_later(wait_s + 0.05, self._due)

    def _due(self) -> None:
        self._timer = None
        if self.choose_anew():
            self._errand(self._writer.stand_ins_changed())

    def _report(self, before: Mapping[str, StandIn]) -> None:
        for id_ in before.keys() | self.chosen.keys():
            old = before[id_].connection_id if id_ in before else id_
            new = self.chosen[id_].connection_id if id_ in self.chosen else id_
            if old == new:
                continue
            names = {c: one.name for c in (id_, new) if (one := self._writer.snapshot.connections.get(c))}
            if new == id_:
                log.info("'%s' is used again, without a stand-in", names.get(id_, "a removed connection"))
            else:
                log.info("'%s' stands in for '%s': %s", names[new], names.get(id_), self.chosen[id_].why)
