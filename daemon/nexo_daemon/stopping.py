"""Stops the daemon on signals and on request, and makes sure that it ends.

Signals are read by a thread, because the event loop may hang. Once told to stop, the daemon has a few seconds
to end in order; then it exits, whatever still runs. That loses nothing, because everything that was
acknowledged is on the disk.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

log = logging.getLogger("nexod")

DEADLINE_S = 4.0
"""Time for an orderly end in seconds, less than the documented 5 s."""
_SAYING_S = 0.3

# SIGHUP: the terminal of `nexod --foreground` was closed, or somebody wants a reload. With an exit code other
# than success, a service manager that did not ask for the end starts the daemon again.
_EXIT_CODES = {signal.SIGTERM: 0, signal.SIGINT: 0, signal.SIGHUP: 0}
_SUPERVISED = {signal.SIGHUP: 128 + signal.SIGHUP}


class Stop:
    """Receives signals and the Shutdown call. A second signal ends the process at once.

    An exception is the first signal after a Shutdown call: a caller that got no answer sends it to end the
    daemon in order.

    Attributes:
        exit_code: exit code of an orderly end.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = 0
        self._status = 0
        self._must_end = threading.Event()
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Handle signals from now on; before `attach`, they end the start."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        # Python writes the number of an arriving signal to the socket, whatever its main thread is doing.
        signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
        for number in _EXIT_CODES:
            # With `nohup nexod`, SIGHUP is ignored intentionally. An ignored SIGINT is not intentional:
            # shells ignore it for jobs started with `&`, and a stop by SIGINT is an explicit request.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._in_main_thread)
        threading.Thread(target=self._read, args=(reader,), name="signals", daemon=True).start()
        # Started now, because later there may be no memory for a thread.
        threading.Thread(target=self._count_down, name="deadline", daemon=True).start()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the event loop, on which the stop runs in order."""
        with self._lock:
            self._loop = loop
        if self._signals:
            self._told.set()

    def __call__(self) -> None:
        """Stop in order; call it on the event loop."""
        self._told.set()

    async def wait(self) -> None:
        """Wait until told to stop."""
        await self._told.wait()

    def must_end(self, exit_code: int) -> None:
        """Start the time limit `DEADLINE_S` for an orderly end; may be called twice."""
        self._status = exit_code
        self._must_end.set()

    def _count_down(self) -> None:
        self._must_end.wait()
        time.sleep(DEADLINE_S)
        _give_up(self._status)

    def _in_main_thread(self, number: int, frame: FrameType | None) -> None:
        if self._loop is None:
            sys.exit(0)

    def _read(self, reader: socket.socket) -> None:
        while received := reader.recv(16):
            for number in received:
                if number in _EXIT_CODES:
                    self._on_signal(signal.Signals(number))

    def _on_signal(self, number: signal.Signals) -> None:
        self._signals += 1
        if self._signals > 1:
            _say(logging.WARNING, "second signal (%s): exiting at once", number.name)
            os._exit(1)
        codes = _EXIT_CODES | (_SUPERVISED if os.environ.get("NOTIFY_SOCKET") else {})
        self.exit_code = codes[number]
        self.must_end(self.exit_code)
        with self._lock:
            loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._told.set)
        _say(logging.INFO, "%s: stopping", number.name)


def _give_up(exit_code: int) -> None:
    busy = [
        one.name for one in threading.enumerate() if one.name not in ("MainThread", "signals", "deadline")
    ]
    words = "the stop did not end within %g s (threads: %s): ending now"
    _say(logging.WARNING, words, DEADLINE_S, ", ".join(busy) or "none")
    os._exit(exit_code)


def _say(level: int, words: str, *facts: object) -> None:
    # The disk of the log may hang.
    saying = threading.Thread(target=log.log, args=(level, words, *facts), name="saying", daemon=True)
    with contextlib.suppress(RuntimeError):
        saying.start()
        saying.join(_SAYING_S)
