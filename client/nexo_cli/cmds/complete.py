"""Candidates for shell completion; the scripts of `nexoctl completion` run it."""

import argparse

from nexo_cli import completing
from nexo_cli.errors import Exit
from nexo_cli.session import Session
from nexo_client import errors


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the words so far, after `--`; the last one is being completed."""
    parser.add_argument("words", nargs=argparse.REMAINDER)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print one candidate on each line."""

    def names(of: str) -> list[str]:
        try:
            with session.client(start=False, timeout_s=1.0) as client:
                if of == completing.TOKEN:
                    return [token.name for token in client.gateway.tokens()]
                return [connection.name for connection in client.list_connections()]
        except errors.NexoError:
            # An error message is useless to a person who presses Tab.
            return []

    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    for candidate in completing.candidates(words, names):
        session.printer.line(candidate)
    return Exit.OK
