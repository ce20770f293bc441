"""List the programs that got a secret, when, and why; newest first. Repeats within an hour are one line."""

import argparse
from datetime import timedelta

from nexo_cli.errors import Exit
from nexo_cli.format import Column, clock
from nexo_cli.parser import given, number, span
from nexo_cli.session import Session
from nexo_client import records


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare which connection, and how many entries."""
    parser.add_argument(
        "connection", type=given, nargs="?", metavar="NAME", help="only hand-outs of this connection"
    )
    parser.add_argument(
        "-n", "--limit", type=number(int, 0), default=100, metavar="N", help="how many entries (default: 100)"
    )
    parser.add_argument(
        "--since", type=span, metavar="SPAN", help="only hand-outs within this time, such as 1h or 7d"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the record."""
    with session.client(wait=True) as client:
        since = None if arguments.since is None else session.now - timedelta(seconds=arguments.since)
        handouts = client.handouts(arguments.connection or "", limit=arguments.limit, since=since)
    if session.json:
        session.printer.json(records.plain(handouts))
        return Exit.OK
    if not handouts:
        session.printer.note(f"No secret was handed out {'yet' if since is None else 'since then'}.")
        return Exit.OK
    columns = [
        Column("WHEN"),
        Column("TIMES", right=True, droppable=4),
        Column("CONNECTION", flexible=12),
        Column("PROGRAM", flexible=10),
        Column("PID", right=True),
        Column("WORKSPACE", flexible=16, droppable=1),
        Column("RULE", droppable=2),
        Column("CALL", droppable=3),
    ]
    rows = [
        (
            clock(handout.last_at),
            str(handout.times),
            handout.connection,
            handout.client.program or handout.client.name,
            str(handout.client.pid or ""),
            handout.workspace,
            handout.source.value if handout.source else "",
            handout.method,
        )
        for handout in handouts
    ]
    session.printer.table(columns, rows)
    return Exit.OK
