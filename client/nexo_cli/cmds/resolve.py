"""Print the connection that a program gets, its key included. The daemon records it.

--format key prints the bare key, for programs that can run a key helper. Give it the address in the program's
settings with --for-url, and a key for another address is not printed. --format env prints shell assignments,
and unsets variables that would override them: eval "$(nexoctl resolve --format env)". --format json, the
default, prints everything.
The connection is chosen in this order: --connection, NEXO_CONNECTION, the connection that the directory (or
the named workspace) is bound to, the default. `nexoctl which` explains the choice without printing a secret.
"""

import argparse
import os
import shlex

from nexo_cli import inquiry
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.session import Session
from nexo_client import addresses


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the program's place, and the output format."""
    inquiry.add_inquiry_options(parser)
    parser.add_argument(
        "--for-url",
        metavar="URL",
        help="the address that the program will use; fail if the connection has another one",
    )
    parser.add_argument("--format", choices=["json", "env", "key"], default=None, help="output format")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the connection on stdout, and nothing else."""
    form = arguments.format or "json"
    # Some programs that run a key helper take its stderr for a part of the key (mods, 2026).
    quiet = form == "key" and not session.verbose
    with session.client(wait=True, quiet=quiet) as client:
        resolved = client.resolve(arguments.connection, workspace=arguments.workspace)
    if arguments.for_url is not None and not addresses.covers(resolved.base_url, arguments.for_url):
        raise CommandFailed(
            f"{resolved.name} is for {resolved.base_url}, but the program uses {arguments.for_url}; "
            "its key is not printed for that address",
            hint="switch to a connection with that address, or change the address in the program's settings",
            reason="OTHER_ADDRESS",
            code=Exit.REFUSED,
        )
    if form == "key" and not session.json:
        if not resolved.api_key:
            raise CommandFailed(
                f"{resolved.name} has no API key", hint=f"give it one: nexoctl edit '{resolved.name}'"
            )
        session.printer.raw(f"{resolved.api_key}\n")
    elif form == "env" and not session.json:
        from nexo_client.variables import RIVALS

        variables = resolved.env()
        # A variable that the shell already has would be sent along with our key, to our address.
        for rival in sorted(set(RIVALS) & set(os.environ) - set(variables)):
            session.printer.raw(f"unset {rival}\n")
        for variable, value in sorted(variables.items()):
            session.printer.raw(f"export {variable}={shlex.quote(value)}\n")
    else:
        from nexo_client import records

        session.printer.json(records.of(resolved, session.now))
    return Exit.OK
