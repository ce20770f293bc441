"""How values look in a terminal and in a pipe: tables, field lists, colours, times. No other module prints.

In a pipe there are no colours and nothing is cut off. Text from elsewhere (names, provider messages) cannot
move the cursor or change colours, because control characters are shown as escapes.
"""

import contextlib
import enum
import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from nexo.connections import names, paths
from nexo.connections.values import frozen


class Style(enum.Enum):
    """The meaning of a piece of text; the terminal maps it to a look."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"
    NAME = "36"


@frozen
class Span:
    """A piece of text of one style."""

    text: str
    style: Style = Style.PLAIN


Cell = str | Span | Sequence[Span | str]


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


# When no column is left to drop, columns may get as narrow as this.
_NARROWEST = 8
_GAP = 2
_SPACE = Span(" " * _GAP)

# Printable spans and their widths: measured once, used several times.
_Measured = tuple[tuple[Span, ...], int]


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


def cut(cell: Cell, width: int) -> tuple[Span, ...]:
    """A cell, made printable and cut with an ellipsis to `width` columns."""
    return _cut(_spans(cell), width)


def shorten(text: str, width: int) -> str:
    """The text, cut with an ellipsis if it is wider than `width` columns."""
    if display_width(text) <= width:
        return text
    kept, used = "", 1
    for c in text:
        used += display_width(c)
        if used > width:
            break
        kept += c
    return kept + "…"


def _spans(cell: Cell) -> tuple[Span, ...]:
    if isinstance(cell, str):
        return (Span(printable(cell)),)
    pieces = (cell,) if isinstance(cell, Span) else cell
    spans = (Span(piece) if isinstance(piece, str) else piece for piece in pieces)
    shown = ((span, printable(span.text)) for span in spans)
    return tuple(span if text is span.text else Span(text, span.style) for span, text in shown)


def _measured(cell: Cell) -> _Measured:
    spans = _spans(cell)
    return spans, _width_of(spans)


def _width_of(spans: Sequence[Span]) -> int:
    return sum(display_width(span.text) for span in spans)


def _cut(spans: Sequence[Span], width: int) -> tuple[Span, ...]:
    if _width_of(spans) <= width:
        return tuple(spans)
    kept: list[Span] = []
    left = width
    for span in spans:
        text = shorten(span.text, left) if display_width(span.text) > left else span.text
        kept.append(Span(text, span.style))
        left -= display_width(text)
        if left <= 0 or text != span.text:
            break
    return tuple(kept)


def paint(spans: Sequence[Span], *, colour: bool) -> str:
    """The spans as one string, with colours if `colour` is set."""
    if not colour:
        return "".join(span.text for span in spans)
    return "".join(
        f"\x1b[{span.style.value}m{span.text}\x1b[0m" if span.style is not Style.PLAIN else span.text
        for span in spans
    )


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int | None
) -> list[tuple[Span, ...]]:
    """The lines of a table.

    With a width: flexible columns are cut, then droppable ones left out, then each row becomes a block of
    "title: value" lines. Without one (a pipe) nothing is cut.
    """
    body = [[_measured(cell) for cell in row] for row in rows]
    shown = list(range(len(columns)))
    widths = _fit(columns, body, shown, width)
    while widths is None:
        droppable = [i for i in shown if columns[i].droppable]
        if not droppable:
            widths = _fit(columns, body, shown, width, desperate=True)
            break
        shown.remove(max(droppable, key=lambda i: columns[i].droppable))
        widths = _fit(columns, body, shown, width)
    if widths is None:
        return _blocks(columns, body, width or 0)
    header = [_measured(Span(column.title, Style.FAINT)) for column in columns]
    lines = []
    for row in [header, *body]:
        line: list[Span] = []
        for i in shown:
            spans, size = row[i]
            if size > widths[i]:
                spans = _cut(spans, widths[i])
                size = _width_of(spans)
            padding = " " * (widths[i] - size)
            if columns[i].right:
                line += (Span(padding), *spans, _SPACE)
            else:
                line += (*spans, Span(padding + " " * _GAP))
        lines.append(_without_end(line))
    return lines


def _without_end(line: list[Span]) -> tuple[Span, ...]:
    """The line without white space at its end."""
    while line and not line[-1].text.strip():
        line.pop()
    return tuple(line)


def _fit(
    columns: Sequence[Column],
    body: list[list[_Measured]],
    shown: list[int],
    width: int | None,
    *,
    desperate: bool = False,
) -> dict[int, int] | None:
    """The width of each shown column; None if they can't be made to fit."""
    widths = {i: max([display_width(columns[i].title), *(row[i][1] for row in body)]) for i in shown}
    if width is None:
        return widths
    excess = sum(widths.values()) + _GAP * (len(shown) - 1) - width
    least = {i: _NARROWEST if desperate else columns[i].flexible for i in shown if columns[i].flexible}
    while excess > 0:
        flexible = [i for i in least if widths[i] > least[i]]
        if not flexible:
            return None
        widths[max(flexible, key=lambda i: widths[i])] -= 1
        excess -= 1
    return widths


