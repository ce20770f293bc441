"""Output to a terminal through rich: colours, tables that fit. Imported when something is written to one."""

import os
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Column as RichColumn
from rich.table import Table as RichTable
from rich.text import Text

from nexo_cli.format import GAP, Cell, Column, Style, Table, spans_of

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
    return Text.assemble(*((span.text, span.style.value) for span in spans_of(cell)))


def fitted(table: Table, width: int) -> RenderableType:
    """A table in `width` columns of the terminal.

    Flexible columns are cut, then droppable ones left out; if that is not enough, each row becomes a block of
    "title: value" lines.
    """
    rows = [[text_of(cell) for cell in row] for row in table.rows]
    shown = list(range(len(table.columns)))
    natural = {i: max([cell_len(table.columns[i].title), *(row[i].cell_len for row in rows)]) for i in shown}
    widths = _fit(table.columns, natural, shown, width)
    while widths is None:
        droppable = [i for i in shown if table.columns[i].droppable]
        if not droppable:
            widths = _fit(table.columns, natural, shown, width, desperate=True)
            break
        shown.remove(max(droppable, key=lambda i: table.columns[i].droppable))
        widths = _fit(table.columns, natural, shown, width)
    if widths is None:
        return _blocks(table.columns, rows)
    drawn = RichTable(
        *(_column(table.columns[i], widths[i]) for i in shown),
        box=None,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
        header_style=Style.FAINT.value,
    )
    for row in rows:
        drawn.add_row(*(row[i] for i in shown))
    return drawn


def _column(column: Column, width: int) -> RichColumn:
    return RichColumn(
        column.title,
        width=width,
        no_wrap=True,
        overflow="ellipsis",
        justify="right" if column.right else "left",
    )


def _fit(
    columns: Sequence[Column],
    natural: dict[int, int],
    shown: list[int],
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


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> RenderableType:
    lines: list[Text] = []
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            if text:
                label = f"{column.title.lower()}: " if column.title else ""
                lines.append(
                    Text.assemble((label, Style.FAINT.value), text, no_wrap=True, overflow="ellipsis")
                )
        lines.append(Text())
    return Group(*lines[:-1])
