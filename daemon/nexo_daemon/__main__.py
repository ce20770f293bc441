"""The command line of the daemon: `nexod` and `python -m nexo_daemon`. `main` runs the daemon."""

import argparse
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

from nexo.connections import limits, paths, processes, python, run_marks
from nexo.connections.lazy import put_off
from nexo.connections.version import __version__

_LATER = (
    # protobuf's pure-Python implementation, which is imported even if the compiled one is used.
    "google.protobuf.internal.python_message",
    # SQLAlchemy's look-up of plug-ins, and SQLite drivers that are not used.
    "importlib.metadata",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.dialects.sqlite.pysqlcipher",
    # For httpcore2: SOCKS proxies, and default TLS contexts.
    "socksio",
    "truststore",
    # For httpx: file uploads.
    "mimetypes",
)
"""Modules that libraries import and a start never uses; see `lazy`. Each is used by one thread at most."""

_MISSING = "the daemon needs packages that are not installed ({name})"
_INSTALL = "install them with: pip install 'nexo-connections[daemon]'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nexod",
        description="Keeps your LLM connections, checks them and hands them to your programs.",
        epilog="Environment (with the value in force):\n"
        + "\n".join(f"  {place.variable:<16} {place.path}  ({place.purpose})" for place in paths.places())
        + f"\n  {'NEXO_LOG':<16} {os.environ.get('NEXO_LOG', 'info')}  (debug, info, warning or error)"
        + "\n\nIt stays in the foreground; 'nexoctl daemon start' starts it in the background.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--socket", metavar="PATH", type=Path, help="listen here instead of NEXO_SOCKET")
    parser.add_argument(
        "--foreground", action="store_true", help="stay in the foreground (the default; for service files)"
    )
    parser.add_argument(
        "--background",
        action="store_true",
        help="once it answers, log to the file only (for a parent that does not read on)",
    )
    parser.add_argument("--version", action="version", version=f"nexod {__version__}")
    return parser


def _gave_up(problem: str, hint: str) -> int:
    # Imports asyncio, which a start imports when it has disabled the garbage collector.
    from nexo_daemon.notify import gave_up

    return gave_up(problem, hint)


def main() -> int:
    """Entry point; returns the exit code."""
    try:
        return _main()
    except paths.UnsafePathError as error:
        return _gave_up(str(error), error.hint)


def _main() -> int:
    processes.open_standard_files()
    options = _parser().parse_args()
    # Objects created at start stay. Searching them for garbage took an eighth of the CPU of a start
    # (2026-11-23); `main` enables the collector when the daemon is ready.
    gc.disable()
    # Until `Stop` listens, a signal ends the process at once. Raising an exception would not be reliable,
    # because Python discards exceptions that are raised in a callback of its import locks.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(0))
    from nexo_daemon.kept_sockets import KeptSockets

    kept = KeptSockets(os.environ)
    short = limits.shortages()
    if short:
        return _gave_up(short[0].problem, short[0].hint)
    try:
        # Some packages are imported only after the daemon has answered, or when they are needed.
        for name in python.missing(python.DAEMON_NEEDS):
            raise ModuleNotFoundError(name=name)
        put_off(_LATER)
        from nexo_daemon.main import run
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("nexo"):
            raise
        return _gave_up(_MISSING.format(name=error.name), _INSTALL)
    chosen = paths.socket_path(options.socket) if options.socket else None
    run_marks.take_back(os.environ)
    paths.make_absolute(os.environ)
    # The start directory may be writable by others; nothing in it is used, and it should not be kept busy.
    os.chdir("/")
    code = run(lambda: paths.socket_path(chosen), kept, background=options.background)
    # Threads that hang are not joined: they crash while Python and OpenSSL clean up (seen).
    import logging

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
