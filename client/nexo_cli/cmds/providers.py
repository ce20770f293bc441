"""List the providers and the presets. A preset is a known service of the provider custom, with its URL."""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style
from nexo_cli.session import Session
from nexo_client import records


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the values that `--provider` and `--preset` accept."""
    with session.client(wait=True) as client:
        known = client.list_providers()
    if session.json:
        session.printer.json(records.plain(known))
        return Exit.OK
    columns = [
        Column("PROVIDER"),
        Column("SERVICE", flexible=12, droppable=3),
        Column("KEY", droppable=1),
        Column("BASE URL", flexible=18),
        Column("WHERE KEYS ARE MADE", flexible=16, droppable=4),
    ]
    rows = [
        (
            Span(
                f"  {entry.name}" if entry.is_preset else entry.name,
                Style.PLAIN if entry.is_preset else Style.STRONG,
            ),
            entry.display_name,
            "needed" if entry.key_required else "optional",
            entry.default_base_url or Span(entry.base_url_example or "(yours)", Style.FAINT),
            entry.key_url,
        )
        for entry in known
    ]
    session.printer.table(columns, rows)
    return Exit.OK
