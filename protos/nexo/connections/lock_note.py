"""Reads and writes the note in the daemon's lock file, by which its process is found.

The daemon holds the lock as long as it runs. Clients find it through the lock if its socket was removed, is
not accessible, or is in a directory that this shell does not know: cron, su and containers have another
XDG_RUNTIME_DIR.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nexo.connections import paths, processes

LIMIT = 8192
_PROBLEM_LIMIT = 1000


# Not a dataclass, because importing that costs `nexoctl --help` 12 ms.
class Note(NamedTuple):
    """The process that holds the lock, as described by the lock file.

    Attributes:
        ready: the daemon listens on its socket.
        problem: why its store is read-only; nexoctl prints it with every command.
    """

    pid: int
    version: str
    socket: str
    ready: bool
    problem: str = ""


def encode(note: Note) -> bytes:
    """The content of the lock file."""
    # `read` takes only the first `LIMIT` bytes, and a truncated note cannot be decoded.
    shorter = note._replace(problem=note.problem[:_PROBLEM_LIMIT])
    return json.dumps(shorter._asdict()).encode()


def decode(text: bytes) -> Note | None:
    """The note; None if the file holds none, as in the first moments of a daemon."""
    try:
        fields = json.loads(text)
        return Note(
            int(fields["pid"]),
            str(fields["version"]),
            str(fields["socket"]),
            bool(fields.get("ready", True)),
            str(fields.get("problem", "")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read() -> Note | None:
    """The note of this user's last daemon, running or not."""
    notes = [note for path in _files() if (note := _read(path)) is not None]
    return next((note for note in notes if processes.alive(note.pid)), notes[0] if notes else None)


def _files() -> tuple[Path, ...]:
    try:
        return (paths.lock_file(), paths.spare_lock_file())
    except paths.UnsafePathError:
        return ()


def _read(path: Path) -> Note | None:
    try:
        # A named pipe without a writer must not hang every command.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            return decode(file.read(LIMIT))
    except OSError:
        return None


def living() -> Note | None:
    """The running daemon of this user; None if there is none, or if another program has its pid by now."""
    note = read()
    if note is None or not processes.alive(note.pid):
        return None
    command = processes.command_line(note.pid)
    # If /proc is mounted with hidepid, the command line is hidden; then the lock shows whether it runs.
    return note if "nexo" in command or (not command and held()) else None


def held() -> bool:
    """Whether a process holds the lock, on this system or in another container with the same home.

    This takes the lock for a moment. A daemon that starts meanwhile still gets it, because it retries.
    """
    return any(_held(path) for path in _files())


def _held(path: Path) -> bool:
    from nexo.connections import file_locks

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        file_locks.share(descriptor)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.close(descriptor)
    return False
