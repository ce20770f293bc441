"""Show, switch or undo the default: programs get this connection unless another one was chosen for them.

Running programs that follow apply a switch at once; --wait waits until all of them have, and names those
that have not (exit code 1). You can switch to a connection that does not work; the problem is then printed.
"""

from __future__ import annotations

import argparse

from nexo.connections.ranges import LONGEST_CALL_S
from nexo_cli import looks
from nexo_cli.cmds.status import name_of
from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import UsageError, number
from nexo_cli.session import Session
from nexo_client import errors, records, types
from nexo_client.client import Client

_LIST_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the new default and --undo; without either, the present default is shown."""
    parser.add_argument("connection", nargs="?", metavar="NAME", help="the new default")
    parser.add_argument("--undo", action="store_true", help="back to the default before the last switch")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=number(float, 0, LONGEST_CALL_S),
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
        code = _report(session, switch, waited=arguments.wait is not None)
        if not session.json:
            for missed in missed_models(client, switch):
                session.printer.warn(missed)
    return code


def missed_models(client: Client, switch: types.DefaultSwitch) -> list[str]:
    """Programs that asked the former default within the hour for models that the new one does not list."""
    former = switch.previous.name if switch.previous else ""
    try:
        asking = [
            user
            for user in client.gateway.status().users
            if user.models and user.connection_name == former != switch.connection.name
        ]
        if not asking:
            return []
        offered = {model.id for model in client.list_models(switch.connection.name, timeout_s=_LIST_S).models}
    except errors.NexoError:
        # The switch is done; a failure to fetch the list says nothing about it.
        return []
    sent = {row.asked: row.sent for row in switch.connection.model_map}

    def told(model: str) -> str:
        return f"{model} (sent as {sent[model]})" if model in sent else model

    return [
        f"{name_of(user)} asks for {', '.join(missing)}, which {switch.connection.name} does not list"
        for user in asking
        if offered
        and (missing := [told(model) for model in user.models if sent.get(model, model) not in offered])
    ]


def _show(session: Session, connection: types.Connection | None) -> int:
    if session.json:
        session.printer.json(records.plain(connection, session.now))
    elif connection is None:
        session.printer.note(
            "There is no default. Choose one (nexoctl default NAME) or add one (nexoctl add)."
        )
    elif session.terminal.width is None:
        session.printer.line(connection.name)
    else:
        light = looks.light(connection.health, session.now)
        session.printer.line(Span("★ ", Style.WARNING), Span(connection.name, Style.STRONG), "  ", light)
    return Exit.OK if connection is not None else Exit.NOT_FOUND


def _report(session: Session, switch: types.DefaultSwitch, *, waited: bool) -> int:
    code = Exit.FAILED if switch.pending_followers else Exit.OK
    if session.json:
        session.printer.json(records.of(switch, session.now))
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
