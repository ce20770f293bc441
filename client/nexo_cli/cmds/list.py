"""List the connections: a star marks the default, the light shows what the last check found."""

import argparse

from nexo_cli import looks
from nexo_cli.errors import Exit
from nexo_cli.format import Column, Span, Style
from nexo_cli.session import Session
from nexo_client import records


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print all connections."""
    with session.client(wait=True) as client:
        connections = client.list_connections()
    now = session.now
    if session.json:
        session.printer.json(records.plain(connections, now))
        return Exit.OK
    if not connections:
        session.printer.note("There are no connections yet. Add the first one: nexoctl add")
        return Exit.OK
    columns = [
        Column(""),
        Column("NAME", flexible=12),
        Column("PROVIDER", droppable=1),
        Column("HEALTH", flexible=20),
        Column("LATENCY", droppable=4, right=True),
        Column("CHECKED", droppable=2),
        Column("KEY", droppable=3),
        Column("MODEL", flexible=10, droppable=5),
        Column("BASE URL", flexible=18, droppable=6),
    ]
    rows = [
        (
            looks.default_mark(connection),
            Span(connection.name, Style.STRONG if connection.enabled else Style.FAINT),
            connection.preset or connection.provider.value,
            looks.light(connection.health, now, short=True)
            if connection.enabled
            else Span("○ switched off", Style.FAINT),
            looks.latency(connection.health),
            looks.checked(connection.health, now),
            looks.key(connection.key),
            connection.default_model,
            connection.base_url,
        )
        for connection in connections
    ]
    session.printer.table(columns, rows)
    for connection in connections:
        if connection.enabled and (expiry := looks.expiry(connection.key, now)):
            session.printer.warn(f"{connection.name}: {expiry}; replace it: nexoctl edit {connection.name}")
    if not any(connection.is_default for connection in connections):
        session.printer.warn("there is no default; programs get none until: nexoctl default NAME")
    return Exit.OK
