"""Reports a daemon of another version than nexoctl's, once for each pair and not with every command.

The version is read from the daemon's lock file, so it costs no call. Neighbouring versions understand each
other; if an older daemon cannot do something, it says so itself when it is asked.
"""

import contextlib
import os
from pathlib import Path

from nexo.connections import paths
from nexo.connections.lock_note import Note
from nexo.connections.version import __version__

_LIMIT = 4096


def untold_skew(note: Note) -> str:
    """The sentence for the person; empty if the versions are equal, or if it was already printed."""
    if note.version == __version__:
        return ""
    version = note.version
    pair = f"{__version__} {version} {note.pid}"
    told = paths.state_dir() / "version-told"
    with contextlib.suppress(OSError, ValueError):
        if _head(told) == pair:
            return ""
    # Not writable: the sentence is printed again next time, which is better than never.
    with contextlib.suppress(OSError):
        descriptor = os.open(
            told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(pair)
    return (
        f"nexoctl is version {__version__}, the running daemon is version {version}; restart it with: "
        "nexoctl daemon restart"
    )


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LIMIT).decode("utf-8", "replace")
