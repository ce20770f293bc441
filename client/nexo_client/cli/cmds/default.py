"""Show, switch or undo the default: the connection that programs get unless something else was chosen.

Running programs that follow apply a switch at once; --wait waits until all of them have, and names those
that have not (exit code 1). Switching to a connection that does not work is possible and says what is wrong.
"""

from __future__ import annotations

import argparse

from nexo_client import types
from nexo_client.cli import looks, records
from nexo_client.cli.errors import Exit
from nexo_client.cli.format import Span, Style
from nexo_client.cli.parser import UsageError
from nexo_client.cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """The new default, or --undo; without either the present one is shown."""
    parser.add_argument("connection", nargs="?", metavar="NAME", help="the new default")
    parser.add_argument("--undo", action="store_true", help="back to the default before the last switch")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=float,
        const=10.0,
        metavar="SECONDS",
        help="wait until every program that follows has applied it (default: 10 seconds)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Show or switch."""
    if arguments.connection is not None and arguments.undo:
        raise UsageError("a name and --undo are both given", "give one of them")
    with session.client() as client:
        if arguments.connection is None and not arguments.undo:
            return _show(session, client.get_default())
        with session.terminal.progress("waiting for programs to apply the switch"):
            if arguments.undo:
                switch = client.undo_default(wait_s=arguments.wait)
            else:
                switch = client.set_default(arguments.connection, wait_s=arguments.wait)
    return _report(session, switch, waited=arguments.wait is not None)


def _show(session: Session, connection: types.Connection | None) -> int:
    if session.json:
        session.printer.json(records.connection(connection, session.now) if connection else None)
    elif connection is None:
        session.printer.note("There is no default. Choose one: nexoctl default NAME")
    elif session.terminal.width is None:
        session.printer.line(connection.name)
    else:
        light = looks.light(connection.health, session.now)
        session.printer.line(Span("★ ", Style.WARNING), Span(connection.name, Style.STRONG), "  ", light)
    return Exit.OK if connection is not None else Exit.NOT_FOUND


def _report(session: Session, switch: types.DefaultSwitch, *, waited: bool) -> int:
    code = Exit.FAILED if switch.pending_followers else Exit.OK
    if session.json:
        session.printer.json(records.switch(switch, session.now))
        return code
    previous = switch.previous.name if switch.previous else ""
    was = f" (was {previous})" if previous and previous != switch.connection.name else ""
    session.printer.line(
        Span("★ ", Style.WARNING), Span(switch.connection.name, Style.STRONG), f" is the default now{was}"
    )
    if switch.warning:
        session.printer.warn(switch.warning)
    if waited and not switch.pending_followers:
        count = switch.followers
        session.printer.line(
            f"{count} program{'s' if count != 1 else ''} applied it."
            if count
            else "No program follows it now."
        )
    for pending in switch.pending_followers:
        session.printer.warn(f"has not applied it yet: {pending}")
    return code
