"""Print events as they happen: changes of connections, health, bindings and the default, and hand-outs.

Continues when the daemon restarts. With --json, one object on a line; the first one is a snapshot.
"""

import argparse

from nexo_cli import looks
from nexo_cli.errors import Exit
from nexo_cli.format import Cell, Span, Style, duration
from nexo_cli.parser import number
from nexo_cli.session import Session
from nexo_client import records, types


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare how much to print."""
    parser.add_argument("--count", type=number(int, 1), metavar="N", help="end after N events")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print events until Ctrl-C."""
    from nexo_client.watch import watch_forever

    printed = 0
    names: dict[str, types.Connection] = {}
    with session.client() as client, watch_forever(client) as steps:
        for step in steps:
            if step.event is None:
                _away(session, step.error.message if step.error else "the daemon stopped")
                continue
            if session.json:
                session.printer.json(records.event(step.event, session.now), one_line=True)
            else:
                _say(session, step.event, names)
            printed += 1
            if arguments.count is not None and printed >= arguments.count:
                break
    return Exit.OK


def _away(session: Session, why: str) -> None:
    if session.json:
        session.printer.json({"event": "away", "message": why}, one_line=True)
    else:
        session.printer.note(Span(f"{why}; waiting for it", Style.WARNING))


def _say(session: Session, event: types.WatchEvent, known: dict[str, types.Connection]) -> None:
    now = session.now

    def line(*cells: Cell) -> None:
        session.printer.line(Span(f"{now.astimezone():%H:%M:%S}  ", Style.FAINT), *cells)

    if event.snapshot is not None:
        known.clear()
        known.update({connection.id: connection for connection in event.snapshot.connections})
        default = event.snapshot.status.default_connection or "none"
        count = f"{len(known)} connection{'s' if len(known) != 1 else ''}"
        line(f"watching {count}; the default is {default}")
    elif event.connection is not None:
        for words in _differences(known.get(event.connection.id), event.connection):
            line(Span(event.connection.name, Style.STRONG), " ", words)
        known[event.connection.id] = event.connection
    elif event.removed is not None:
        line(Span(event.removed, Style.STRONG), " was removed")
    elif event.bindings is not None:
        line(f"workspaces: {len(event.bindings)} bound")
    elif event.transition is not None:
        change = event.transition
        lasted = f" after {duration(change.lasted_s)}" if change.lasted_s else ""
        line(
            Span(change.connection, Style.STRONG),
            f" {change.from_state.value}{lasted} → ",
            Span(change.to_state.value, looks.state_style(change.to_state)),
            f" ({change.reason.replace('_', ' ')})" if change.reason else "",
        )
    elif event.handout is not None:
        given = event.handout
        program = f"{given.client.program or given.client.name or 'a program'} ({given.client.pid})"
        where = f" in {given.workspace}" if given.workspace else ""
        line(Span(given.connection, Style.STRONG), f" was handed out to {program}{where}")
    elif event.status is not None and session.verbose:
        line(f"status: revision {event.status.revision}, {len(event.status.followers)} programs follow")


def _differences(old: types.Connection | None, new: types.Connection) -> list[str]:
    if old is None:
        return ["was added"]
    found = []
    if old.name != new.name:
        found.append(f"is the new name of {old.name}")
    if old.is_default != new.is_default:
        found.append("is the default now" if new.is_default else "is no longer the default")
    if old.enabled != new.enabled:
        found.append("was switched on" if new.enabled else "was switched off")
    if old.revision != new.revision and not found:
        found.append("was changed")
    return found
