"""Run a program through the gateway: it follows every switch, and has no key.

  nexoctl run -- python agent.py
  nexoctl run --connection work -- aider
  nexoctl run --direct -- ./own-client

The variables that programs read are set to the address of the local gateway, with a token that ends with the
program; variables that would override them are removed. The program replaces nexoctl, so signals and the exit
code are its own. Each request goes to the first of these at that moment: --connection, NEXO_CONNECTION, the
connection that the directory is bound to, the default. With --direct the program gets the address and key of
that connection once, talks to the provider itself, and keeps them until it ends.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nexo.connections import run_marks
from nexo_cli import inquiry
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.format import Span, Style
from nexo_cli.own_settings import winning
from nexo_cli.parser import UsageError
from nexo_cli.session import Session
from nexo_client.types import ResolvedConnection
from nexo_client.variables import RIVALS, not_carried, of_gateway

if TYPE_CHECKING:
    from nexo_client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the workspace and the program."""
    parser.usage = "%(prog)s [options] -- PROGRAM [ARGUMENT ...]"
    inquiry.add_inquiry_options(parser)
    parser.add_argument(
        "--openai-face",
        action="store_true",
        help="also set the OpenAI variables for a connection to Anthropic or Google",
    )
    parser.add_argument(
        "--direct",
        action="store_true",
        help="give the program the real key; it does not follow a switch",
    )
    parser.add_argument("--nested", action="store_true", help="allow a run inside another run")
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="-- PROGRAM",
        help="the program to run, and its arguments",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Make the environment, then become the program."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not program:
        raise UsageError("no program was given", "nexoctl run -- PROGRAM ARGUMENTS")
    if os.environ.get(run_marks.NAME) and not arguments.nested:
        raise CommandFailed(
            f"this already runs inside `nexoctl run` (connection {os.environ[run_marks.NAME]})",
            hint="give --nested if the inner program needs its own connection",
            reason="NESTED_RUN",
            code=Exit.REFUSED,
        )
    inherited = dict(os.environ)
    _require_program(program[0], inherited)
    # Before grpc is imported: grpc's threads would end while this process becomes the program, and would
    # write complaints to its stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    prepare = _direct if arguments.direct else _through_gateway
    with session.client(wait=True) as client:
        environment = prepare(client, arguments, session, inherited, program[0])
    if arguments.connection:
        # A program that this one starts with nexo_client gets the same connection.
        environment["NEXO_CONNECTION"] = environment[run_marks.NAME]
    for sentence in winning(program[0]):
        session.printer.note(Span(sentence, Style.WARNING))
    _become(program, environment)


def _through_gateway(
    client: "Client", arguments: argparse.Namespace, session: Session, inherited: Mapping[str, str], name: str
) -> dict[str, str]:
    """The environment for a program that gets a token."""
    made = client.gateway.mint(arguments.connection, workspace=arguments.workspace, program=Path(name).name)
    now = made.resolution
    if now.problem_reason:
        from nexo_client.failures import from_reason

        raise from_reason(now.problem_reason, now.problem, {"hint": now.problem_hint})
    connection = client.get_connection(now.connection)
    if session.verbose:
        why = next((step.text for step in now.steps if step.won), "")
        session.printer.note(Span(f"{now.connection} ({why}), through {made.gateway.port}", Style.FAINT))
    before, kept = _without_rivals(inherited)
    variables = of_gateway(
        made.gateway,
        made.secret,
        connection.provider,
        connection.default_model,
        before,
        openai_face=arguments.openai_face,
    )
    return run_marks.marked(kept | variables, before, now.connection)


def _direct(
    client: "Client", arguments: argparse.Namespace, session: Session, inherited: Mapping[str, str], name: str
) -> dict[str, str]:
    """The environment for a program that gets the key."""
    resolved = client.resolve(arguments.connection, workspace=arguments.workspace)
    if session.verbose:
        session.printer.note(
            Span(f"{resolved.name} ({resolved.source_detail or resolved.source.value})", Style.FAINT)
        )
    lost = not_carried(resolved)
    if lost and session.interactive:
        session.printer.note(f"Variables cannot give some programs: {'; '.join(lost)}.")
    return environment_for(inherited, resolved, openai_face=arguments.openai_face)


def _require_program(name: str, environment: Mapping[str, str]) -> None:
    """Raise `CommandFailed` if the program is nowhere; other problems are reported when it is started."""
    directories = [""] if os.sep in name else os.get_exec_path(environment)
    if all(_is_absent(os.path.join(directory, name)) for directory in directories):  # noqa: PTH118 - as execvpe
        raise _no_program(name)


def _is_absent(place: str) -> bool:
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        # It may be there, in a directory that this user cannot enter.
        return False
    return False


def _no_program(name: str) -> CommandFailed:
    return CommandFailed(
        f"there is no program {name!r}", hint="check the name and PATH", code=Exit.NO_PROGRAM
    )


def _become(program: list[str], environment: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606 - running the program is the command
    except FileNotFoundError:
        raise _no_program(program[0]) from None
    except PermissionError:
        raise CommandFailed(
            f"{program[0]!r} can't be executed", hint=f"chmod +x {program[0]}", code=Exit.NO_PERMISSION_TO_RUN
        ) from None
    except OSError as problem:
        raise CommandFailed(f"{program[0]!r}: {problem.strerror}", code=Exit.NO_PERMISSION_TO_RUN) from None


def environment_for(
    inherited: Mapping[str, str], resolved: ResolvedConnection, *, openai_face: bool = False
) -> dict[str, str]:
    """The program's environment: the inherited one without overriding variables, plus the connection's
    variables.
    """
    before, kept = _without_rivals(inherited)
    return run_marks.marked(kept | resolved.env(openai_face=openai_face), before, resolved.name)


def _without_rivals(inherited: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The environment as it was outside the run, and the part that the program inherits."""
    before = dict(inherited)
    run_marks.take_back(before)
    return before, {name: value for name, value in before.items() if name not in RIVALS}
