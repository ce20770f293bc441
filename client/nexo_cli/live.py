"""Lines at the bottom of a terminal that are drawn again and again, through rich. Imported when they show."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import ConsoleRenderable, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner

from nexo_cli.format import Busy, Row, Span, Style, Table
from nexo_cli.screen import Screen, fitted, text_of

_DRAWN_PER_S = 10
_SAME_LOOKS = 5


class LivePicture:
    """The lines on the screen, from `show` to `end`. A thread of rich redraws them.

    Args:
        rows: tells what to draw now.
        ascii_only: the encoding of the terminal has no better characters for a spinner.
    """

    def __init__(self, screen: Screen, rows: Callable[[], Sequence[Row]], *, ascii_only: bool) -> None:
        self._screen = screen
        self._rows = rows
        self._whole = False
        self._spinner = "line" if ascii_only else "dots"
        self._live = _Live(
            screen.measure,
            console=screen.console,
            get_renderable=self._drawn,
            refresh_per_second=_DRAWN_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def show(self) -> None:
        """Draw the lines, and draw them again ten times a second."""
        self._live.start(refresh=True)

    def lost(self) -> None:
        """Note that the program is being stopped: after that, other text may stand above the cursor."""
        self._live.lost = True

    def end(self, *, leave: bool = False) -> None:
        """Erase the lines, or leave them as they are now."""
        if not leave and self._live.in_foreground():
            # The last drawing is not cut to the height of the terminal, so it could not be erased.
            self._rows = tuple
            self._live.transient = True
            self._live.refresh()
        self._whole = True
        self._live.stop()

    def _drawn(self) -> RenderableType:
        width = self._screen.measure()
        rows = self._rows()
        # The title, and what stands beside the table.
        room = self._screen.console.height - len(rows)
        return Group(*(self._row(row, width, room) for row in rows))

    def _row(self, row: Row, width: int, room: int) -> RenderableType:
        if isinstance(row, Table):
            left_out = 0 if self._whole else max(len(row.rows) - max(room - 1, 1), 0)
            if left_out <= 1:
                return fitted(row, width)
            shown = Table(row.columns, row.rows[:-left_out])
            return Group(fitted(shown, width), text_of(Span(f"… and {left_out} more", Style.FAINT)))
        if not isinstance(row, Busy):
            return text_of(row)
        spinner = Spinner(self._spinner, text_of(row.text))
        # It turns on from where the spinner of the last drawing was.
        spinner.start_time = 0
        return Padding(spinner, (0, 0, 0, row.indent), expand=False)


class _Live(Live):
    """Draws while the program is in the foreground; otherwise the terminal belongs to the shell.

    Attributes:
        lost: something else may have been written since the last drawing.
    """

    lost = False
    _gone = False

    def __init__(self, measure: Callable[[], int], **options: Any) -> None:
        """Args: measure: tells the present width of the terminal."""
        self._measure = measure
        self._width = measure()
        self._same = _SAME_LOOKS
        super().__init__(**options)

    def refresh(self) -> None:
        """Draw the lines again, unless the terminal is gone: then the command continues without them."""
        if not self.in_foreground():
            self.lost = True
        elif not self._gone and (self._has_settled() or not self.is_started):
            try:
                super().refresh()
            except OSError:
                self._gone = True

    def _has_settled(self) -> bool:
        """Whether the terminal has had this width for half a second.

        Many terminals wrap what is wider than a narrowed window, and nothing tells which do. So parts of the
        last drawing stay above the next one: once, and not at each step of a window that is being dragged.
        """
        before, self._width = self._width, self._measure()
        self._same = self._same + 1 if before == self._width else 0
        return self._same >= _SAME_LOOKS

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What to write: the way up to the last drawing, and the lines."""
        written = super().process_renderables(renderables)
        if self.lost:
            self.lost = False
            return written[1:]
        return written

    def in_foreground(self) -> bool:
        """Whether the terminal is this program's to draw on."""
        try:
            group = os.tcgetpgrp(self.console.file.fileno())
        except OSError:
            # It is not the terminal of this session, so that no shell shares it.
            return True
        # 0: a group of another PID namespace.
        return group in (0, os.getpgrp())
