"""Show the requests and tokens that went through the gateway, as the providers reported them.

Nothing is estimated: a response that reports no tokens is counted as such. Hours are kept for a month, days
for a year. No prompt and no response is kept.

  nexoctl usage                             by connection, the last 30 days
  nexoctl usage --since 1d --by program --by model
  nexoctl usage --by day
"""

import argparse
from datetime import timedelta

from nexo.connections.terms import UsageBy
from nexo_cli import charts
from nexo_cli.errors import Exit
from nexo_cli.format import Cell, Column, Span, Style
from nexo_cli.parser import span
from nexo_cli.session import Session
from nexo_client import records, types

_BAR_WIDTH = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the time span, and the grouping."""
    parser.add_argument(
        "--since", type=span, default=30 * 86400.0, metavar="SPAN", help="how far back (default: 30d)"
    )
    parser.add_argument(
        "--by",
        action="append",
        choices=[by.value for by in UsageBy],
        metavar="WHAT",
        help=f"add up by {', '.join(by.value for by in UsageBy)}; may be repeated (default: connection)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the rows."""
    by = [UsageBy(word) for word in dict.fromkeys(arguments.by or [UsageBy.CONNECTION.value])]
    since = session.now - timedelta(seconds=arguments.since)
    with session.client(wait=True) as client:
        report = client.gateway.usage(since=since, by=by)
    if session.json:
        session.printer.json(records.plain(report.rows))
    elif not report.rows:
        session.printer.note("No request went through the gateway in this time.")
    else:
        _table(session, report.rows, by)
    return Exit.OK


def _table(session: Session, rows: tuple[types.Usage, ...], by: list[UsageBy]) -> None:
    bars = session.terminal.width is not None
    columns = [Column(word.value.upper(), flexible=12) for word in by]
    columns += [Column(title, right=True) for title in ("REQUESTS", "INPUT", "CACHED", "OUTPUT")]
    columns += [Column("FAILED", right=True, droppable=2), Column("BROKE OFF", right=True, droppable=3)]
    columns += [Column("", droppable=1)] if bars else []
    most = max(_tokens(row) for row in rows)
    plain = not session.terminal.can_write(charts.BARS)
    cells = [
        (
            *(_key(row, word) for word in by),
            f"{row.requests:,}",
            *(_counted(row, count) for count in (row.input_tokens, row.cached_tokens, row.output_tokens)),
            f"{row.failed:,}",
            f"{row.broken + row.left:,}",
            *([Span(charts.bar(_tokens(row), most, _BAR_WIDTH, plain=plain), Style.GOOD)] if bars else []),
        )
        for row in rows
    ]
    session.printer.table(columns, cells)
    unreported = sum(row.unreported for row in rows)
    if unreported:
        session.printer.note(f"{unreported:,} responses reported no tokens; the sums do not include them.")


def _tokens(row: types.Usage) -> int:
    return row.input_tokens + row.output_tokens


def _counted(row: types.Usage, count: int) -> Cell:
    """The cell for a sum. If no response reported tokens, the sum is unknown, not zero."""
    told = row.requests - row.failed - row.unreported
    return f"{count:,}" if count or told > 0 or not row.unreported else Span("not reported", Style.FAINT)


def _key(row: types.Usage, by: UsageBy) -> Cell:
    if by in (UsageBy.DAY, UsageBy.HOUR):
        form = "%Y-%m-%d" if by is UsageBy.DAY else "%Y-%m-%d %H:00 UTC"
        return row.at.strftime(form) if row.at else ""
    return str(getattr(row, by.value)) or Span("-", Style.FAINT)
