"""Writes what a command has to say: the requested output to stdout, remarks to stderr."""

import contextlib
import json
from collections.abc import Sequence
from typing import TextIO

from nexo.connections import names
from nexo_cli.format import Cell, Column, Span, Style, Table, field_lines
from nexo_cli.terminal import Terminal


class Printer:
    """Writes the requested output to stdout, and remarks to stderr."""

    def __init__(self, terminal: Terminal, *, json_errors: bool = False) -> None:
        """Args: json_errors: write failures as JSON."""
        self._terminal = terminal
        self._json_errors = json_errors

    def line(self, *cells: Cell) -> None:
        """One line on stdout."""
        self._terminal.out.line(cells)

    def raw(self, text: str) -> None:
        """Text for a program, exactly as given: in UTF-8, even if the terminal has another encoding."""
        out = self._terminal.stdout
        out.flush()
        stream = getattr(out, "buffer", None)
        if stream is None:
            out.write(text)
        else:
            stream.write(text.encode("utf-8", "surrogateescape"))
            stream.flush()

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """A table on stdout."""
        self._terminal.out.table(Table(columns, rows))

    def fields(self, fields: Sequence[tuple[str, Cell]]) -> None:
        """A list of labelled values on stdout."""
        for line in field_lines(fields):
            self._terminal.out.line(line)

    def json(self, record: object, *, one_line: bool = False) -> None:
        """A JSON value on stdout, on one line if it is one of many."""
        out = self._terminal.stdout
        out.write(_json_for(out, record, None if one_line else 2))
        out.flush()

    def note(self, *cells: Cell) -> None:
        """A remark on stderr. If it cannot be written, the command continues."""
        with contextlib.suppress(OSError):
            self._terminal.err.line(cells)

    def warn(self, text: str) -> None:
        """A warning on stderr."""
        self.note(Span("warning: ", Style.WARNING), text)

    def error(self, record: dict[str, object], message: str, hint: str) -> None:
        """A failure on stderr; as JSON with `--json`."""
        err = self._terminal.stderr
        self._terminal.stdout.flush()
        if self._json_errors:
            err.write(_json_for(err, record))
        else:
            self.note(Span("error: ", Style.BAD), message)
            if hint:
                self.note(Span("  fix: ", Style.FAINT), hint)
        err.flush()


def _json_for(stream: TextIO, record: object, indent: int | None = None) -> str:
    """The value on its own lines.

    Characters that the stream's encoding lacks are written as JSON escapes, and so are those that a reader
    does not see, because some of them steer a terminal.
    """
    name = (getattr(stream, "encoding", None) or "utf-8").replace("_", "-").casefold()
    text = json.dumps(record, ensure_ascii=name != "utf-8", indent=indent)
    # Line by line, because a text without such a character, and thus without line breaks, is checked at once.
    lines = (names.replaced(line, lambda unseen: json.dumps(unseen)[1:-1]) for line in text.split("\n"))
    return "\n".join(lines) + "\n"
