"""Makes sure that only one server runs: the first start takes a lock, later starts ask it for an address.

A start of another version gets the lock instead, because an upgrade must not show the old page until the last
tab is closed. So does a start that gets no answer: somebody removed the socket, or the server hangs. The
server that had the lock serves only its open tabs from then on.

The lock and the socket are beside the daemon's socket, in a directory that only this user can access.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from nexo.connections import file_locks, files, paths, peers
from nexo.connections.version import __version__

# The names are not longer than `nexod.sock`, so their paths are not too long for a socket either.
_SOCKET, _LOCK = "page.sock", "page.lock"
_ANSWER_S = 2.0
_START_S = 10.0
"""How long to wait for a server that is starting or ending."""
_BIND_S = 1.0
"""How long to wait for a server that does not listen: it is at its first or last step, or lost its socket."""
_MOST_BYTES = 4096

NO_REVEAL = "no_reveal"
_VERSION = "version"

Place = dict[str, str]
"""The page to open: `at` (`add`, `edit`, `show`) and `name`. With `no_reveal`, no tab shows secrets again."""


class Serving:
    """The lock for serving, held until `close`, a start of another version, or the end of the process.

    Its socket is bound at once, so later starts can tell a server that is starting from one without a socket.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self._path = directory / _SOCKET
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(os.fspath(self._path))
        self._socket.listen()
        self._bound = files.identity(self._path)
        self._lock: int | None = lock

    async def listen(self, address: Callable[[Place], str]) -> asyncio.Server:
        """Listen for later starts, and answer them with an address."""

        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError, TimeoutError, AttributeError):
                # A wrapper of asyncio that has the methods of a socket that are needed.
                if peers.is_ours(writer.get_extra_info("socket")):
                    async with asyncio.timeout(_ANSWER_S):
                        asked = json.loads(await reader.readline())
                    place = {name: str(asked[name]) for name in ("at", "name", NO_REVEAL) if name in asked}
                    answer = {"address": address(place)}
                    if asked.get(_VERSION) != __version__:
                        server.close()
                        self.close()
                        answer = {}
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(reply, sock=self._socket, limit=_MOST_BYTES)
        return server

    def close(self) -> None:
        """Release the lock. Its file is kept, because another process may be locking it. Can be repeated."""
        if self._lock is not None:
            with contextlib.suppress(FileNotFoundError):
                # It is another server's if that one took over.
                if files.identity(self._path) == self._bound:
                    self._path.unlink()
            os.close(self._lock)
            self._lock = None


def claim(daemon: Path, place: Place) -> Serving | str:
    """Take the lock for serving, or get an address from the server that has it.

    Args:
        daemon: the socket of the daemon.
        place: the page to open.

    Raises:
        paths.UnsafePathError: the directory of the daemon's socket is not private.
    """
    directory = paths.private_directory(daemon.parent)
    begun = listened = time.monotonic()
    while True:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(lock)
        try:
            file_locks.take(lock)
            if files.leads_to(directory / _LOCK, found):
                return Serving(directory, lock)
        except BlockingIOError:
            pass
        os.close(lock)
        try:
            address = _ask(directory / _SOCKET, place)
            listened = time.monotonic()
        except (FileNotFoundError, ConnectionRefusedError):
            address = ""
        if address:
            return address
        now = time.monotonic()
        if now - begun > _START_S or now - listened > _BIND_S:
            with contextlib.suppress(FileNotFoundError):
                # Not the lock of a third start that was faster.
                if files.leads_to(directory / _LOCK, found):
                    (directory / _LOCK).unlink()
            begun = listened = now
        time.sleep(0.05)


def _ask(path: Path, place: Place) -> str:
    """The address from the server; empty if it gives none.

    Raises:
        FileNotFoundError, ConnectionRefusedError: no server listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.settimeout(_ANSWER_S)
            line.connect(os.fspath(path))
            line.sendall(json.dumps(place | {_VERSION: __version__}).encode() + b"\n")
            with line.makefile("rb") as answer:
                return str(json.loads(answer.readline(_MOST_BYTES))["address"])
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except (OSError, ValueError, KeyError, TypeError):
            # The server is starting, ending or of another version; the caller tries again.
            return ""
