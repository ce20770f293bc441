"""The terminal of the person: questions, hidden input, confirmation, live progress, width.

Not for values (see `format`). Prompts and progress go to stderr, so that stdout holds only the output.
"""

import contextlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from types import FrameType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from nexo_cli.errors import CommandFailed
from nexo_cli.format import Busy, Cell, Row, Span, Style, Table, printable
from nexo_cli.plain import PlainOutput

if TYPE_CHECKING:
    from nexo_cli.live import LivePicture

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TICK_S = 0.1
# If the work takes less time, a spinner would only flicker.
_QUIET_S = 0.5


class Output(Protocol):
    """A standard stream."""

    def line(self, cell: Cell) -> None:
        """Write one line."""

    def table(self, table: Table) -> None:
        """Write a table."""


class Terminal:
    """The standard streams, and their abilities.

    Attributes:
        interactive: a person can be asked, because stdin and stderr are terminals.
        live: progress may move the cursor, because stderr is a terminal that supports it.
        width: columns of stdout; None when it is no terminal.
    """

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr = sys.stdin, sys.stdout, sys.stderr
        # https://no-color.org: any value that is not empty.
        self._colour = not os.environ.get("NO_COLOR")
        self.interactive = self.stdin.isatty() and self.stderr.isatty()
        self.live = _can_draw(self.stderr)
        self.width = _size(self.stdout).columns if self.stdout.isatty() else None

    @cached_property
    def out(self) -> Output:
        """Where the requested output goes."""
        return self._output(self.stdout)

    @cached_property
    def err(self) -> Output:
        """Where remarks, questions and progress go."""
        return self._output(self.stderr)

    def _output(self, stream: TextIO) -> Output:
        if not _can_draw(stream):
            return PlainOutput(stream)
        from nexo_cli.screen import Screen

        return Screen(stream, colour=self._colour, size=lambda: _size(stream))

    @property
    def err_width(self) -> int:
        """Columns of stderr."""
        return _size(self.stderr).columns

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
        shown = f" [{default}]" if default else ""
        while True:
            answer = self._read_line(f"{question}{shown}: ").strip() or default
            problem = check(answer) if check else ""
            if not problem:
                return answer
            self.err.line(Span(f"  {problem}", Style.WARNING))

    def ask_secret(self, question: str) -> str:
        """Read an answer that is not shown while it is typed."""
        import termios

        from nexo_cli.terminal_modes import read_hidden

        if "comint" in os.environ.get("INSIDE_EMACS", ""):
            # `M-x shell`: Emacs itself shows what is typed, and knows only questions for a password.
            self.err.line(
                Span("  Emacs shows what is typed here; M-x comint-send-invisible hides it.", Style.WARNING)
            )
        try:
            return read_hidden(printable(f"{question}: "), self._say)
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
            self.err.line(Span("  Please answer y or n.", Style.WARNING))

    def _say(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()

    def _read_line(self, question: str) -> str:
        prompt = printable(question)
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
        return LiveBlock(self, lambda: [Busy(text)], quiet_s=_QUIET_S)

    def block(self, rows: Callable[[], Sequence[Row]], *, keep: bool = False) -> "LiveBlock":
        """Lines that are redrawn in place while something runs.

        Args:
            rows: tells what to draw now; called in another thread.
            keep: leave the last lines on the screen at the end.
        """
        return LiveBlock(self, rows, keep=keep)

    def picture(self, rows: Callable[[], Sequence[Row]]) -> "LivePicture":
        """Lines on stderr, which has to be `live`."""
        from nexo_cli.live import LivePicture
        from nexo_cli.screen import Screen

        assert isinstance(self.err, Screen)  # noqa: S101 - what `live` means
        return LivePicture(self.err, rows, ascii_only=not self.can_write(_SPINNER))


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
    """Lines at the bottom of the terminal, redrawn in place.

    A context manager. Output of `above` scrolls past over the block. If stderr is not `live`, only `above`
    does something.
    """

    def __init__(
        self,
        terminal: Terminal,
        rows: Callable[[], Sequence[Row]],
        *,
        quiet_s: float = _TICK_S,
        keep: bool = False,
    ) -> None:
        """Args: quiet_s: seconds before the lines appear."""
        self._terminal = terminal
        self._rows = rows
        self._quiet_s = quiet_s
        self._keep = keep
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._picture: LivePicture | None = None
        self._leave = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._terminal.live:
            # An ignored signal stays ignored.
            if (
                threading.current_thread() is threading.main_thread()
                and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
            ):
                signal.signal(signal.SIGTSTP, self._stop)
                self._leave.callback(signal.signal, signal.SIGTSTP, signal.SIG_DFL)
            self._appear_after(self._quiet_s)
        return self

    def __exit__(self, *_: object) -> None:
        with self._leave, self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._end_picture(leave=self._keep)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        from nexo_cli.terminal_modes import act

        # Not when it continues: the thread that draws could be faster then.
        if picture := self._picture:
            picture.lost()
        act(number)
        signal.signal(number, self._stop)

    def above(self, write: Callable[[], None]) -> None:
        """Let `write` print something permanent, above the block."""
        with self._lock:
            if self._picture is not None:
                self._end_picture()
                # Not at once, because most callers change the lines next.
                self._appear_after(_TICK_S)
            write()

    def _appear_after(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._appear)
        self._timer.daemon = True
        self._timer.start()

    def _appear(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._picture = self._terminal.picture(self._rows)
                self._picture.show()

    def _end_picture(self, *, leave: bool = False) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            # The terminal may be gone.
            with contextlib.suppress(OSError):
                picture.end(leave=leave)


def _can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal that can move its cursor, and rich is installed."""
    if not stream.isatty():
        return False
    from nexo_cli.terminal_modes import can_steer

    return can_steer() and importlib.util.find_spec("rich") is not None


def _size(stream: TextIO) -> os.terminal_size:
    """Columns and lines of a terminal; COLUMNS and LINES come first, as for other programs."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        columns, lines = 0, 0
    return os.terminal_size((_given("COLUMNS") or columns or 80, _given("LINES") or lines or 24))


def _given(variable: str) -> int:
    try:
        return max(int(os.environ[variable]), 0)
    except (KeyError, ValueError):
        return 0
