"""Finds the daemon's process even if it does not answer: reads and writes the note in its lock file.

The daemon holds the lock for life. So it is found through it when its socket is gone, denied, or in a
directory that this shell does not look at (another XDG_RUNTIME_DIR: cron, su, a container).
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
    """The process that holds the lock, as its file says.

    Attributes:
        ready: it listens on its socket.
        problem: why its store is read-only; printed with every command.
    """

    pid: int
    version: str
    socket: str
    ready: bool
    problem: str = ""


def encode(note: Note) -> bytes:
    """The content of the lock file."""
    # A note that is too long to be read whole would be unreadable.
    shorter = note._replace(problem=note.problem[:_PROBLEM_LIMIT])
    return json.dumps(shorter._asdict()).encode()


def decode(text: bytes) -> Note | None:
    """The note; None for a file that holds none, as in the first moments of a daemon."""
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
    """The note of the last daemon of this user, alive or not."""
    notes = [note for path in _files() if (note := _read(path)) is not None]
    return next((note for note in notes if processes.alive(note.pid)), notes[0] if notes else None)


def _files() -> tuple[Path, ...]:
    try:
        return (paths.lock_file(), paths.spare_lock_file())
    except paths.UnsafePathError:
        return ()


def _read(path: Path) -> Note | None:
    try:
        with path.open("rb") as file:
            return decode(file.read(LIMIT))
    except OSError:
        return None


def living() -> Note | None:
    """The daemon of this user; None if there is none, or if its pid belongs to another program by now."""
    note = read()
    if note is None or not processes.alive(note.pid):
        return None
    command = processes.command_line(note.pid)
    # If /proc is mounted with hidepid, the command line is hidden; then the lock itself tells.
    return note if "nexo" in command or (not command and held()) else None


def held() -> bool:
    """Whether a process holds the lock, on this system or in another container with the same home.

    Taking the lock for a moment does not stop a daemon that starts, because it tries for longer.
    """
    return any(_held(path) for path in _files())


def _held(path: Path) -> bool:
    from nexo.connections import file_locks

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
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
