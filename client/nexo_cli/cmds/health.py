"""Show the health of the connections, as the daemon's background checks found it.

The background checks use no tokens. The column `age` shows how old a result is; --check checks now.
--watch keeps the table up to date (with --json: one object on a line for every change).
"""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from nexo.connections.names import key as name_key
from nexo.connections.terms import HealthState
from nexo_cli import looks
from nexo_cli.errors import Exit
from nexo_cli.format import Busy, Cell, Column, Row, Span, Style, Table, ago
from nexo_cli.parser import UsageError
from nexo_cli.session import Session
from nexo_client import records, types

if TYPE_CHECKING:
    from nexo_client.client import Client
    from nexo_client.watch import LinkEvent

COLUMNS = (
    Column("NAME", flexible=12),
    Column("STATE"),
    Column("REASON", flexible=12),
    Column("SINCE", droppable=2),
    Column("CHECKED"),
    Column("LATENCY", right=True, droppable=1),
    Column("NEXT CHECK", droppable=3),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare which connections, and whether to check now."""
    parser.add_argument("connections", nargs="*", metavar="NAME", help="connections; all if none is named")
    parser.add_argument("--watch", action="store_true", help="keep showing it until Ctrl-C")
    parser.add_argument("--check", action="store_true", help="check now instead of showing the last check")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the health; exit code 6 if a connection that was named is unhealthy."""
    if arguments.watch and arguments.check:
        raise UsageError("--watch and --check are both given", "give one of them")
    with session.client() as client:
        if arguments.watch:
            return _watch(session, client, arguments.connections)
        if arguments.check:
            with session.terminal.progress("checking"):
                lights = client.check_now(arguments.connections)
        else:
            lights = client.health(arguments.connections)
        disabled = {c.name for c in client.list_connections() if not c.enabled}
    if session.json:
        found = records.plain(lights, session.now)
        session.printer.json(found[0] if len(arguments.connections) == 1 else found)
    elif not lights:
        session.printer.note("There are no connections yet. Add the first one: nexoctl add")
    else:
        session.printer.table(COLUMNS, [row(light, disabled, session) for light in lights])
        for light in lights:
            if light.health.advice and light.connection not in disabled:
                session.printer.line(Span(f"{light.connection}: ", Style.STRONG), light.health.advice)
    named = bool(arguments.connections)
    bad = any(light.health.state is HealthState.UNHEALTHY for light in lights)
    return Exit.TEST_FAILED if named and bad else Exit.OK


def row(light: types.ConnectionHealth, disabled: set[str], session: Session) -> tuple[Cell, ...]:
    """One line of the table."""
    health, now = light.health, session.now
    if light.connection in disabled:
        return (Span(light.connection, Style.FAINT), Span("○ switched off", Style.FAINT), "", "", "", "", "")
    return (
        Span(light.connection, Style.STRONG),
        looks.state(health),
        looks.reason(health, now),
        ago(health.since, now).removesuffix(" ago"),
        looks.checked(health, now),
        looks.latency(health),
        ago(health.next_check_at, now) if health.next_check_at and health.next_check_at > now else "",
    )


def _watch(session: Session, client: "Client", names: list[str]) -> int:
    from nexo_client.watch import watch_forever

    for name in names:
        client.get_connection(name)
    wanted = {name_key(name) for name in names}
    known: dict[str, types.Connection] = {}
    away = False
    drawn = session.terminal.live and not session.json and session.terminal.width is not None
    block = (
        session.terminal.block(lambda: _picture(session, tuple(known.values()), away=away), keep=True)
        if drawn
        else nullcontext()
    )
    with block, watch_forever(client) as steps:
        for step in steps:
            changed = _apply(step, known, wanted)
            away = step.event is None
            if drawn:
                continue
            for connection in changed:
                _say(session, connection)
            if away and not session.json:
                session.printer.note("the daemon is away; waiting for it")
    return Exit.OK


def _apply(step: "LinkEvent", known: dict[str, types.Connection], wanted: set[str]) -> list[types.Connection]:
    """Bring `known` up to date; returns the connections whose health may have changed."""
    event = step.event
    if event is None:
        return []
    if event.snapshot is not None:
        known.clear()
        changed = list(event.snapshot.connections)
    elif event.connection is not None:
        changed = [event.connection]
    else:
        if event.removed is not None:
            for gone in [key for key, value in known.items() if value.name == event.removed]:
                del known[gone]
        return []
    changed = [connection for connection in changed if not wanted or name_key(connection.name) in wanted]
    different = [c for c in changed if c.id not in known or known[c.id].health != c.health]
    known.update({connection.id: connection for connection in changed})
    return different


def _say(session: Session, connection: types.Connection) -> None:
    now = session.now
    if session.json:
        session.printer.json(records.health(connection.name, connection.health, now), one_line=True)
        return
    session.printer.line(
        Span(f"{now.astimezone():%H:%M:%S}  ", Style.FAINT),
        Span(connection.name, Style.STRONG),
        "  ",
        looks.light(connection.health, now),
    )


def _picture(session: Session, known: Sequence[types.Connection], *, away: bool) -> list[Row]:
    disabled = {connection.name for connection in known if not connection.enabled}
    lights = [types.ConnectionHealth(c.id, c.name, c.health) for c in known]
    rows = [row(light, disabled, session) for light in lights]
    what = "the daemon is away; waiting for it" if away else "watching; Ctrl-C ends it"
    return [Table(COLUMNS, rows), Busy(Span(what, Style.WARNING if away else Style.FAINT))]
