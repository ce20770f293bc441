"""Output to a terminal through rich: colours, tables that fit. Imported when something is written to one."""

import os
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from nexo_cli.format import GAP, Cell, Column, Span, Style, Table, spans_of

# When no column is left to drop, columns may get as narrow as this.
_NARROWEST = 8


class Screen:
    """A stream that is a terminal.

    Attributes:
        console: what rich knows of it.
    """

    def __init__(self, stream: TextIO, *, colour: bool, size: Callable[[], os.terminal_size]) -> None:
        """Args: size: tells the present size of the terminal."""
        self._size = size
        self.console = _Console(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            # Otherwise rich reads COLUMNS and LINES, and fails for "²"; `measure` takes the true size.
            width=80,
            height=24,
            color_system="standard" if colour else None,
            highlight=False,
        )

    def line(self, cell: Cell) -> None:
        """Write one line; the terminal wraps it, so that copied text has no line breaks."""
        self.console.print(text_of(cell), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Write a table that is no wider than the terminal."""
        self.console.print(fitted(table, self.measure()))

    def measure(self) -> int:
        """Take the present size of the terminal; returns its columns."""
        self.console.size = self._size()
        return self.console.width


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor as it is: a program that is killed could not show it again."""
        return False


def text_of(cell: Cell) -> Text:
    """A cell, as rich takes it."""
    return Text.assemble(*((span.text, span.style.value) for span in spans_of(cell)), overflow="ellipsis")


def fitted(table: Table, width: int) -> Text:
    """A table in `width` columns of the terminal.

    Flexible columns are cut, then droppable ones left out; if that is not enough, each row becomes a block of
    "title: value" lines.
    """
    # rich's own table measures and styles each cell several times: a millisecond a row.
    titles = [text_of(Span(column.title, Style.FAINT)) for column in table.columns]
    rows = [[text_of(cell) for cell in row] for row in table.rows]
    shown = list(range(len(table.columns)))
    natural = [max(text.cell_len for text in cells) for cells in zip(titles, *rows, strict=True)]
    widths = _fit(table.columns, natural, shown, width)
    while widths is None:
        droppable = [i for i in shown if table.columns[i].droppable]
        if not droppable:
            widths = _fit(table.columns, natural, shown, width, desperate=True)
            break
        shown.remove(max(droppable, key=lambda i: table.columns[i].droppable))
        widths = _fit(table.columns, natural, shown, width)
    if widths is None:
        return _blocks(table.columns, rows, width)
    gap = Text(" " * GAP)
    lines = []
    for row in (titles, *rows):
        for i in shown:
            row[i].align("right" if table.columns[i].right else "left", widths[i])
        line = gap.join(row[i] for i in shown)
        line.rstrip()
        lines.append(line)
    return _stacked(lines)


def _fit(
    columns: Sequence[Column],
    natural: Sequence[int],
    shown: Sequence[int],
    width: int,
    *,
    desperate: bool = False,
) -> dict[int, int] | None:
    """The width of each shown column; None if they can't be made to fit."""
    widths = {i: natural[i] for i in shown}
    excess = sum(widths.values()) + GAP * (len(shown) - 1) - width
    least = {i: _NARROWEST if desperate else columns[i].flexible for i in shown if columns[i].flexible}
    while excess > 0:
        flexible = [i for i in least if widths[i] > least[i]]
        if not flexible:
            return None
        widths[max(flexible, key=lambda i: widths[i])] -= 1
        excess -= 1
    return widths


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> Text:
    lines: list[Text] = []
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            if text.plain.strip():
                label = f"{column.title.lower()}: " if column.title else ""
                line = Text.assemble((label, Style.FAINT.value), text, overflow="ellipsis")
                line.truncate(width)
                lines.append(line)
        lines.append(Text())
    return _stacked(lines[:-1])


def _stacked(lines: Sequence[Text]) -> Text:
    stacked = Text("\n").join(lines)
    stacked.no_wrap, stacked.overflow = True, "ignore"
    return stacked
