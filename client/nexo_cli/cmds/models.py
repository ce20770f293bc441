"""List the models that a connection offers; the provider is asked now. Uses no tokens."""

import argparse

from nexo.connections.ranges import LIST_MODELS_S
from nexo_cli.errors import Exit
from nexo_cli.format import Column
from nexo_cli.parser import call_time
from nexo_cli.session import Session
from nexo_client import records


def configure(parser: argparse.ArgumentParser) -> None:
    """The connection."""
    parser.add_argument("connection", metavar="NAME", help="the connection to ask")
    parser.add_argument(
        "--timeout",
        type=call_time,
        default=LIST_MODELS_S,
        metavar="S",
        help="seconds (default: %(default)g)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the models: a table on a terminal, one id on each line in a pipe."""
    with session.client() as client, session.terminal.progress("asking the provider"):
        listing = client.list_models(arguments.connection, timeout_s=arguments.timeout)
    printer = session.printer
    if session.json:
        printer.json(
            {
                "connection": arguments.connection,
                "models": records.plain(listing.models),
                "truncated": listing.truncated,
            }
        )
        return Exit.OK
    if session.terminal.width is None:
        for model in listing.models:
            printer.line(model.id)
    elif listing.models:
        columns = [
            Column("MODEL", flexible=10),
            Column("NAME", flexible=12, droppable=2),
            Column("CONTEXT", right=True, droppable=1),
            Column("OWNER", flexible=8, droppable=3),
        ]
        rows = [
            (
                model.id,
                model.display_name,
                f"{model.context_window:,}" if model.context_window else "",
                model.owner,
            )
            for model in listing.models
        ]
        keep = [i for i in range(4) if i == 0 or any(row[i] for row in rows)]
        printer.table([columns[i] for i in keep], [[row[i] for i in keep] for row in rows])
    else:
        printer.note("The provider lists no models.")
    if listing.truncated:
        printer.warn("the provider has more models than are read")
    return Exit.OK
