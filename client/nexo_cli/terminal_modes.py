"""The modes of the terminal while somebody is asked: a program that stops or ends gives them back.

A stopped or killed program that had switched the echo off would leave a shell that shows nothing; one that
goes on after Ctrl-Z and does not switch it off again would show the key. `getpass` knows neither.
"""

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LFLAG = 3


class Modes:
    """A context manager over the modes of one terminal.

    Raises:
        termios.error: on entry, when it is no terminal.
    """

    def __init__(self, descriptor: int, *, echo: bool, question: str) -> None:
        """Args: question: shown once more after the program went on."""
        self._descriptor = descriptor
        self._echo = echo
        self._question = question
        self._before: list[Any] = []
        self._during: list[Any] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._descriptor)
        self._during = termios.tcgetattr(self._descriptor)
        if not self._echo:
            self._during[_LFLAG] &= ~termios.ECHO
        if threading.current_thread() is threading.main_thread():
            self._handle(signal.SIGTSTP, self._stop)
            self._handle(signal.SIGCONT, self._go_on)
            for number in _ENDS:
                self._handle(number, self._end)
        if not self._echo:
            self._set(self._during)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._set(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        # What is ignored stays so (nohup), and so does what somebody else sees to.
        if signal.getsignal(number) is signal.SIG_DFL:
            self._handlers[number] = signal.signal(number, handler)

    def _set(self, modes: list[Any]) -> None:
        # The terminal may be gone: then there is nothing to give back.
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, modes)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._echo:
            # Those of readline.
            with contextlib.suppress(termios.error, OSError):
                self._during = termios.tcgetattr(self._descriptor)
        self._set(self._before)
        self._act(number)
        signal.signal(number, self._stop)

    def _go_on(self, _number: int, _frame: FrameType | None) -> None:
        self._set(self._during)
        # Not through a stream: the signal may have come while somebody writes to it.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, self._question.encode(errors="replace"))

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._set(self._before)
        self._act(number)

    @staticmethod
    def _act(number: int) -> None:
        """Let the signal do what it does by itself; to this thread, so that it has been done on return."""
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_kill(threading.get_ident(), number)


def read_hidden(prompt: str, show: Callable[[str], None]) -> str:
    """A line that is not shown while it is typed.

    Args:
        show: writes to where the person looks.

    Raises:
        EOFError: there will be no answer.
        termios.error: what is typed cannot be hidden here.
        OSError: there is no terminal.
    """
    descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        with Modes(descriptor, echo=False, question=prompt):
            show(prompt)
            try:
                return _line(descriptor)
            finally:
                show("\n")
    finally:
        os.close(descriptor)


def _line(descriptor: int) -> str:
    """One line. A signal ends the wait even if it comes just before: Python then acts on it at once."""
    if threading.current_thread() is not threading.main_thread():
        return _text(descriptor)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        while True:
            ready, _, _ = select.select([descriptor, woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
            elif ready:
                return _text(descriptor)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wakes)


def _text(descriptor: int) -> str:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 65536)
        if not piece:
            break
        line += piece
    if not line:
        raise EOFError
    return line.removesuffix(b"\n").decode("utf-8", "surrogateescape")
