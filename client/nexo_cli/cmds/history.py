"""Show how a connection did over time: uptime, latency, and every change of its light with the reason.

In the chart each column is a slice of the window: its height is the latency, its colour the light. Single
checks are kept for a day, after that one summary an hour; changes of the light are kept for 90 days.

  nexoctl history work                the last day
  nexoctl history work --window 7d
"""

import argparse
from datetime import timedelta

from nexo.connections.phrases import phrase
from nexo_cli import charts, looks
from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style, clock, duration
from nexo_cli.session import Session
from nexo_cli.spans import span
from nexo_client import records, types
from nexo_client.slices import slices

_CHART_WIDTH = 72


def configure(parser: argparse.ArgumentParser) -> None:
    """Of which connection, and how far back."""
    parser.add_argument("connection", metavar="NAME", help="the connection")
    parser.add_argument(
        "--window", type=span, default=86400.0, metavar="SPAN", help="how far back, up to 90d (default: 1d)"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the numbers, the chart and the changes."""
    with session.client() as client:
        history = client.history(arguments.connection, arguments.window)
        (light,) = client.health([arguments.connection])
    if session.json:
        session.printer.json(
            {
                "connection": light.connection,
                "window_s": arguments.window,
                **records.of(history),
                "health": records.of(light, session.now),
            }
        )
        return Exit.OK
    printer, now = session.printer, session.now
    printer.fields(
        [
            ("Connection", Span(light.connection, Style.STRONG)),
            ("State", looks.light(light.health, now)),
            ("Window", duration(arguments.window)),
            ("Uptime", _uptime(history.uptime)),
            ("Latency", _latency(history)),
            ("Checks", _checks(history)),
        ]
    )
    if history.samples:
        printer.line()
        _chart(arguments.window, history, session)
    changes = [turn for turn in history.transitions if turn.from_state is not turn.to_state]
    if changes:
        printer.line()
        columns = [
            Column("WHEN"),
            Column("CHANGE"),
            Column("AFTER", right=True, droppable=1),
            Column("REASON", flexible=12),
            Column("SEEN BY", droppable=2),
            Column("EVIDENCE", flexible=12, droppable=3),
        ]
        printer.table(columns, [_row(turn) for turn in changes])
    if not history.samples and not changes:
        printer.note("Nothing was observed in this window.")
    return Exit.OK


def _uptime(uptime: float | None) -> str:
    if uptime is None:
        return "not known"
    # 99.996 % must not read as 100 %.
    return "100 %" if uptime == 1.0 else f"{min(uptime * 100, 99.99):.2f} %"


def _latency(history: types.HealthHistory) -> str:
    if history.latency_p50_s is None:
        return "not known"
    parts = {"p50": history.latency_p50_s, "p95": history.latency_p95_s, "p99": history.latency_p99_s}
    return ", ".join(f"{name} {duration(value)}" for name, value in parts.items() if value is not None)


def _checks(history: types.HealthHistory) -> str:
    checks = sum(sample.checks for sample in history.samples)
    failures = sum(sample.failures for sample in history.samples)
    programs = sum(sample.from_traffic for sample in history.samples)
    parts = ((f"{failures} failed", failures), (f"{programs} were requests of programs", programs))
    told = " and ".join(text for text, count in parts if count)
    return f"{checks}, of which {told}" if told else str(checks)


def _chart(window_s: float, history: types.HealthHistory, session: Session) -> None:
    width = min(_CHART_WIDTH, (session.printer.width or _CHART_WIDTH) - 2)
    now = session.now
    start = now - timedelta(seconds=window_s)
    parts = slices(history.samples, start, now, max(width, 10))
    plain = not session.terminal.can_write(charts.BARS)
    session.printer.line("  ", *charts.latency_line(parts, plain=plain))
    left, right = clock(start), "now"
    session.printer.line("  ", Span(left + right.rjust(len(parts) - len(left)), Style.FAINT))


_SEEN_BY = {"probe": "a check", "traffic": "a program"}


def _row(turn: types.HealthTransition) -> tuple[str, tuple[Span, ...], str, str, str, str]:
    change = (
        Span(f"{turn.from_state.value} → ", Style.FAINT),
        Span(turn.to_state.value, looks.state_style(turn.to_state)),
    )
    seen_by = _SEEN_BY.get(turn.source, "")
    return clock(turn.at), change, duration(turn.lasted_s), phrase(turn.reason), seen_by, turn.evidence
