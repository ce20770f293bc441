"""Show a connection's past: uptime, latency, and every change of its health with the reason.

In the chart each column is a slice of the window: its height is the latency, its colour the health. Single
checks are kept for a day, then one summary for each hour; changes of health are kept for 90 days.

  nexoctl history work                the last day
  nexoctl history work --window 7d
"""

import argparse
from collections.abc import Sequence
from functools import partial

from nexo.connections.phrases import phrase
from nexo.connections.ranges import LONGEST_WINDOW_S
from nexo_cli import charts, looks
from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style, clock, duration
from nexo_cli.parser import span
from nexo_cli.session import Session
from nexo_client import records, types

_CHART_WIDTH = 72
_CHANGES_TOLD = 500
"""The contract's limit for one answer."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare which connection, and how far back."""
    parser.add_argument("connection", metavar="NAME", help="the connection")
    parser.add_argument(
        "--window",
        type=partial(span, most_s=LONGEST_WINDOW_S),
        default=86400.0,
        metavar="SPAN",
        help="how far back, up to 90d (default: 1d)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the numbers, the chart and the changes."""
    width = max(min(_CHART_WIDTH, (session.terminal.width or _CHART_WIDTH) - 2), 10)
    with session.client() as client:
        if session.json:
            history = client.history(arguments.connection, arguments.window)
            (light,) = client.health([arguments.connection])
            session.printer.json(
                {
                    "connection": light.connection,
                    "window_s": arguments.window,
                    **records.of(history),
                    "health": records.of(light, session.now),
                }
            )
            return Exit.OK
        (light,) = client.health([arguments.connection])
        (past,) = client.histories([light.connection], arguments.window, width)
    printer, now = session.printer, session.now
    printer.fields(
        [
            ("Connection", Span(light.connection, Style.STRONG)),
            ("State", looks.light(light.health, now)),
            ("Window", duration(arguments.window)),
            ("Uptime", _uptime(past.uptime)),
            ("Latency", _latency(past)),
            ("Checks", _checks(past.slices)),
        ]
    )
    if any(part.checks for part in past.slices):
        printer.line()
        _chart(past, session)
    changes = [turn for turn in past.transitions if turn.from_state is not turn.to_state]
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
    if len(past.transitions) >= _CHANGES_TOLD:
        printer.note("Only the newest changes are shown; --json prints all of them.")
    if not any(part.checks for part in past.slices) and not changes:
        printer.note("There was no check in this window.")
    return Exit.OK


def _uptime(uptime: float | None) -> str:
    if uptime is None:
        return "not known"
    # 99.996 % must not read as 100 %.
    return "100 %" if uptime == 1.0 else f"{min(uptime * 100, 99.99):.2f} %"


def _latency(past: types.SlicedHistory) -> str:
    if past.latency_p50_s is None:
        return "not known"
    parts = {"p50": past.latency_p50_s, "p95": past.latency_p95_s, "p99": past.latency_p99_s}
    return ", ".join(f"{name} {duration(value)}" for name, value in parts.items() if value is not None)


def _checks(slices: Sequence[types.HealthSlice]) -> str:
    checks = sum(part.checks for part in slices)
    failures = sum(part.failures for part in slices)
    programs = sum(part.from_traffic for part in slices)
    parts = ((f"{failures} failed", failures), (f"{programs} were requests of programs", programs))
    told = " and ".join(text for text, count in parts if count)
    return f"{checks}, of which {told}" if told else str(checks)


def _chart(past: types.SlicedHistory, session: Session) -> None:
    plain = not session.terminal.can_write(charts.BARS)
    session.printer.line("  ", *charts.latency_line(past.slices, plain=plain))
    left, right = clock(past.start), "now"
    session.printer.line("  ", Span(left + right.rjust(len(past.slices) - len(left)), Style.FAINT))


_SEEN_BY = {"probe": "a check", "traffic": "a program"}


def _row(turn: types.HealthTransition) -> tuple[str, tuple[Span, ...], str, str, str, str]:
    change = (
        Span(f"{turn.from_state.value} → ", Style.FAINT),
        Span(turn.to_state.value, looks.state_style(turn.to_state)),
    )
    seen_by = _SEEN_BY.get(turn.source, "")
    return clock(turn.at), change, duration(turn.lasted_s), phrase(turn.reason), seen_by, turn.evidence