def _blocks(columns: Sequence[Column], body: list[list[_Measured]], width: int) -> list[tuple[Span, ...]]:
    lines: list[tuple[Span, ...]] = []
    for row in body:
        for column, (spans, size) in zip(columns, row, strict=True):
            if size:
                label = Span(f"{column.title.lower()}: " if column.title else "", Style.FAINT)
                lines.append(_cut((label, *spans), max(width, 1)))
        lines.append(())
    return lines[:-1]


def field_lines(fields: Sequence[tuple[str, Cell]], *, colour: bool) -> list[str]:
    """ "Label  value" lines with the values aligned; fields without a value are left out."""
    shown = [(label, _spans(cell)) for label, cell in fields]
    shown = [(label, spans) for label, spans in shown if _width_of(spans)]
    size = max((display_width(label) for label, _ in shown), default=0)
    return [
        paint([Span(label.ljust(size + _GAP), Style.FAINT), *spans], colour=colour).rstrip()
        for label, spans in shown
    ]


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


class Printer:
    """Writes the requested output to stdout, and remarks to stderr.

    Attributes:
        width: columns of the terminal; None when stdout is no terminal.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        width: int | None,
        colour_out: bool,
        colour_err: bool,
        json_errors: bool = False,
    ) -> None:
        self._out = out
        self._err = err
        self.width = width
        self._colour_out = colour_out
        self._colour_err = colour_err
        self._json_errors = json_errors

    def line(self, *cells: Cell) -> None:
        """One line on stdout."""
        spans = [span for cell in cells for span in _spans(cell)]
        self._out.write(paint(spans, colour=self._colour_out) + "\n")
        self._out.flush()

    def raw(self, text: str) -> None:
        """Text for a program, exactly as given: in UTF-8, even if the terminal has another encoding."""
        self._out.flush()
        stream = getattr(self._out, "buffer", None)
        if stream is None:
            self._out.write(text)
        else:
            stream.write(text.encode("utf-8", "surrogateescape"))
            stream.flush()

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A table on stdout."""
        for line in table(columns, rows, width=self.width):
            self._out.write(paint(line, colour=self._colour_out) + "\n")
        self._out.flush()

    def fields(self, fields: Sequence[tuple[str, Cell]]) -> None:
        """A list of labelled values on stdout."""
        for line in field_lines(fields, colour=self._colour_out):
            self._out.write(line + "\n")
        self._out.flush()

    def json(self, record: object, *, one_line: bool = False) -> None:
        """A JSON value on stdout, on one line if it is one of many."""
        self._out.write(_json_for(self._out, record, None if one_line else 2))
        self._out.flush()

    def note(self, *cells: Cell) -> None:
        """A remark on stderr. If it cannot be written, the command continues."""
        spans = [span for cell in cells for span in _spans(cell)]
        with contextlib.suppress(OSError):
            self._err.write(paint(spans, colour=self._colour_err) + "\n")
            self._err.flush()

    def warn(self, text: str) -> None:
        """A warning on stderr."""
        self.note(Span("warning: ", Style.WARNING), text)

    def error(self, record: dict[str, object], message: str, hint: str) -> None:
        """A failure on stderr; as JSON with `--json`."""
        self._out.flush()
        if self._json_errors:
            self._err.write(_json_for(self._err, record))
        else:
            self.note(Span("error: ", Style.BAD), message)
            if hint:
                self.note(Span("  fix: ", Style.FAINT), hint)
        self._err.flush()


def _json_for(stream: TextIO, record: object, indent: int | None = None) -> str:
    """The value on its own lines; characters that the stream's encoding lacks are written as JSON escapes."""
    name = (getattr(stream, "encoding", None) or "utf-8").replace("_", "-").casefold()
    return json.dumps(record, ensure_ascii=name != "utf-8", indent=indent) + "\n"
