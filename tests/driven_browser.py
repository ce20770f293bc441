"""Starts and ends a browser process, and sends it numbered calls over a WebSocket.

`chromium` and `firefox` define the command, the address and the protocol.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from surroundings import PATIENCE_S

_LEAVE_S = 5.0


class DrivenBrowser(ABC):
    """The browser; a context manager that leaves nothing behind."""

    goodbye = ""
    """The call that ends it."""

    def __init__(self) -> None:
        self.profile = Path(tempfile.mkdtemp(prefix="nexo-browser-"))
        self._open = contextlib.ExitStack()
        self._numbers = 0
        self._events: list[dict[str, Any]] = []

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line; the browser keeps all its files in the profile."""

    @abstractmethod
    def _address(self) -> str:
        """Wait until the browser listens, and return the address."""

    def _begin(self) -> None:  # noqa: B027 - not every browser is greeted
        """Send the first calls of the protocol."""

    @abstractmethod
    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its answer."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.profile), "LANG": "en_GB.UTF-8", "TZ": "UTC"},
        )
        try:
            self._line = self._open.enter_context(self._connect())
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.call(self.goodbye)
        self._open.close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(PATIENCE_S)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _connect(self) -> ClientConnection:
        # A busy browser answers a ping late.
        return connect(
            self._address(), open_timeout=PATIENCE_S, ping_interval=None, max_size=None, proxy=None
        )

    def wait_for_end(self) -> None:
        """Wait until the process has saved its files."""
        self._process.wait(PATIENCE_S)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a numbered message, and return the answer with that number; other messages are events."""
        self._numbers += 1
        number = self._numbers
        self._line.send(json.dumps({"id": number} | message))
        give_up = time.monotonic() + PATIENCE_S
        while True:
            found = json.loads(self._line.recv(timeout=max(0.1, give_up - time.monotonic())))
            assert isinstance(found, dict)
            if found.get("id") == number:
                return found
            self._events.append(found)
