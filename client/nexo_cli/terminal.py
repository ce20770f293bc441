"""The terminal of the person: questions, hidden input, confirmation, live progress, width.

Not for values (see `format`). Prompts and progress go to stderr, so that stdout holds only the output.
"""

import contextlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Self, TextIO

from nexo_cli.errors import CommandFailed
from nexo_cli.format import Cell, Span, Style, cut, paint, printable

SPINNER = "\N{OBJECT REPLACEMENT CHARACTER}"
"""In a line of a `LiveBlock`, the spinner replaces this character."""

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_ASCII = "|/-\\"
_TICK_S = 0.1
# If the work takes less time, a spinner would only flicker.
_QUIET_S = 0.5


class Terminal:
    """The standard streams, and their abilities.

    Attributes:
        interactive: a person can be asked, because stdin and stderr are terminals.
        live: progress may move the cursor, because stderr is a terminal that supports it.
        width: columns of stdout; None when it is no terminal.
    """

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr = sys.stdin, sys.stdout, sys.stderr
        dumb = os.environ.get("TERM", "") == "dumb"
        # https://no-color.org: any value that is not empty.
        plain = bool(os.environ.get("NO_COLOR")) or dumb
        self.interactive = self.stdin.isatty() and self.stderr.isatty()
        self.live = self.stderr.isatty() and not dumb
        self.colour_out = self.stdout.isatty() and not plain
        self.colour_err = self.stderr.isatty() and not plain
        self.width = _columns(self.stdout) if self.stdout.isatty() else None

    @property
    def err_width(self) -> int:
        """Columns of stderr."""
        return _columns(self.stderr)

    def can_write(self, text: str) -> bool:
        """Whether the encoding of stderr has these characters."""
        try:
            text.encode(self.stderr.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def ask(self, question: str, default: str = "", *, check: Callable[[str], str] | None = None) -> str:
        """The answer to a question; Enter takes the default.

        Args:
            check: returns the error in an answer (the question is then asked again), or an empty text.
        """
        shown = f" [{printable(default)}]" if default else ""
        while True:
            answer = self._read_line(f"{question}{shown}: ").strip() or default
            problem = check(answer) if check else ""
            if not problem:
                return answer
            self._say(f"  {problem}\n", Style.WARNING)

    def ask_secret(self, question: str) -> str:
        """Read an answer that is not shown while it is typed."""
        import termios

        from nexo_cli.terminal_modes import read_hidden

        try:
            return read_hidden(f"{question}: ", self._say)
        except (OSError, termios.error):
            raise CommandFailed(
                "this terminal can't hide what is typed",
                hint="give the key with --api-key-stdin or --api-key-env VARIABLE",
            ) from None
        except EOFError:
            raise KeyboardInterrupt from None

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Ask a yes-or-no question; Enter takes the default."""
        choices = "Y/n" if default else "y/N"
        while True:
            answer = self._read_line(f"{question} [{choices}] ").strip().casefold()
            if not answer:
                return default
            if answer in ("y", "yes", "n", "no"):
                return answer.startswith("y")
            self._say("  Please answer y or n.\n", Style.WARNING)

    def _say(self, text: str, style: Style = Style.PLAIN) -> None:
        self.stderr.write(paint([Span(text, style)], colour=self.colour_err))
        self.stderr.flush()

    def _read_line(self, prompt: str) -> str:
        if self.stdin is sys.stdin and self.stdin.isatty() and self.stdout.isatty():
            # Importing readline makes arrow keys work in input().
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 - imported, it edits the line
            self.stderr.flush()
            try:
                with _interruptible(), self._given_back(prompt):
                    return input(prompt)
            except EOFError:
                raise KeyboardInterrupt from None
        self._say(prompt)
        with _interruptible():
            line = self.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        return line

    def _given_back(self, prompt: str) -> contextlib.AbstractContextManager[object]:
        """Restores the terminal modes that readline sets when the program ends or is stopped."""
        import termios

        from nexo_cli.terminal_modes import Modes

        try:
            termios.tcgetattr(self.stdin.fileno())
        except (termios.error, OSError):
            return contextlib.nullcontext()
        return Modes(self.stdin.fileno(), echo=True, question=prompt)

    def progress(self, text: str) -> "LiveBlock":
        """A spinner with a text, shown if it takes longer than half a second."""
        return LiveBlock(self, [f"{SPINNER} {text}"], quiet_s=_QUIET_S)

    def block(self, lines: Sequence[Cell] = (), *, keep: bool = False) -> "LiveBlock":
        """Lines that are redrawn in place while something runs.

        Args:
            keep: leave the last lines on the screen at the end.
        """
        return LiveBlock(self, lines, quiet_s=_TICK_S, keep=keep)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Handle a Ctrl-C that comes after the prompt is shown and before the wait for a key has begun.

    Python would handle it only after the next key (seen in a test, on a busy machine). A signal five times a
    second interrupts the wait for a moment, and Python then handles pending signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class LiveBlock:
    """Lines at the bottom of the terminal, redrawn in place; a spinner replaces `SPINNER`.

    A context manager that owns the redrawing thread. Output of `above` scrolls past over the block.
    Without a terminal on stderr, only `above` does something.
    """

    def __init__(
        self, terminal: Terminal, lines: Sequence[Cell], *, quiet_s: float = 0.0, keep: bool = False
    ) -> None:
        self._terminal = terminal
        self._lines = list(lines)
        self._quiet_s = quiet_s
        self._keep = keep
        self._drawn = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._frames = itertools.cycle(_FRAMES if terminal.can_write(_FRAMES) else _FRAMES_ASCII)

    def __enter__(self) -> Self:
        if self._terminal.live:
            self._thread = threading.Thread(target=self._run, name="nexoctl-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            with self._lock:
                if not self._keep:
                    self._erase()

    def update(self, lines: Sequence[Cell]) -> None:
        """Replace the lines; they appear with the next tick."""
        with self._lock:
            self._lines = list(lines)

    def above(self, write: Callable[[], None]) -> None:
        """Let `write` print something permanent, above the block."""
        with self._lock:
            self._erase()
            write()

    def _run(self) -> None:
        if self._stop.wait(self._quiet_s):
            return
        while True:
            with self._lock:
                self._draw()
            if self._stop.wait(_TICK_S):
                return

    def _draw(self) -> None:
        width = self._terminal.err_width - 1
        frame = next(self._frames)
        height = max(1, _rows(self._terminal.stderr) - 1)
        lines = self._lines if len(self._lines) <= height else [*self._lines[: height - 1], "…"]
        text = "".join(
            paint(cut(_turned(line, frame), width), colour=self._terminal.colour_err) + "\x1b[K\n"
            for line in lines
        )
        up = f"\x1b[{self._drawn}A\r" if self._drawn else ""
        rest = "\x1b[J" if len(lines) < self._drawn else ""
        # One write for each frame, so that the terminal never shows half of it.
        self._terminal.stderr.write(up + text + rest)
        self._terminal.stderr.flush()
        self._drawn = len(lines)

    def _erase(self) -> None:
        if self._drawn:
            self._terminal.stderr.write(f"\x1b[{self._drawn}A\r\x1b[J")
            self._terminal.stderr.flush()
            self._drawn = 0


def _turned(line: Cell, frame: str) -> Cell:
    if isinstance(line, str):
        return line.replace(SPINNER, frame)
    if isinstance(line, Span):
        return Span(line.text.replace(SPINNER, frame), line.style)
    return [
        piece.replace(SPINNER, frame)
        if isinstance(piece, str)
        else Span(piece.text.replace(SPINNER, frame), piece.style)
        for piece in line
    ]


def _size(stream: TextIO) -> os.terminal_size:
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return os.terminal_size((80, 24))


def _columns(stream: TextIO) -> int:
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return _size(stream).columns or 80


def _rows(stream: TextIO) -> int:
    return _size(stream).lines or 24
