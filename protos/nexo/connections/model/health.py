"""The health of a connection."""

from datetime import datetime

from nexo.connections.terms import HealthState
from nexo.connections.values import frozen


@frozen
class Health:
    """The health of a connection, as last observed."""

    state: HealthState = HealthState.UNKNOWN
    reason: str = "never"
    since: datetime | None = None
    checked_at: datetime | None = None
    latency_s: float | None = None
    retry_at: datetime | None = None
    consecutive_failures: int = 0
    next_check_at: datetime | None = None
    advice: str = ""
    last_known: HealthState | None = None
