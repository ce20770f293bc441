"""Open the settings screen in your browser: add, edit and test connections, and set the default.

It is a page on 127.0.0.1 that only your own processes can reach. The address works once and for one minute;
the program behind it ends two minutes after the last tab is closed. --no-browser prints only the address on
stdout.
"""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.session import Session
from nexo_client import channel, errors, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the first page, and how it opens."""
    parser.add_argument("--add", action="store_true", help="start with a new connection")
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    parser.add_argument(
        "--no-reveal",
        action="store_true",
        help="never show a stored key or header, also on a screen that is already open; for a shared display",
    )
    parser.add_argument(
        "--no-uid-check",
        action="store_true",
        help="do not ask the kernel which user opened a TCP connection; for systems that cannot tell (WSL 1)",
    )


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Start the daemon if necessary, then the screen."""
    socket = session.socket
    try:
        channel.probe(socket)
    except errors.DaemonNotRunning:
        if not session.may_start:
            raise
        session.start_daemon(socket)
    opened = settings.open_settings(
        session.socket,
        at="add" if arguments.add else "",
        browser=not arguments.no_browser,
        reveal=not arguments.no_reveal,
        uid_check=not arguments.no_uid_check,
    )
    if session.json:
        session.printer.json({"address": opened.address, "opened": opened.opened})
    elif opened.opened:
        session.printer.line("The settings are open in your browser.")
    else:
        if not arguments.no_browser:
            session.printer.note("No browser was found here. Open this address within a minute:")
        session.printer.line(opened.address)
    return Exit.OK
