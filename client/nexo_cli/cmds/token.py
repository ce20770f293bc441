"""Tokens for the gateway: programs hold one instead of a key.

Put a token into the settings of a program that cannot be started by `nexoctl run`. It works on this computer
only, can be revoked, and is shown once. Without --workspace or --connection, each request with it goes to the
default connection at that moment.

  nexoctl token add cursor
  nexoctl token add ci --connection cheap --expires 7d
  nexoctl token revoke cursor
"""

import argparse
from functools import partial

from nexo.connections.ranges import LONGEST_TOKEN_S
from nexo_cli.errors import Exit
from nexo_cli.format import Cell, Column, Span, Style, ago, clock
from nexo_cli.parser import UsageError, given, span
from nexo_cli.session import Session
from nexo_client import records, types


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(metavar="add|list|revoke", required=True, dest="verb")
    adding = verbs.add_parser("add", help="make a token and print it, once", description=__doc__)
    adding.add_argument(
        "name", metavar="NAME", help="name of the token, such as the program that will hold it"
    )
    add_owner_options(adding)
    adding.add_argument(
        "--expires",
        type=partial(span, most_s=LONGEST_TOKEN_S),
        metavar="SPAN",
        help="lifetime, such as 7d (default: until it is revoked)",
    )
    adding.set_defaults(run=_add)
    listing = verbs.add_parser("list", help="list the tokens", description="List the tokens.")
    listing.set_defaults(run=_list)
    revoking = verbs.add_parser(
        "revoke",
        help="revoke a token",
        description="Revoke a token, and end the requests that are under way with it.",
    )
    revoking.add_argument("token", metavar="NAME", help="its name")
    revoking.set_defaults(run=_revoke)


def add_owner_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options for the connection that a token gets."""
    parser.add_argument(
        "--workspace",
        type=given,
        metavar="W",
        help="use the connection that this directory or name is bound to",
    )
    parser.add_argument("--connection", type=given, metavar="NAME", help="always use this connection")


def check_owner_options(arguments: argparse.Namespace) -> None:
    """Raise UsageError if both options are given."""
    if arguments.workspace is not None and arguments.connection is not None:
        raise UsageError("--workspace and --connection are both given", "give one of them")


def follows(token: types.GatewayToken) -> Cell:
    """The connection that a token gets, in words."""
    if token.workspace is not None:
        return f"what {token.workspace} gets"
    if token.connection is None:
        return "the default"
    return token.connection or Span("a connection that is gone", Style.BAD)


def _add(arguments: argparse.Namespace, session: Session) -> int:
    check_owner_options(arguments)
    with session.client(wait=True) as client:
        made = client.gateway.create_token(
            arguments.name,
            connection=arguments.connection,
            workspace=arguments.workspace,
            lifetime_s=arguments.expires,
        )
    if session.json:
        session.printer.json(records.of(made.token) | {"token": made.secret})
        return Exit.OK
    session.printer.line(made.secret)
    session.printer.note("It is shown only this once. It gets ", follows(made.token), ".")
    if made.gateway.listening:
        session.printer.note(
            f"The gateway: {made.gateway.base_url('openai')} and others (nexoctl gateway status)"
        )
    else:
        session.printer.note("The gateway does not listen yet: nexoctl gateway on")
    return Exit.OK


def _list(arguments: argparse.Namespace, session: Session) -> int:
    with session.client(wait=True) as client:
        tokens = client.gateway.tokens()
    if session.json:
        session.printer.json(records.plain(tokens))
        return Exit.OK
    if not tokens:
        session.printer.note("There are no tokens. Make one: nexoctl token add NAME")
        return Exit.OK
    columns = [
        Column("NAME", flexible=12),
        Column("GETS", flexible=12),
        Column("LAST USED"),
        Column("EXPIRES"),
        Column("MADE", droppable=1),
    ]
    session.printer.table(columns, [_row(token, session) for token in tokens])
    return Exit.OK


def _row(token: types.GatewayToken, session: Session) -> tuple[Cell, ...]:
    expired = token.expires_at is not None and token.expires_at <= session.now
    expires: Cell = clock(token.expires_at) if token.expires_at else "never"
    return (
        Span(token.name, Style.STRONG),
        follows(token),
        ago(token.last_used_at, session.now),
        Span("expired", Style.BAD) if expired else expires,
        clock(token.created_at),
    )


def _revoke(arguments: argparse.Namespace, session: Session) -> int:
    with session.client(wait=True) as client:
        ended = client.gateway.revoke_token(arguments.token)
    if session.json:
        session.printer.json({"revoked": arguments.token, "ended": ended})
    else:
        also = f"; {ended} request{'s' if ended != 1 else ''} under way ended with it" if ended else ""
        session.printer.line("Revoked ", Span(arguments.token, Style.STRONG), also)
    return Exit.OK
