"""How commands name the program they ask for: options and values of "which connection does it get?"."""

import argparse

from nexo_cli.parser import UsageError
from nexo_client.types import Workspace


def add_inquiry_options(parser: argparse.ArgumentParser) -> None:
    """Declare --connection and --workspace."""
    parser.add_argument("--connection", metavar="NAME", help="this connection, whatever is bound or default")
    parser.add_argument(
        "--workspace",
        metavar="W",
        help="a directory (with a slash, as in ./x or ~/x) or a name (default: the current directory)",
    )


def connection_of(text: str | None) -> str | None:
    """The connection that a person names; None where they name none.

    Raises:
        UsageError: the name is empty, as that of a variable that is not set: never the default's.
    """
    if text is not None and not text.strip():
        raise UsageError("--connection is empty", "name a connection, or leave the option out")
    return text


def workspace_of(text: str | None) -> Workspace | str:
    """The workspace that a person means; without one, the current directory."""
    return text if text is not None else "."
