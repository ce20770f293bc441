"""Small charts of the past for a terminal: one column a slice of time. Pure.

A bar's height is the latency, its colour the light at that time; slices without a check are dots.
"""

from collections.abc import Sequence

from nexo_cli.format import Span, Style
from nexo_client.slices import Slice

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = ".:-=+*#@"
_RED = "✗"


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


def bar(value: int, most: int, width: int, *, plain: bool) -> str:
    """A horizontal bar; something that is there shows, however small."""
    length = max(round(value / most * width), 1) if value and most else 0
    return ("#" if plain else "█") * length
