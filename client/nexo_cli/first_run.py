"""The first run: `nexoctl` without arguments, on a terminal, when there are no connections yet.

Starts the daemon, lists connections of other programs, imports the ticked ones and tests them; otherwise asks
for the first connection. Every step can be declined. In a pipe, `overview` prints a few lines instead.
"""

from nexo_cli import importing
from nexo_cli.cmds import add
from nexo_cli.commands import find
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import command_parser
from nexo_cli.session import Session
from nexo_client.errors import ServiceFailed
from nexo_client.service import Manager, deviations, manager
from nexo_sources.offers import offers_of
from nexo_sources.table import SOURCES


def lead(session: Session) -> int:
    """Lead to a tested connection; returns the exit code of the last step."""
    printer = session.printer
    printer.line(Span("Welcome to Nexo Connections.", Style.STRONG))
    printer.line("It keeps your LLM connections in one place, checks that they work, and hands the right one")
    printer.line("to each of your programs. Everything stays on this computer. Ctrl-C ends this at any time.")
    printer.line()
    code = _import(session)
    if not _count(session):
        code = _first(session)
    if _count(session):
        _offer_service(session)
    _say_next(session)
    return code


def _import(session: Session) -> int:
    results = importing.look(session, SOURCES)
    offers = offers_of(results)
    if not offers:
        if results:
            importing.say_found(session, results, {}, numbered=True)
        return Exit.OK
    session.printer.line("Other programs on this computer have connections already:")
    importing.say_found(session, results, {}, numbered=True)
    session.printer.note(
        Span(
            "The connections that you choose are tested, then saved here, sealed. The files are not changed.",
            Style.FAINT,
        )
    )
    options = importing.ImportOptions()
    chosen = importing.choose(session, offers, {}, options)
    if not chosen:
        return Exit.OK
    with session.client() as client:
        outcomes = importing.take_over(session, client, chosen, options)
    importing.say_outcomes(session, outcomes)
    return Exit.TEST_FAILED if any(outcome.problem for outcome in outcomes) else Exit.OK


def _first(session: Session) -> int:
    session.printer.line()
    if not session.terminal.confirm("Add a connection now?", default=True):
        return Exit.OK
    command = find("add")
    assert command is not None  # noqa: S101 - it is in the table
    parser, _ = command_parser(command)
    return add.run(parser.parse_args([]), session)


def _count(session: Session) -> int:
    with session.client() as client:
        return len(client.list_connections())


def _offer_service(session: Session) -> None:
    found = manager()
    # If a person moved the directories, a start at login would not know the new ones.
    if found is None or deviations(session.socket) or found.problem() or _is_chosen(found):
        return
    session.printer.line()
    if not session.terminal.confirm("Start the daemon whenever you log in?", default=True):
        return
    command = find("daemon")
    assert command is not None  # noqa: S101 - it is in the table
    parser, _ = command_parser(command)
    arguments = parser.parse_args(["install"])
    try:
        arguments.run(arguments, session)
    except (CommandFailed, ServiceFailed) as problem:
        # The connections are saved and work, so the command does not fail.
        session.printer.warn(f"{problem.message}; {problem.hint}")


def _is_chosen(found: Manager) -> bool:
    """Whether somebody has decided about the start at login: a package only brings the unit."""
    unit = found.installed()
    try:
        return unit is not None and (unit.ours or found.standing().enabled)
    except ServiceFailed:
        return True


def _say_next(session: Session) -> None:
    printer = session.printer
    steps = (
        ("nexoctl list", "see your connections, and whether they work"),
        ("nexoctl default NAME", "switch what programs get"),
        ("nexoctl run -- PROGRAM", "run a program with the default"),
        ("nexo-tray", "switch with a click"),
    )
    printer.line()
    for command, meaning in steps:
        printer.line(Span(f"  {command.ljust(24)}", Style.NAME), meaning)
