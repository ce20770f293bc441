"""`nexod` and `python -m nexo_daemon`: the command line of the daemon. What it does is in `main`."""

import argparse
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

from nexo.connections import limits, paths, python, run_marks
from nexo.connections.lazy import put_off
from nexo.connections.version import __version__

_LATER = (
    # protobuf's other implementation, which is imported whether or not there is the compiled one.
    "google.protobuf.internal.python_message",
    # Where SQLAlchemy looks for plug-ins, and drivers of SQLite that are not ours.
    "importlib.metadata",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.dialects.sqlite.pysqlcipher",
    # Of httpcore2: proxies that speak SOCKS, and contexts that it makes where none is given.
    "socksio",
    "truststore",
    # Of httpx: uploads of files.
    "mimetypes",
)
"""What libraries import and a start never uses; see `lazy`. One thread at most touches any of it."""

_MISSING = (
    "nexod: the daemon needs packages that are not installed ({name}).\n"
    "Install them with: pip install 'nexo-connections[daemon]'"
)


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


def main() -> int:
    """Entry point; returns the exit code."""
    try:
        return _main()
    except paths.UnsafePathError as error:
        print(f"nexod: {error}\n  {error.hint}", file=sys.stderr)
        return 1


def _main() -> int:
    options = _parser().parse_args()
    # What the start makes stays. Looking for garbage in it is an eighth of the CPU of a start (2026-11-23);
    # `main` turns it on again when the daemon is ready.
    gc.disable()
    # Until `Stop` listens there is nothing to end in order. An exception may be lost here: Python swallows
    # what is raised in a callback of its import locks.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(0))
    from nexo_daemon.kept_sockets import KeptSockets

    kept = KeptSockets(os.environ)
    short = limits.shortages()
    if short:
        print(f"nexod: {short[0].problem}\n  {short[0].hint}", file=sys.stderr)
        return 1
    try:
        # Some are imported only when the daemon has answered, or when they are needed.
        for name in python.missing(python.DAEMON_NEEDS):
            raise ModuleNotFoundError(name=name)
        put_off(_LATER)
        from nexo_daemon.main import run
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("nexo"):
            raise
        print(_MISSING.format(name=error.name), file=sys.stderr)
        return 1
    chosen = paths.socket_path(options.socket) if options.socket else None
    run_marks.take_back(os.environ)
    paths.make_absolute(os.environ)
    # The directory may be one that anybody can write to, and nothing of it is ours to use (or to keep busy).
    os.chdir("/")
    code = run(lambda: paths.socket_path(chosen), kept, background=options.background)
    # Threads that hang are left alone: while Python and OpenSSL clear up under them, they crash (seen).
    import logging

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
