"""The health of a connection."""

from datetime import datetime

from nexo.connections.terms import HealthState
from nexo.connections.values import frozen


@frozen
class Health:
    """The health of a connection as last observed.

    Attributes:
        reason: a stable word that explains the state; empty when healthy.
        since: when the state began.
        latency_s: time to the complete answer of the last successful check.
        retry_at: the provider asked to send nothing before this time.
        advice: one sentence on what to do; empty when healthy.
        last_known: the last observed state, if `state` is UNKNOWN.
    """

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
