"""Who stands in for a connection that is down? A pure choice with hysteresis.

While the winner is UNHEALTHY the first healthy connection of the person's list serves. A red light is already
confirmed, so the switch is immediate; the way back waits until the winner has been well for a while, and a
stand-in that is well is kept although an earlier one of the list recovered: programs are moved as rarely as
can be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nexo_client.terms import HealthState
from nexo_daemon.domain.model import Health

RETURN_AFTER_S: Final = 120.0
"""How long the winner must have been well before programs return to it."""

_WELL: Final = frozenset({HealthState.HEALTHY, HealthState.LIMITED})


@dataclass(frozen=True, slots=True)
class Choice:
    """Who serves.

    Attributes:
        winner: id of the connection that the rules chose.
        serving: id of the connection that serves: the winner itself, or a stand-in.
        why: one clause for a person; empty when all is as the rules say.
        revisit_at: choose again then, even if no light changes before.
    """

    winner: str
    serving: str
    why: str = ""
    revisit_at: datetime | None = None

    @property
    def stands_in(self) -> bool:
        """Whether somebody else serves than the rules chose."""
        return self.serving != self.winner


def choose(
    winner: str,
    fallback: Sequence[str],
    health: Mapping[str, Health],
    now: datetime,
    previous: Choice | None = None,
) -> Choice:
    """Choose who serves for a winner.

    Args:
        winner: id of the connection that the rules chose.
        fallback: ids of the enabled stand-ins in order of preference; empty: the fall-back is off.
        health: the lights, by id.
        now: the moment.
        previous: what was chosen last for this winner, for the hysteresis.
    """
    candidates = [id_ for id_ in fallback if id_ != winner]
    if not candidates:
        return Choice(winner, winner)
    light = health.get(winner, Health())
    current = previous.serving if previous is not None and previous.winner == winner else winner
    if current not in candidates:
        current = winner
    if light.state is not HealthState.UNHEALTHY:
        return _with_winner_up(winner, light, current, health, now)
    if current != winner and _state(health, current) is HealthState.HEALTHY:
        return Choice(winner, current, _down(light))
    for wanted in (HealthState.HEALTHY, HealthState.LIMITED):
        for id_ in candidates:
            if _state(health, id_) is wanted:
                limited = (
                    "" if wanted is HealthState.HEALTHY else "; no stand-in is healthy, this one is limited"
                )
                return Choice(winner, id_, _down(light) + limited)
    return Choice(winner, winner, _down(light) + ", and so is every stand-in")


def _with_winner_up(
    winner: str, light: Health, current: str, health: Mapping[str, Health], now: datetime
) -> Choice:
    if current == winner or _state(health, current) is HealthState.UNHEALTHY:
        return Choice(winner, winner)
    if light.state not in _WELL:
        # Off line, paused, just edited: nothing says that the winner is back.
        return Choice(winner, current, f"it was down, and is not known to be back ({light.reason})")
    back_at = (light.since or now) + timedelta(seconds=RETURN_AFTER_S)
    if now >= back_at:
        return Choice(winner, winner)
    why = f"it is back, and gets its place again when it has been well for {RETURN_AFTER_S:.0f} s"
    # A clock that was set back must not hold programs for longer than the rule says.
    revisit = min(back_at, now + timedelta(seconds=RETURN_AFTER_S))
    return Choice(winner, current, why, revisit_at=revisit)


def _state(health: Mapping[str, Health], connection_id: str) -> HealthState:
    return health.get(connection_id, Health()).state


def _down(light: Health) -> str:
    return f"it is unhealthy ({light.reason})" if light.reason else "it is unhealthy"
