"""Run a program with a connection in its environment.

  nexoctl run -- python agent.py
  nexoctl run --connection work -- aider

The variables that the official SDKs read are set, and rivals that would win over them are removed. The
program takes the place of nexoctl, so signals and the exit code are its own. Which connection that is:
--connection, else NEXO_CONNECTION, else what the directory is bound to, else the default. The environment of
a process does not change while it runs: programs that follow a switch live use `nexo_client` instead.
"""

import argparse
import os
import sys
from collections.abc import Mapping

from nexo_client import run_marks
from nexo_client.cli import inquiry
from nexo_client.cli.errors import CommandFailed, Exit
from nexo_client.cli.format import Span, Style
from nexo_client.cli.parser import UsageError
from nexo_client.cli.session import Session
from nexo_client.types import ResolvedConnection
from nexo_client.variables import RIVALS, not_carried


def configure(parser: argparse.ArgumentParser) -> None:
    """For whom, and the program."""
    parser.usage = "%(prog)s [options] -- PROGRAM [ARGUMENT ...]"
    inquiry.add_inquiry_options(parser)
    parser.add_argument(
        "--openai-face",
        action="store_true",
        help="set the OpenAI variables for a connection of Anthropic or Google, too",
    )
    parser.add_argument("--nested", action="store_true", help="allow a run inside of a run")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM", help="what to run")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Make the environment, then become the program."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not program:
        raise UsageError("no program was given", "nexoctl run -- PROGRAM ARGUMENTS")
    if os.environ.get(run_marks.NAME) and not arguments.nested:
        raise CommandFailed(
            f"this runs inside of `nexoctl run` already (connection {os.environ[run_marks.NAME]})",
            hint="say --nested if the inner program is to get a connection of its own",
            reason="NESTED_RUN",
            code=Exit.REFUSED,
        )
    with session.client(wait=True) as client:
        resolved = client.resolve(
            inquiry.connection_of(arguments.connection), workspace=inquiry.workspace_of(arguments.workspace)
        )
    environment = environment_for(os.environ, resolved, openai_face=arguments.openai_face)
    if arguments.connection:
        # What the program starts with nexo_client gets the same one.
        environment["NEXO_CONNECTION"] = resolved.name
    if session.verbose:
        session.printer.note(
            Span(f"{resolved.name} ({resolved.source_detail or resolved.source.value})", Style.FAINT)
        )
    lost = not_carried(resolved)
    if lost and session.interactive:
        session.printer.note(f"Some programs do not get from variables: {'; '.join(lost)}.")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606 - running the program is the command
    except FileNotFoundError:
        raise CommandFailed(
            f"there is no program {program[0]!r}", hint="check the name and PATH", code=Exit.NO_PROGRAM
        ) from None
    except PermissionError:
        raise CommandFailed(
            f"{program[0]!r} can't be executed", hint=f"chmod +x {program[0]}", code=Exit.NO_PERMISSION_TO_RUN
        ) from None
    except OSError as problem:
        raise CommandFailed(f"{program[0]!r}: {problem.strerror}", code=Exit.NO_PERMISSION_TO_RUN) from None


def environment_for(
    inherited: Mapping[str, str], resolved: ResolvedConnection, *, openai_face: bool = False
) -> dict[str, str]:
    """What the program gets: the inherited environment without rivals, then the connection."""
    before = dict(inherited)
    run_marks.take_back(before)
    kept = {name: value for name, value in before.items() if name not in RIVALS}
    return run_marks.marked(kept | resolved.env(openai_face=openai_face), before, resolved.name)
