"""The modes of the terminal during a question; they are restored when the program stops or ends.

If a program switches the echo off and is then stopped or killed, the shell would show no input; if it
continues after Ctrl-Z without switching the echo off again, it would show the key. `getpass` handles neither
case.
"""

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LFLAG = 3
_PASTED, _PASTED_END = b"\x1b[200~", b"\x1b[201~"


class Modes:
    """A context manager over the modes of one terminal.

    Raises:
        termios.error: on entry, if it is no terminal.
    """

    def __init__(self, descriptor: int, *, echo: bool, question: str) -> None:
        """Args: question: shown again after the program continues."""
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
            self._hide()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        # Ignored signals stay ignored (nohup), and so do signals with another handler.
        if signal.getsignal(number) is signal.SIG_DFL:
            self._handlers[number] = signal.signal(number, handler)

    def _set(self, modes: list[Any]) -> None:
        # The terminal may be gone; then there is nothing to restore.
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, modes)

    def _hide(self) -> None:
        self._set(self._during)
        self._mark_pastes(b"h")

    def _give_back(self) -> None:
        if not self._echo:
            self._mark_pastes(b"l")
        self._set(self._before)

    def _mark_pastes(self, switch: bytes) -> None:
        # Bracketed paste: the terminal marks where a pasted text begins and ends, if it can.
        if can_steer():
            self._write(b"\x1b[?2004" + switch)

    def _write(self, text: bytes) -> None:
        # Not through a stream, because a signal may have come during a write to it.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._echo:
            # The modes of readline.
            with contextlib.suppress(termios.error, OSError):
                self._during = termios.tcgetattr(self._descriptor)
        self._give_back()
        act(number)
        signal.signal(number, self._stop)

    def _go_on(self, _number: int, _frame: FrameType | None) -> None:
        # It runs within `act`, and the next Ctrl-Z may come as soon as the question is seen.
        if signal.SIGTSTP in self._handlers:
            signal.signal(signal.SIGTSTP, self._stop)
        if self._echo:
            self._set(self._during)
        else:
            self._hide()
        self._write(self._question.encode(errors="replace"))

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._give_back()
        act(number)


def can_steer() -> bool:
    """Whether TERM names a terminal that obeys escape sequences, to rich, too."""
    return os.environ.get("TERM", "").casefold() not in ("dumb", "unknown")


def act(number: int) -> None:
    """Let the signal have its default effect; sent to this thread, so that it has happened on return."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_kill(threading.get_ident(), number)


def read_hidden(prompt: str, show: Callable[[str], None]) -> str:
    """Read a line that is not shown while it is typed. Line breaks of a pasted text do not end it.

    Args:
        show: writes to the terminal that the person sees.

    Raises:
        EOFError: the input has ended.
        termios.error: the input cannot be hidden here.
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
    """Read one line. A signal ends the wait even if it comes just before, so Python handles it at once."""
    if threading.current_thread() is not threading.main_thread():
        return _text(lambda: os.read(descriptor, 65536))
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)

    def piece() -> bytes:
        while True:
            ready, _, _ = select.select([descriptor, woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
            elif ready:
                return os.read(descriptor, 65536)

    try:
        return _text(piece)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wakes)


def _text(read: Callable[[], bytes]) -> str:
    line = b""
    # The rest of a paste must not be the answer to the next question, which would show it.
    while not line.endswith(b"\n") or line.rfind(_PASTED) > line.rfind(_PASTED_END):
        piece = read()
        if not piece:
            break
        line += piece
    if not line:
        raise EOFError
    before, *pastes = line.removesuffix(b"\n").split(_PASTED)
    whole = [before]
    for paste in pastes:
        text, _, after = paste.partition(_PASTED_END)
        whole += [text.replace(b"\r", b"").replace(b"\n", b""), after]
    return b"".join(whole).decode("utf-8", "surrogateescape")
