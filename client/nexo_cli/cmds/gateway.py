"""The local gateway: programs keep one address and one token, and follow every switch.

It listens on 127.0.0.1 only. Each request goes to the connection that the program has at that moment; the key
stays in the daemon. The gateway opens at its first use and stays on until you switch it off.

  nexoctl gateway status                    whether it listens, and which programs use it
  nexoctl gateway setup codex               the settings that Codex needs
  nexoctl gateway setup codex --write       write them, with a new token for Codex
  nexoctl gateway setup codex --undo        restore the file, and revoke the token
"""

import argparse

from nexo.connections.ranges import GATEWAY_PORTS
from nexo_cli import setting_up
from nexo_cli.cmds.token import add_owner_options, check_owner_options, follows
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Cell, Column, Span, Style, ago
from nexo_cli.parser import UsageError, number
from nexo_cli.printer import Printer
from nexo_cli.session import Session
from nexo_cli.setups.programs import PROGRAMS, named
from nexo_client import records, types
from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each verb."""
    verbs = parser.add_subparsers(metavar="status|on|off|setup", required=True, dest="verb")
    status = verbs.add_parser(
        "status", help="show whether it listens, and which programs use it", description=__doc__
    )
    status.set_defaults(run=_status)
    on = verbs.add_parser("on", help="switch it on", description="Switch the gateway on, and keep it on.")
    on.add_argument(
        "--port",
        type=number(int, *GATEWAY_PORTS),
        metavar="N",
        help="listen on this port from now on; programs with the old address stop working",
    )
    on.set_defaults(run=_on)
    off = verbs.add_parser(
        "off",
        help="switch it off",
        description="Switch the gateway off, and end the requests that are under way.",
    )
    off.set_defaults(run=_off)
    setup = verbs.add_parser(
        "setup",
        help="print or write the settings that a program needs",
        description="Print the settings with which a program uses the gateway; --write writes them.",
    )
    setup.add_argument(
        "program",
        metavar="PROGRAM",
        choices=[program.name for program in PROGRAMS],
        help=", ".join(program.name for program in PROGRAMS),
    )
    what = setup.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="write them, and keep a copy of the old file")
    what.add_argument("--undo", action="store_true", help="restore the old file, and revoke the token")
    setup.add_argument("--model", metavar="ID", help="the model to write, if the program's settings name one")
    add_owner_options(setup)
    setup.set_defaults(run=_setup)


def _status(arguments: argparse.Namespace, session: Session) -> int:
    with session.client(wait=True) as client:
        overview = client.gateway.status()
    return _say(session, overview)


def _on(arguments: argparse.Namespace, session: Session) -> int:
    return _switch(session, on=True, port=arguments.port)


def _off(arguments: argparse.Namespace, session: Session) -> int:
    return _switch(session, on=False, port=None)


def _switch(session: Session, *, on: bool, port: int | None) -> int:
    with session.client(wait=True) as client:
        client.gateway.switch(on, port=port)
        overview = client.gateway.status()
    code = _say(session, overview)
    return code if overview.gateway.listening is on else Exit.FAILED


def _say(session: Session, overview: types.GatewayOverview) -> int:
    if session.json:
        session.printer.json(records.of(overview))
        return Exit.OK
    gate = overview.gateway
    fields: list[tuple[str, Cell]] = [("Gateway", _state(gate))]
    if gate.problem:
        fields.append(("Problem", Span(gate.problem, Style.BAD)))
        fields.append(("Next", gate.advice))
    if gate.port:
        titles = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Gemini", "ollama": "Ollama"}
        fields += [(title, gate.base_url(dialect)) for dialect, title in titles.items()]
    if gate.listening:
        fields.append(("Socket", gate.socket_path))
    session.printer.fields(fields)
    if overview.users:
        session.printer.line()
        _users(session, overview.users)
    elif gate.listening:
        session.printer.note("No program uses it now.")
    return Exit.OK


def _state(gate: types.Gateway) -> Cell:
    if gate.listening:
        return Span("● listening", Style.GOOD), f"  on 127.0.0.1:{gate.port}"
    if gate.on:
        return Span("● does not listen", Style.BAD)
    if gate.switched_off:
        return Span("○ switched off", Style.WARNING), "  switch it on: nexoctl gateway on"
    return Span("○ not open yet", Style.FAINT), "  it opens at its first use"


def _users(session: Session, users: tuple[types.GatewayUser, ...]) -> None:
    columns = [
        Column("PROGRAM", flexible=10),
        Column("PID", right=True, droppable=2),
        Column("GETS", flexible=10),
        Column("LAST ON", flexible=10),
        Column("REQUESTS", right=True),
        Column("NOW", right=True, droppable=3),
        Column("LAST"),
        Column("MODELS", flexible=12, droppable=1),
    ]
    rows = [
        (
            user.program or (user.client.program if user.client else "") or user.token.name,
            str(user.client.pid) if user.client and user.client.pid else "",
            follows(user.token),
            user.connection_name or "-",
            f"{user.requests:,}",
            str(user.open or ""),
            ago(user.last_at, session.now),
            ", ".join(user.models),
        )
        for user in users
    ]
    session.printer.table(columns, rows)


def _setup(arguments: argparse.Namespace, session: Session) -> int:
    check_owner_options(arguments)
    program = named(arguments.program)
    assert program is not None  # noqa: S101 - one of the choices
    with session.client(wait=True) as client:
        if arguments.undo:
            done = setting_up.undo(client, program)
        else:
            model = arguments.model or _model(client, arguments.connection)
            if program.needs_model and not model:
                raise UsageError(
                    f"the settings of {program.title} name a model, and the connection has no default model",
                    "say --model ID",
                )
            if arguments.write:
                done = setting_up.write(
                    client, program, model, connection=arguments.connection, workspace=arguments.workspace
                )
            else:
                done = setting_up.preview(client, program, model)
    if session.json:
        session.printer.json(setting_up.record(done))
    else:
        _say_done(session, done)
    if done.failed:
        raise CommandFailed(
            "; ".join(f"{file.shown}: {file.problem}" for file in done.failed),
            hint="repair the file and say --undo again, or take the settings out by hand"
            if arguments.undo
            else f"print the settings and add them by hand: nexoctl gateway setup {program.name}",
            reason="FILE_FAILED",
        )
    return Exit.OK


def _model(client: Client, connection: str | None) -> str:
    found = client.get_connection(connection) if connection else client.get_default()
    return found.default_model if found else ""


def _say_done(session: Session, done: setting_up.SetUp) -> None:
    printer = session.printer
    for file in done.files:
        if done.written or done.undone:
            changed = "undone" if done.undone else "written"
            word = file.problem or (changed if file.changed else "unchanged")
            kept = f"  (as it was: {file.backup})" if file.backup else ""
            printer.line(Span(file.shown, Style.STRONG), f"  {word}", Span(kept, Style.FAINT))
        else:
            _say_planned(printer, file)
    for line in done.by_hand:
        printer.line(line)
    if done.written:
        printer.note(f"{done.program.title} gets ", follows(done.token) if done.token else "", ".")
    elif not done.undone and not done.failed:
        printer.note(
            f"Write it, with a new token for the program: nexoctl gateway setup {done.program.name} --write"
        )


def _say_planned(printer: Printer, file: setting_up.File) -> None:
    printer.line(Span(file.shown, Style.STRONG), f"  ({file.form})")
    for place, value in file.entries:
        if value is not None:
            printer.line(f"  {place}  ", value)
    if absent := [place for place, value in file.entries if value is None]:
        printer.line(Span("  taken away if set:", Style.FAINT))
        for place in absent:
            printer.line(f"    {place}")
