"""Uptime, latency and slices of a connection's health history. Pure functions.

The store keeps single checks for a day, then one row an hour (minimum, median, maximum), and changes of
state for 90 days, both limited in rows (`nexo_daemon.store.history`). The functions accept both kinds of
samples.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from nexo.connections.model.history import HealthSlice
from nexo.connections.terms import HealthState, Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.model import SERVING, Health, Sample, Transition


@frozen
class Summary:
    """Statistics of a window; None where nothing is known.

    Attributes:
        uptime: share of the known time that was HEALTHY or LIMITED, 0 to 1.
    """

    uptime: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None


def summarize(
    transitions: Sequence[Transition],
    samples: Sequence[Sample],
    health: Health,
    start: datetime,
    end: datetime,
) -> Summary:
    """Compute the statistics of a window.

    Args:
        transitions: in the window, oldest first.
        samples: in the window.
        health: the present one, which held all the time if there was no transition.
        start: beginning of the window.
        end: end of the window, usually now.
    """
    return Summary(
        uptime=uptime(transitions, health, start, end),
        latency_p50_s=latency(samples, 0.50),
        latency_p95_s=latency(samples, 0.95),
        latency_p99_s=latency(samples, 0.99),
    )


def slices(samples: Sequence[Sample], start: datetime, end: datetime, count: int) -> tuple[HealthSlice, ...]:
    """Divide the samples of a window into `count` slices of equal length, clamped to the window."""
    length = (end - start).total_seconds() / count
    groups: list[list[Sample]] = [[] for _ in range(count)]
    for sample in samples:
        index = int((sample.at - start).total_seconds() // length)
        groups[min(max(index, 0), count - 1)].append(sample)
    return tuple(_slice(group) if group else _EMPTY for group in groups)


_EMPTY = HealthSlice()
_SOFT = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})


def _slice(group: Sequence[Sample]) -> HealthSlice:
    latencies = sorted(
        sample.latency_median_s
        for sample in group
        if sample.latency_median_s is not None and sample.failures < sample.checks
    )
    bad = [sample.outcome for sample in group if sample.failures]
    worst = HealthState.LIMITED if bad else HealthState.HEALTHY
    if not _SOFT.issuperset(bad):
        worst = HealthState.UNHEALTHY
    return HealthSlice(
        latency_s=latencies[len(latencies) // 2] if latencies else None,
        worst=worst,
        checks=sum(sample.checks for sample in group),
        failures=sum(sample.failures for sample in group),
        from_traffic=sum(sample.from_traffic for sample in group),
    )


def uptime(transitions: Sequence[Transition], health: Health, start: datetime, end: datetime) -> float | None:
    """Share of the known time in a window that was HEALTHY or LIMITED; None when nothing is known.

    UNKNOWN time (offline, paused, daemon not running) is not counted.
    """
    inside = [t for t in transitions if start <= t.at <= end]
    state = inside[0].from_state if inside else health.state
    at = start
    if inside:
        # The first transition says how long the state before it lasted; nothing is known before that.
        first = inside[0]
        if first.lasted_s is not None:
            began = first.at.timestamp() - first.lasted_s
            at = max(start, datetime.fromtimestamp(began, tz=start.tzinfo))
    elif health.since is not None:
        at = max(start, health.since)
    up = known = 0.0
    for moment, following in [*((t.at, t.to_state) for t in inside), (end, state)]:
        span = max(0.0, (moment - at).total_seconds())
        if state is not HealthState.UNKNOWN:
            known += span
            if state in SERVING:
                up += span
        at, state = max(at, moment), following
    return up / known if known > 0 else None


def latency(samples: Sequence[Sample], quantile: float) -> float | None:
    """A percentile of the latency of good answers, in seconds; None without samples.

    An hourly row counts as many times as it has checks: its extremes once each, the others as its median.
    That is exact for single checks and an estimate for hours.
    """
    weighted: list[tuple[float, int]] = []
    for sample in samples:
        good = sample.checks - sample.failures
        if sample.latency_median_s is None or good <= 0:
            continue
        if good >= 3 and sample.latency_min_s is not None and sample.latency_max_s is not None:
            weighted.append((sample.latency_min_s, 1))
            weighted.append((sample.latency_median_s, good - 2))
            weighted.append((sample.latency_max_s, 1))
        else:
            weighted.append((sample.latency_median_s, good))
    if not weighted:
        return None
    weighted.sort()
    rank = max(1, math.ceil(quantile * sum(weight for _, weight in weighted)))
    seen = 0
    for value, weight in weighted:
        seen += weight
        if seen >= rank:
            return value
    return weighted[-1][0]
