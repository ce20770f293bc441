"""Suggest the next command. `nexoctl` alone prints this; on a terminal it leads to the first connection."""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.format import Span, Style
from nexo_cli.session import Session
from nexo_client import errors
from nexo_client.types import Connection


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the state in a few lines, and the commands that come next."""
    leading = session.interactive and session.may_start
    try:
        with session.client(start=leading) as client:
            connections = client.list_connections()
    except errors.DaemonNotRunning:
        if leading:
            raise
        connections = None
    if not connections and leading:
        # Imported here so that no other command pays for it.
        from nexo_cli.first_run import lead

        return lead(session)
    if session.json:
        names = None if connections is None else [connection.name for connection in connections]
        default = next((c.name for c in connections or () if c.is_default), None)
        session.printer.json({"running": connections is not None, "connections": names, "default": default})
    else:
        _say(session, connections)
    return Exit.OK


def _say(session: Session, connections: tuple[Connection, ...] | None) -> None:
    """Args: connections: None if the daemon is not running."""
    printer = session.printer
    printer.line(
        Span("Nexo Connections", Style.STRONG), " - your LLM connections, in one place for every program"
    )
    printer.line()
    state, steps = _state_and_steps(connections)
    printer.line(state)
    printer.line()
    for command, meaning in steps:
        printer.line(Span(f"  {command.ljust(24)}", Style.NAME), meaning)
    printer.line()
    printer.line(Span("`nexoctl --help` lists all commands.", Style.FAINT))


def _state_and_steps(connections: tuple[Connection, ...] | None) -> tuple[str, list[tuple[str, str]]]:
    if connections is None:
        return "The daemon is not running; any command that needs it starts it.", [
            ("nexoctl add", "add your first connection"),
            ("nexoctl demo", "see it all work first, on made-up data"),
        ]
    if not connections:
        return "The daemon is running, and there are no connections yet.", [
            ("nexoctl add", "add your first connection; it asks for what it needs"),
            ("nexoctl providers", "see what can be connected"),
            ("nexoctl demo", "see it all work first, on made-up data"),
        ]
    default = next((f"the default is {c.name}" for c in connections if c.is_default), "there is no default")
    return f"{len(connections)} connection{'s' if len(connections) != 1 else ''}; {default}", [
        ("nexoctl list", "see whether they work"),
        ("nexoctl default NAME", "switch what programs get"),
        ("nexoctl run -- PROGRAM", "run a program with the default"),
        ("nexoctl add", "add another one"),
    ]
