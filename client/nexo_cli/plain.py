"""Output to a pipe or a file, or to a terminal without rich: no colours, and nothing is cut off."""

from typing import TextIO

from nexo_cli.format import GAP, Cell, Table, display_width, plain


class PlainOutput:
    """A stream for programs and files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, cell: Cell) -> None:
        """Write one line."""
        self._stream.write(plain(cell) + "\n")
        self._stream.flush()

    def table(self, table: Table) -> None:
        """Write all rows, with the columns aligned."""
        rows = [
            [column.title for column in table.columns],
            *([plain(cell) for cell in row] for row in table.rows),
        ]
        measured = [[(text, display_width(text)) for text in row] for row in rows]
        widths = [max(size for _, size in cells) for cells in zip(*measured, strict=True)]
        for row in measured:
            cells = []
            for column, width, (text, size) in zip(table.columns, widths, row, strict=True):
                padding = " " * (width - size)
                cells.append(padding + text if column.right else text + padding)
            self._stream.write((" " * GAP).join(cells).rstrip() + "\n")
        self._stream.flush()
