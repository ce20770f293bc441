"""Small charts of the past for a terminal: one column a slice of time. Pure.

A bar's height is the latency, its colour the light at that time; slices without a check are dots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nexo_client import types
from nexo_client.cli.format import Span, Style
from nexo_client.terms import HealthState, Outcome

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*#@"
_SOFT = frozenset({Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED})
_RED = "✗"


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


def latency_line(parts: Sequence[Slice], *, plain: bool) -> tuple[Span, ...]:
    """The bars, lowest to highest latency of the window."""
    known = [part.latency_s for part in parts if part.latency_s is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    bars = PLAIN_BARS if plain else BARS
    return tuple(_bar(part, low, high, bars, plain=plain) for part in parts)


def _bar(part: Slice, low: float, high: float, bars: str, *, plain: bool) -> Span:
    if part.latency_s is None:
        if part.failed:
            return Span("x" if plain else _RED, Style.BAD)
        return Span("!", Style.WARNING) if part.limited else Span(" " if plain else "·", Style.FAINT)
    share = (part.latency_s - low) / (high - low) if high > low else 0.0
    style = Style.BAD if part.failed else Style.WARNING if part.limited else Style.GOOD
    return Span(bars[min(int(share * len(bars)), len(bars) - 1)], style)


def state_style(state: HealthState) -> Style:
    """The colour of a state in a list of changes."""
    return {
        HealthState.HEALTHY: Style.GOOD,
        HealthState.LIMITED: Style.WARNING,
        HealthState.UNHEALTHY: Style.BAD,
    }.get(state, Style.FAINT)
