"""Should a connection be saved after its test? One rule for add and edit.

After a test that passed, it is saved. After a failed test, a person is asked (Enter means no), and a script
gets exit code 6, unless it said `--save-anyway`.
"""

import argparse

from nexo.connections.ranges import TEST_S
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.parser import call_time
from nexo_cli.session import Session
from nexo_client import records, types


def add_test_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options for the test before saving."""
    group = parser.add_argument_group("the test before saving")
    group.add_argument("--no-test", action="store_true", help="save without testing")
    group.add_argument(
        "--save-anyway", action="store_true", help="save even if the test fails, with a warning"
    )
    group.add_argument(
        "--timeout",
        type=call_time,
        default=TEST_S,
        metavar="S",
        help="seconds for the whole test (default: %(default)g)",
    )


def may_save(session: Session, arguments: argparse.Namespace, result: types.TestResult | None) -> bool:
    """Whether to save after this result (None: it was not tested).

    Returns:
        False if the person said no.

    Raises:
        CommandFailed: the test failed and there is nobody to ask.
    """
    if result is None or result.ok:
        return True
    if arguments.save_anyway:
        session.printer.warn("the test failed; saving anyway, because of --save-anyway")
        return True
    if session.interactive:
        return session.terminal.confirm("The test failed. Save it anyway?")
    if session.json:
        session.printer.json({"saved": False, "test": records.of(result)})
    why = f"{result.outcome.value}: {result.reason}" if result.reason else result.outcome.value
    raise CommandFailed(
        f"the test failed ({why}); nothing was saved",
        hint="correct it and try again, or give --save-anyway (or --no-test)",
        reason="TEST_FAILED",
        code=Exit.TEST_FAILED,
    )


def say_saved(session: Session, saved: types.SavedConnection, result: types.TestResult | None) -> None:
    """Print the saved connection, and warnings about it."""
    connection = saved.connection
    if session.json:
        record = records.of(connection, session.now)
        record["saved"] = True
        record["warnings"] = records.plain(saved.warnings)
        record["test"] = records.plain(result)
        session.printer.json(record)
        return
    told = {suggestion.text for suggestion in result.suggestions} if result else set()
    for warning in saved.warnings:
        if warning.text not in told:
            session.printer.warn(warning.text)
    session.printer.line(
        Span("Saved ", Style.GOOD), Span(connection.name, Style.STRONG), f" ({connection.base_url})"
    )
