"""The options --connection and --workspace, shared by commands that ask which connection a program gets."""

import argparse

from nexo_cli.parser import UsageError
from nexo_client.types import Workspace


def add_inquiry_options(parser: argparse.ArgumentParser) -> None:
    """Declare --connection and --workspace."""
    parser.add_argument(
        "--connection", metavar="NAME", help="use this connection, whatever is bound or the default"
    )
    parser.add_argument(
        "--workspace",
        metavar="W",
        help="a directory (with a slash, as in ./x or ~/x) or a name (default: the current directory)",
    )


def connection_of(text: str | None) -> str | None:
    """The connection that a person names; None if no name was given.

    Raises:
        UsageError: the name is empty, as from a variable that is not set; it must not mean the default.
    """
    if text is not None and not text.strip():
        raise UsageError("--connection is empty", "name a connection, or leave the option out")
    return text


def workspace_of(text: str | None) -> Workspace | str:
    """The workspace that a person gave; by default, the current directory."""
    return text if text is not None else "."
