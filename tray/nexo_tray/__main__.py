"""The entry point of `nexo-tray`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nexo.connections import account, paths, processes
from nexo.connections.version import __version__
from nexo_client import channel
from nexo_client.errors import DaemonUnsafe

EXIT_OK, EXIT_FAILED = 0, 1
_WAIT_S = 5.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nexo-tray",
        description="See and switch the connection to language models that your programs use.",
        epilog="Exit status: 0 ended by the user, 1 failed, 69 this desktop has no tray.",
    )
    parser.add_argument(
        "--socket", metavar="PATH", help=f"socket of the daemon (now: {paths.places()[0].path})"
    )
    parser.add_argument(
        "--no-start", action="store_true", help="do not start the daemon if it is not running"
    )
    parser.add_argument(
        "--wait-for-panel",
        type=float,
        default=_WAIT_S,
        metavar="SECONDS",
        help="how long a panel may take to appear (default: %(default)g)",
    )
    parser.add_argument(
        "--install-autostart", action="store_true", help="set the tray to start at login, and exit"
    )
    parser.add_argument(
        "--remove-autostart", action="store_true", help="no longer start the tray at login, and exit"
    )
    parser.add_argument("--version", action="version", version=f"nexo-tray {__version__}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tray until the user quits it; returns the exit status."""
    processes.open_standard_files()
    options = _parser().parse_args(arguments)
    if options.install_autostart or options.remove_autostart:
        return _autostart(install=options.install_autostart)
    level = logging.getLevelNamesMapping().get(os.environ.get("NEXO_LOG", "").upper(), logging.WARNING)
    logging.basicConfig(level=level, format="nexo-tray: %(message)s")
    from nexo_tray import start

    try:
        backend = start.choose_backend(sys.platform, os.environ, account.uid(), options.wait_for_panel)
        pystray = start.load_pystray(backend)
    except start.NoTray as problem:
        print(f"nexo-tray: {problem}", file=sys.stderr)
        return start.EXIT_UNAVAILABLE

    from nexo_tray.run import run
    from nexo_tray.scratch import TrayRunning, place, scratch

    try:
        with scratch(place(os.environ)) as directory:
            return run(
                pystray,
                directory,
                channel.locate(options.socket),
                chosen_socket=bool(options.socket),
                start_daemon=not options.no_start,
            )
    except TrayRunning:
        print("nexo-tray: it is already running; look for its icon in the panel", file=sys.stderr)
        return EXIT_OK
    except (paths.UnsafePathError, DaemonUnsafe) as error:
        print(f"nexo-tray: {error}; {error.hint}", file=sys.stderr)
        return EXIT_FAILED


def _autostart(*, install: bool) -> int:
    from nexo_tray import autostart

    try:
        target: Path | None = autostart.install() if install else autostart.remove()
    except (autostart.NotSupported, OSError) as error:
        print(f"nexo-tray: {error}", file=sys.stderr)
        return EXIT_FAILED
    if install:
        print(f"nexo-tray will start at login: {target}")
    else:
        print(f"removed: {target}" if target else "nexo-tray was not set to start at login")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
