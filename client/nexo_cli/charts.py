"""Small charts of a connection's past for a terminal: one column for each slice of time. Pure.

A bar's height is the latency, its colour the health state at that time; slices without a check are dots.
"""

from collections.abc import Sequence

from nexo.connections.terms import HealthState
from nexo_cli import looks
from nexo_cli.format import Span, Style
from nexo_client.types import HealthSlice

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*#@"
_RED = "✗"


def latency_line(parts: Sequence[HealthSlice], *, plain: bool) -> tuple[Span, ...]:
    """The bars, lowest to highest latency of the window."""
    known = [part.latency_s for part in parts if part.latency_s is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    bars = PLAIN_BARS if plain else BARS
    return tuple(_bar(part, low, high, bars, plain=plain) for part in parts)


def _bar(part: HealthSlice, low: float, high: float, bars: str, *, plain: bool) -> Span:
    if part.latency_s is None:
        if part.worst is HealthState.UNHEALTHY:
            return Span("x" if plain else _RED, Style.BAD)
        limited = part.worst is HealthState.LIMITED
        return Span("!", Style.WARNING) if limited else Span(" " if plain else "·", Style.FAINT)
    share = (part.latency_s - low) / (high - low) if high > low else 0.0
    return Span(bars[min(int(share * len(bars)), len(bars) - 1)], looks.state_style(part.worst))


def bar(value: int, most: int, width: int, *, plain: bool) -> str:
    """A horizontal bar; a value above zero is always visible."""
    length = max(round(value / most * width), 1) if value and most else 0
    return ("#" if plain else "█") * length
