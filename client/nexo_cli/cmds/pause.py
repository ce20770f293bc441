"""Pause the background checks of the named connections, or of all. `nexoctl resume` resumes them.

A connection whose checks are paused is shown as unknown, with its last state. `nexoctl health --check` and
`nexoctl test` still work.
"""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.session import Session
from nexo_client.types import ConnectionDraft


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare which connections."""
    parser.add_argument("connections", nargs="*", metavar="NAME", help="connections; all if none is named")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Pause the checks."""
    return switch(arguments.connections, session, paused=True)


def switch(names: list[str], session: Session, *, paused: bool) -> int:
    """Pause or resume the checks; prints the new state."""
    with session.client() as client:
        for name in names:
            client.get_connection(name)
        for name in names:
            client.update_connection(name, ConnectionDraft(checks_paused=paused))
        settings = client.health_settings() if names else client.update_health_settings(paused=paused)
        still = [c.name for c in client.list_connections() if c.checks_paused]
    if session.json:
        session.printer.json({"paused": settings.paused, "paused_connections": still})
        return Exit.OK
    if settings.paused:
        session.printer.line("Background checks are ", Span("paused", Style.WARNING), " for all connections.")
    elif still:
        session.printer.line(
            "Background checks are ", Span("paused", Style.WARNING), f" for {', '.join(still)}."
        )
    else:
        session.printer.line("Background checks run for all connections.")
    return Exit.OK
