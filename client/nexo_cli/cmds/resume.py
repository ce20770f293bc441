"""Resume background checks that `nexoctl pause` stopped, of the named connections or of all.

Connections that were paused by name are resumed by name.
"""

import argparse

from nexo_cli.cmds.pause import configure as configure
from nexo_cli.cmds.pause import switch
from nexo_cli.session import Session


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Resume the checks."""
    return switch(arguments.connections, session, paused=False)
