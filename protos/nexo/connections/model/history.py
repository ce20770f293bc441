"""The health of connections over time, and the settings of the health checks."""

from datetime import datetime

from nexo.connections.model.health import Health
from nexo.connections.terms import HealthState, Outcome
from nexo.connections.values import frozen


@frozen
class HealthTransition:
    """A change of a connection's health state.

    Attributes:
        important: the change is reported to the person; only for the default and bound connections.
        source: the request that showed it: "probe" (a check or test), "traffic" (a program's request through
            the gateway), or "" if no request did.
    """

    connection_id: str
    connection: str
    at: datetime
    from_state: HealthState
    to_state: HealthState
    reason: str
    evidence: str
    lasted_s: float | None
    advice: str
    important: bool
    source: str = ""


@frozen
class HealthSample:
    """A single check, or the summary of an hour of older checks.

    Attributes:
        span_s: length of the summarised time; None for a single check.
        from_traffic: number of checks that were requests of programs through the gateway.
    """

    at: datetime
    span_s: float | None
    checks: int
    failures: int
    latency_min_s: float | None
    latency_median_s: float | None
    latency_max_s: float | None
    outcome: Outcome
    reason: str
    from_traffic: int = 0


@frozen
class HealthHistory:
    """Transitions and samples, oldest first, with their summary. `uptime` is 0 to 1, None if unknown."""

    transitions: tuple[HealthTransition, ...]
    samples: tuple[HealthSample, ...]
    uptime: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None


@frozen
class HealthSlice:
    """The checks of a slice of time.

    Attributes:
        latency_s: median latency of the successful checks.
        worst: state of the worst check: healthy, limited or unhealthy; unknown without checks.
        from_traffic: number of checks that were requests of programs through the gateway.
    """

    latency_s: float | None = None
    worst: HealthState = HealthState.UNKNOWN
    checks: int = 0
    failures: int = 0
    from_traffic: int = 0


@frozen
class SlicedHistory:
    """The history of a connection in slices of `slice_s` seconds, with its newest 500 transitions, all oldest
    first.

    Attributes:
        uptime: 0 to 1; None if unknown.
    """

    connection: str
    start: datetime
    slice_s: float
    slices: tuple[HealthSlice, ...]
    transitions: tuple[HealthTransition, ...]
    uptime: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None


@frozen
class HealthSettings:
    """How often connections are checked."""

    important_interval_s: float = 60.0
    other_interval_s: float = 300.0
    paused: bool = False


@frozen
class ConnectionHealth:
    """The health of a named connection."""

    connection_id: str
    connection: str
    health: Health
