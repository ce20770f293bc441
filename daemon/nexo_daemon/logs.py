"""Where the daemon writes what it does: a private, rotated file, and stderr for who started it."""

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from nexo_client.paths import private_directory

FILE_LIMIT = 1_000_000
KEEP = 3
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _PrivateFile(RotatingFileHandler):
    """0600 from the first byte, and not through a symbolic link."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")


def leave_stderr() -> None:
    """Log to the file only from now on, and let nothing else grow what stderr leads to."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(handler)
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 2, inheritable=True)
    os.close(null)


def _one_line(record: logging.LogRecord) -> bool:
    """grpcio logs a malformed request with a traceback of its own inside; a client could fill the log."""
    record.exc_info = record.exc_text = None
    return True


def start_logging(path: Path, level: str) -> None:
    """Log to `path` and to stderr.

    Raises:
        UnsafePathError: the directory of the log is not private.
    """
    private_directory(path.parent)
    known = logging.getLevelNamesMapping().get(level.upper())
    handlers: list[logging.Handler] = [
        _PrivateFile(path, maxBytes=FILE_LIMIT, backupCount=KEEP, encoding="utf-8", delay=False),
        logging.StreamHandler(sys.stderr),
    ]
    # A full disk or a closed terminal must not stop the daemon, and says nothing about a record.
    logging.raiseExceptions = False
    logging.basicConfig(level=known or logging.INFO, format=FORMAT, handlers=handlers, force=True)
    # httpx writes each URL, httpcore each header, at their lower levels.
    for name in ("httpx", "httpcore", "asyncio", "sqlalchemy", "alembic", "keyring"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_one_line)
    if known is None and level:
        logging.getLogger(__name__).warning(
            "NEXO_LOG is '%s'; use debug, info, warning or error. Taken as info.", level
        )
