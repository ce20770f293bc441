"""The checks of a span of time, summed up in slices of equal length: what charts are drawn from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nexo.connections.terms import Outcome
from nexo_client import types

_SOFT = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})


@dataclass(frozen=True, slots=True)
class Slice:
    """What the checks of one slice of time found.

    Attributes:
        latency_s: the median of the medians of good checks.
        failed, limited: whether a check failed, or was told to wait.
    """

    latency_s: float | None = None
    failed: bool = False
    limited: bool = False
    checks: int = 0


def slices(
    samples: Sequence[types.HealthSample], start: datetime, end: datetime, count: int
) -> tuple[Slice, ...]:
    """Sort the samples of a window into so many slices of equal length."""
    length = (end - start).total_seconds() / count
    groups: list[list[types.HealthSample]] = [[] for _ in range(count)]
    for sample in samples:
        index = int((sample.at - start).total_seconds() // length)
        groups[min(max(index, 0), count - 1)].append(sample)
    return tuple(_sum(group) for group in groups)


def _sum(group: list[types.HealthSample]) -> Slice:
    latencies = sorted(
        sample.latency_median_s
        for sample in group
        if sample.latency_median_s is not None and sample.failures < sample.checks
    )
    bad = [sample for sample in group if sample.failures]
    return Slice(
        latency_s=latencies[len(latencies) // 2] if latencies else None,
        failed=any(sample.outcome not in _SOFT for sample in bad),
        limited=any(sample.outcome in _SOFT for sample in bad),
        checks=sum(sample.checks for sample in group),
    )
