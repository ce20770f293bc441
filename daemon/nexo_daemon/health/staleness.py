"""Is what we show still true? How a state looks when its check is overdue. Pure, for display.

Not stored: the daemon keeps what it saw, and decides at each look whether that is too old to be vouched for.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nexo_client.terms import HealthState
from nexo_daemon.domain.model import Health

STALE: Final = "stale"
MISSED_CHECKS: Final = 3
"""A state is stale when it is this many intervals old."""

SLACK_S: Final = 60.0
"""For jitter, confirmation, and checks that wait for their turn."""


def shown(health: Health, interval_s: float, now: datetime) -> Health:
    """The state to show: UNKNOWN(stale) with its last known value when it is older than three intervals.

    A state that nobody is to check (a rejected key, no check planned) does not grow stale, nor one whose
    provider asked to wait, until that time is over. A check that is planned for later (back-off) counts
    from the time it was planned for.
    """
    if health.state is HealthState.UNKNOWN or health.checked_at is None or health.next_check_at is None:
        return health
    expected = max(health.next_check_at, health.checked_at + timedelta(seconds=interval_s))
    limit = expected + timedelta(seconds=(MISSED_CHECKS - 1) * interval_s + SLACK_S)
    if now <= limit:
        return health
    return replace(
        health,
        state=HealthState.UNKNOWN,
        reason=STALE,
        since=limit,
        last_known=health.state,
        advice="The last check is overdue; ask for one with: nexoctl health --check",
    )
