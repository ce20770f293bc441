"""Let background checks go on that `nexoctl pause` stopped, of the connections named or of all.

What was paused by name is resumed by name.
"""

import argparse

from nexo_cli import pausing
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Of which connections."""
    pausing.configure(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Switch them on."""
    return pausing.switch(arguments.connections, session, paused=False)
