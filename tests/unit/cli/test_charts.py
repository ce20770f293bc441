"""The chart of `nexoctl history`, and spans as people type them."""

import argparse
from datetime import UTC, datetime, timedelta

import pytest

from nexo.connections.terms import Outcome
from nexo_cli.charts import latency_line
from nexo_cli.format import Style
from nexo_cli.parser import span
from nexo_daemon.domain.model import Sample
from nexo_daemon.registry.history import slices

START = datetime(2026, 11, 23, tzinfo=UTC)
END = START + timedelta(hours=10)


def sample(hours: float, latency: float | None, outcome: Outcome = Outcome.OK) -> Sample:
    bad = int(outcome is not Outcome.OK)
    return Sample("c", START + timedelta(hours=hours), outcome, "", latency, latency, latency, failures=bad)


def drawn(samples: list[Sample], *, plain: bool = False) -> tuple[str, list[Style]]:
    line = latency_line(slices(samples, START, END, 10), plain=plain)
    return "".join(part.text for part in line), [part.style for part in line]


def test_bars_grow_with_latency_and_take_the_colour_of_the_light() -> None:
    samples = [
        sample(0.5, 0.1),
        sample(1.5, 0.9),
        sample(2.5, None, Outcome.UNREACHABLE),
        sample(3.5, None, Outcome.RATE_LIMITED),
        sample(4.1, 0.5),
        sample(4.2, None, Outcome.PROVIDER_DOWN),
    ]
    text, styles = drawn(samples)
    assert text == "▁█✗!▅·····"
    assert styles[:6] == [Style.GOOD, Style.GOOD, Style.BAD, Style.WARNING, Style.BAD, Style.FAINT]
    assert drawn(samples, plain=True)[0] == ".@x!+     "


def test_no_checks_and_equal_checks_draw_something() -> None:
    assert drawn([])[0] == "·" * 10
    assert drawn([sample(hour + 0.5, 0.2) for hour in range(10)])[0] == "▁" * 10


def test_samples_at_the_edges_are_in_the_chart() -> None:
    text, _ = drawn([sample(-0.2, 0.1), sample(10.0, 0.1)])
    assert text == "▁········▁"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("5min", 300), ("1.5h", 5400), ("7d", 604800), ("45", 45)]
)
def test_spans(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "0", "soon", "nan", "inf", "5 weeks"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="30s, 5m, 12h or 7d"):
        span(text)
