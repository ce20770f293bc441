"""Remove a connection and its secrets.

A connection in use (the default, or bound to a workspace) is not removed. --replace-with NAME moves its users
to another connection in the same step. --force removes it anyway; workspaces that were bound to it then get
an error, never another connection.
"""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import given
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the connection, and what its users get instead."""
    parser.add_argument("connection", metavar="NAME", help="the connection to remove")
    users = parser.add_mutually_exclusive_group()
    users.add_argument("--replace-with", type=given, metavar="NAME", help="move its users to this connection")
    users.add_argument("--force", action="store_true", help="remove it although it is in use")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Ask on a terminal, then remove."""
    with session.client() as client:
        connection = client.get_connection(arguments.connection)
        if session.interactive and not (arguments.yes or arguments.force):
            lost = " and its stored key" if connection.key.source.value == "stored" else ""
            if not session.terminal.confirm(f"Remove {connection.name}{lost}?"):
                session.printer.note("Nothing was removed.")
                return Exit.OK
        revision = client.delete_connection(
            connection.name, replace_with=arguments.replace_with or "", force=arguments.force
        )
    if session.json:
        session.printer.json(
            {"removed": connection.name, "replaced_with": arguments.replace_with, "revision": revision}
        )
        return Exit.OK
    session.printer.line(Span("Removed ", Style.GOOD), Span(connection.name, Style.STRONG))
    if arguments.replace_with:
        session.printer.line(f"What used it gets {arguments.replace_with} now.")
    elif connection.is_default:
        session.printer.warn(
            "there is no default any more; choose one (nexoctl default NAME) or add one (nexoctl add)"
        )
    return Exit.OK
