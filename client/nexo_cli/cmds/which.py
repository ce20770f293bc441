"""Say which connection a directory (or a named workspace) gets, and the rule that chose it.

Prints no secret. The rules in order: the name given in the call (--connection), NEXO_CONNECTION, the nearest
bound directory above (or the bound name), the default. If a rule names a connection that is gone or switched
off, that is an error; the next rule is not tried.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nexo_cli.cmds.status import gateway_of, name_of
from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style
from nexo_cli.parser import UsageError, given
from nexo_cli.session import Session
from nexo_client import records, types
from nexo_client.failures import from_reason

if TYPE_CHECKING:
    from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the directory or workspace."""
    parser.add_argument(
        "path", type=given, nargs="?", metavar="PATH", help="a directory (default: the current one)"
    )
    parser.add_argument(
        "--workspace", type=given, metavar="NAME", help="the name of a workspace, instead of a directory"
    )
    parser.add_argument(
        "--connection", type=given, metavar="NAME", help="as if the program asked for this connection"
    )
    parser.add_argument(
        "--explain", action="store_true", help="show every rule, also those that did not apply"
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the connection and the rule; the exit code is that of `resolve`."""
    if arguments.path and arguments.workspace:
        raise UsageError("a directory and --workspace are both given", "give one of them")
    place = arguments.workspace or types.Workspace(path=arguments.path or ".")
    with session.client(wait=True) as client:
        found = client.explain(arguments.connection, workspace=place)
        users = behind(client, found.connection)
    facts = {"hint": found.problem_hint}
    problem = from_reason(found.problem_reason, found.problem, facts) if found.problem_reason else None
    if session.json:
        session.printer.json(records.of(found) | {"gateway_programs": records.plain(users)})
    else:
        _say(session, found, everything=arguments.explain or problem is not None)
        if users:
            names = "; ".join(name_of(user) for user in users)
            session.printer.line(Span(f"programs that use it through the gateway: {names}", Style.FAINT))
    if problem is not None:
        raise problem
    return Exit.OK


def behind(client: Client, connection: str) -> tuple[types.GatewayUser, ...]:
    """The programs whose last request through the gateway went to that connection."""
    overview = gateway_of(client) if connection else None
    users = overview.users if overview else ()
    return tuple(user for user in users if user.connection_name == connection)


def _say(session: Session, found: types.Explanation, *, everything: bool) -> None:
    winner = next((step for step in found.steps if step.won), None)
    if found.connection:
        why = winner.text if winner is not None else found.source.value if found.source else ""
        session.printer.line(Span(found.connection, Style.STRONG), Span(f"  ({why})", Style.FAINT))
    if not everything:
        return
    columns = [Column(""), Column("RULE"), Column("CONNECTION", flexible=12), Column("WHY", flexible=20)]
    rows = [
        (
            Span("→" if step.won else " ", Style.GOOD),
            step.source.value,
            step.connection or "-",
            step.text,
        )
        for step in found.steps
    ]
    session.printer.table(columns, rows)
