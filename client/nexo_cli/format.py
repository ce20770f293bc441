"""What is printed: styled text, tables, field lists, spans of time. `screen` and `plain` write it.

Text from elsewhere (names, provider messages) cannot move the cursor or change colours, because control
characters are shown as escapes. `spans_of` does that for all that is printed, `printable` for questions, and
`printer` for JSON.
"""

import enum
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime

from nexo.connections import names, paths
from nexo.connections.values import frozen


class Style(enum.Enum):
    """The meaning of a piece of text; the value is its look, as rich names it."""

    PLAIN = ""
    STRONG = "bold"
    FAINT = "dim"
    GOOD = "green"
    WARNING = "yellow"
    BAD = "red"
    NAME = "cyan"


@frozen
class Span:
    """A piece of text of one style."""

    text: str
    style: Style = Style.PLAIN


Cell = str | Span | Sequence["Cell"]


@frozen
class Column:
    """A column of a table.

    Attributes:
        flexible: may be cut (with an ellipsis) to this many characters if the terminal is narrow.
        droppable: may be left out if cutting is not enough; the highest number goes first.
        right: aligned to the right, for numbers.
    """

    title: str
    flexible: int = 0
    droppable: int = 0
    right: bool = False


@frozen
class Table:
    """Rows under titles; a terminal fits it to its width, a pipe gets everything."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@frozen
class Busy:
    """A line of a `LiveBlock` with a spinner before the text.

    Attributes:
        indent: columns before the spinner.
    """

    text: Cell
    indent: int = 0


Row = Cell | Table | Busy
"""What stands in a `LiveBlock`, one above the other."""

GAP = 2
"""Columns between two columns of a table, and between a label and its value."""


def printable(text: str) -> str:
    """The text with control and invisible characters (escapes, direction overrides) made visible."""
    known = text if text.isprintable() else paths.shown(text)
    return names.replaced(known, lambda unseen: unseen.encode("unicode_escape").decode())


def display_width(text: str) -> int:
    """Columns that the text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )


def padded(text: str, width: int) -> str:
    """The text with spaces up to `width` columns."""
    return text + " " * (width - display_width(printable(text)))


def spans_of(cell: Cell) -> tuple[Span, ...]:
    """The pieces of a cell, made printable."""
    return tuple(Span(printable(span.text), span.style) for span in _pieces(cell))


def _pieces(cell: Cell) -> Iterator[Span]:
    if isinstance(cell, Span):
        yield cell
    elif isinstance(cell, str):
        yield Span(cell)
    else:
        for piece in cell:
            yield from _pieces(piece)


def plain(cell: Cell) -> str:
    """A cell as printable text without colours."""
    return "".join(span.text for span in spans_of(cell))


def field_lines(fields: Sequence[tuple[str, Cell]]) -> list[Cell]:
    """ "Label  value" lines with the values aligned; fields without a value are left out."""
    shown = [(label, cell) for label, cell in fields if any(span.text for span in _pieces(cell))]
    size = max((len(label) for label, _ in shown), default=0)
    return [(Span(label.ljust(size + GAP), Style.FAINT), cell) for label, cell in shown]


def duration(seconds: float | None) -> str:
    """A span of time for a person: "85 ms", "3.2 s", "12 min", "5 h", "3 d"."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for size, unit in ((60, "s"), (3600, "min"), (86400, "h")):
        if seconds < size * 1.5 or (unit == "s" and seconds < 90):
            return f"{seconds / {'s': 1, 'min': 60, 'h': 3600}[unit]:.0f} {unit}"
    if seconds < 86400 * 2:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was; "in …" if it lies ahead."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{_whole(seconds)} ago" if seconds > 0 else f"in {_whole(-seconds)}"


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else duration(seconds)


def clock(moment: datetime | None) -> str:
    """A moment in the time zone of this computer, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
