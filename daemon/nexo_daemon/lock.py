"""One daemon a user: an advisory lock that is held for life, on a file that says who holds it."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from nexo_client.paths import private_directory
from nexo_client.version import __version__


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as its file says."""

    pid: int
    version: str
    socket: str


class AlreadyRunning(Exception):  # noqa: N818 - the name says the state
    """Another daemon holds the lock.

    Attributes:
        holder: None while it is just starting.
    """

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = (
            f"nexod {holder.version} (pid {holder.pid}, socket {holder.socket})"
            if holder
            else "another nexod"
        )
        super().__init__(f"{who} is running already and holds {path}")
        self.holder = holder


class InstanceLock:
    """flock(2) on the lock file, which is never removed: otherwise two daemons could lock two inodes."""

    def __init__(self, path: Path, socket: Path) -> None:
        self._path = path
        self._socket = socket
        self._file: int | None = None

    def __enter__(self) -> "InstanceLock":
        """Take the lock.

        Raises:
            AlreadyRunning: with who has it.
            UnsafePathError: the directory of the lock is not private.
        """
        private_directory(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(file, 4096, 0)
            os.close(file)
            raise AlreadyRunning(self._path, _holder(text)) from None
        note = {"pid": os.getpid(), "version": __version__, "socket": str(self._socket)}
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(note).encode(), 0)
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def _holder(text: bytes) -> Holder | None:
    try:
        note = json.loads(text)
        return Holder(int(note["pid"]), str(note["version"]), str(note["socket"]))
    except (ValueError, KeyError, TypeError):
        return None
