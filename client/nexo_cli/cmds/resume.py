"""Let background checks go on that `nexoctl pause` stopped, of the connections named or of all.

What was paused by name is resumed by name.
"""

import argparse

from nexo_cli.cmds.pause import configure as configure
from nexo_cli.cmds.pause import switch
from nexo_cli.session import Session


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Switch them on."""
    return switch(arguments.connections, session, paused=False)
