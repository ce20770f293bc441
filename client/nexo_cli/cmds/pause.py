"""Pause the background checks, of the connections named or of all. `nexoctl resume` lets them go on.

A connection whose checks are paused is shown as unknown, with the state that was last seen. `nexoctl health
--check` and `nexoctl test` work as ever.
"""

import argparse

from nexo_cli import pausing
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Of which connections."""
    pausing.configure(parser)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Switch them off."""
    return pausing.switch(arguments.connections, session, paused=True)
