"""The log of the daemon: a private, rotated file, and stderr."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from nexo.connections.paths import private_directory

FILE_LIMIT = 1_000_000
KEEP = 3
ACCEPT_SAID_EVERY_S = 60.0
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _PrivateFile(RotatingFileHandler):
    """A file with mode 0600 from the beginning, never opened through a symbolic link."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`. Creates the file again if it was removed or moved."""
        with contextlib.suppress(OSError):
            self._open_again_if_lost()
        super().emit(record)

    def _open_again_if_lost(self) -> None:
        path = Path(self.baseFilename)
        if self.stream is not None:
            opened = os.fstat(self.stream.fileno())
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), opened):
                    return
            private_directory(path.parent)
            self.stream.close()
            self.stream = self._open()


class _Places(logging.Formatter):
    """Formats exceptions as type and place: their text may quote a request, and so a key."""

    def formatException(  # noqa: N802 - a name of logging
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """See `logging.Formatter`."""
        return "" if ei[1] is None else f"{type(ei[1]).__name__} at {place_of(ei[1])}"


def place_of(error: BaseException) -> str:
    """Where an exception was raised, innermost frame first, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))


def _say_uncaught(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        logging.getLogger(__name__).critical("unexpected %s at %s", type(error).__name__, place_of(error))


class LoopHandler:
    """Handler for the event loop's exceptions. Uses none of its texts, which contain `repr`s of objects."""

    def __init__(self) -> None:
        self._refused_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """See `asyncio.loop.set_exception_handler`."""
        error, log = context.get("exception"), logging.getLogger(__name__)
        if isinstance(error, OSError) and "socket" in context:
            # asyncio tries again every second, and reports each time for each place in the queue of callers.
            if loop.time() >= self._refused_until:
                self._refused_until = loop.time() + ACCEPT_SAID_EVERY_S
                log.warning("callers of the gateway wait: %s", error.strerror)
        elif isinstance(error, BaseException):
            _say_uncaught(error)
        else:
            log.error("the event loop: %s", context.get("message", "?"))


class StandingFailure:
    """A failure that recurs with every try: logged when its text changes, not each time."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._said = ""

    def came(self, message: str) -> None:
        """The operation failed."""
        if message != self._said:
            self._log.warning("%s: %s", self._what, message)
        self._said = message

    def is_over(self) -> None:
        """The operation succeeded; the next failure will be logged."""
        self._said = ""


def leave_stderr() -> None:
    """Log only to the file from now on, and stop writing to stderr."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(handler)
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 2, inheritable=True)
    os.close(null)


def _one_line(record: logging.LogRecord) -> bool:
    """grpcio logs a malformed request with a traceback in its message, so that clients could fill the log."""
    record.exc_info = record.exc_text = None
    return True


def start_logging(path: Path, level: str) -> None:
    """Log to `path` and to stderr.

    Raises:
        UnsafePathError: the directory of the log is not private.
    """
    problem = ""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    try:
        private_directory(path.parent)
        handlers.append(_PrivateFile(path, maxBytes=FILE_LIMIT, backupCount=KEEP, encoding="utf-8"))
    except OSError as error:
        # With a read-only home or a full disk the daemon runs without a log file.
        problem = error.strerror or type(error).__name__
    known = logging.getLevelNamesMapping().get(level.upper())
    # Errors of logging itself (full disk, closed terminal) must not stop the daemon or print a record.
    logging.raiseExceptions = False
    logging.basicConfig(level=known or logging.INFO, format=FORMAT, handlers=handlers, force=True)
    # Below WARNING, httpx logs URLs and httpcore2 headers.
    for name in ("httpx", "httpcore2", "uvicorn", "asyncio", "sqlalchemy", "alembic", "keyring"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_one_line)
    for handler in handlers:
        handler.setFormatter(_Places(FORMAT))
    # Python's own hook would print the text to stderr, which may be the journal.
    sys.excepthook = lambda _, error, __: _say_uncaught(error)
    sys.unraisablehook = lambda found: _say_uncaught(found.exc_value)
    threading.excepthook = lambda found: _say_uncaught(found.exc_value)
    if problem:
        logging.getLogger(__name__).warning("the log %s cannot be written: %s", path, problem)
    if known is None and level:
        logging.getLogger(__name__).warning(
            "NEXO_LOG is '%s'; use debug, info, warning or error. Taken as info.", level
        )
