"""The options --connection and --workspace, shared by commands that ask which connection a program gets."""

import argparse

from nexo_cli.parser import given


def add_inquiry_options(parser: argparse.ArgumentParser) -> None:
    """Declare --connection and --workspace."""
    parser.add_argument(
        "--connection",
        type=given,
        metavar="NAME",
        help="use this connection, whatever is bound or the default",
    )
    parser.add_argument(
        "--workspace",
        type=given,
        default=".",
        metavar="W",
        help="a directory (with a slash, as in ./x or ~/x) or a name (default: the current directory)",
    )
