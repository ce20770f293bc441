"""How do two starts become one server? Whoever has the lock serves; the next one asks it for an address.

The lock and the socket lie beside the daemon's socket, in a directory that only this account can enter.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from nexo.connections import file_locks, paths, peers

# No longer than `nexod.sock`, whose path was checked.
_SOCKET, _LOCK = "page.sock", "page.lock"
_ANSWER_S = 2.0
_START_S = 10.0
"""What a server gets that is just starting or ending."""
_MOST_BYTES = 4096

NO_REVEAL = "no_reveal"

Place = dict[str, str]
"""Where the page opens: `at` (`add`, `edit`, `show` …) and `name`. After `no_reveal` no tab shows secrets."""


class Busy(Exception):
    """A server holds the lock, and does not answer."""


class Serving:
    """The lock, held until `close` or the end of the process."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.socket = directory / _SOCKET
        self._lock = lock

    async def listen(self, address: Callable[[Place], str]) -> asyncio.Server:
        """Answer later starts with an address."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError, TimeoutError, AttributeError):
                # A wrapper of asyncio with the methods that are asked.
                if peers.is_ours(writer.get_extra_info("socket")):
                    async with asyncio.timeout(_ANSWER_S):
                        asked = json.loads(await reader.readline())
                    place = {name: str(asked[name]) for name in ("at", "name", NO_REVEAL) if name in asked}
                    writer.write(json.dumps({"address": address(place)}).encode() + b"\n")
                    await writer.drain()
            writer.close()

        self.socket.unlink(missing_ok=True)
        return await asyncio.start_unix_server(answer, self.socket, limit=_MOST_BYTES)

    def close(self) -> None:
        """Let go. The file stays: whoever locked it meanwhile would hold a file that is gone."""
        self.socket.unlink(missing_ok=True)
        os.close(self._lock)


def claim(daemon: Path, place: Place) -> Serving | str:
    """The right to serve; or the address that the present server gives.

    Raises:
        paths.UnsafePathError: the directory of the daemon's socket is not private.
        Busy
    """
    directory = paths.private_directory(daemon.parent)
    give_up = time.monotonic() + _START_S
    while True:
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            file_locks.take(lock)
            return Serving(directory, lock)
        except BlockingIOError:
            os.close(lock)
        address = _ask(directory / _SOCKET, place)
        if address:
            return address
        if time.monotonic() > give_up:
            raise Busy
        time.sleep(0.05)


def _ask(path: Path, place: Place) -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ANSWER_S)
            line.connect(os.fspath(path))
            line.sendall(json.dumps(place).encode() + b"\n")
            with line.makefile("rb") as answer:
                return str(json.loads(answer.readline(_MOST_BYTES))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        # Starting, or ending: asked again until the deadline.
        return ""
