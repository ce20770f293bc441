"""See it all work: a temporary daemon and example providers in a temporary directory.

Adds and tests connections, sets the default, resolves it in another process, switches, shows that the process
followed, and cleans up. Does not touch your own connections and daemon. Takes less than 15 seconds and needs
no key.
"""

import argparse

from nexo_cli.errors import CommandFailed
from nexo_cli.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Pass all arguments on to the demo."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Run the demo."""
    try:
        from nexo_cli.demo import main
    except ImportError as problem:
        raise CommandFailed(
            f"the demo needs a part that is not installed ({problem.name})",
            hint="install it with: pip install 'nexo-connections[daemon]'",
        ) from None
    return int(main(arguments.arguments))
