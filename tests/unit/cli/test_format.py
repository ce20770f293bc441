"""Tables fit the terminal, foreign text can't steer it, and spans of time read well."""

import io
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_cli.format import (
    Cell,
    Column,
    Span,
    Style,
    Table,
    ago,
    display_width,
    duration,
    field_lines,
    padded,
    plain,
    printable,
)
from nexo_cli.plain import PlainOutput
from nexo_cli.screen import Screen

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
COLUMNS = (
    Column(""),
    Column("NAME", flexible=8),
    Column("STATE"),
    Column("URL", flexible=12, droppable=2),
    Column("KEY", droppable=1),
)
ROWS: list[tuple[Cell, ...]] = [
    (
        "*",
        Span("work", Style.STRONG),
        (Span("● healthy", Style.GOOD), " ok"),
        "https://api.openai.com/v1",
        "verified",
    ),
    (" ", "a name that goes on and on", "unknown", "http://127.0.0.1:11434", ""),
    (" ", "日本語の名前", "limited", "", "none"),
]


TABLE = Table(COLUMNS, ROWS)


def on_screen(width: int, *, colour: bool = False) -> tuple[Screen, io.StringIO]:
    stream = io.StringIO()
    return Screen(stream, colour=colour, size=lambda: os.terminal_size((width, 40))), stream


def lines(width: int) -> list[str]:
    screen, stream = on_screen(width)
    screen.table(TABLE)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_everything_uncut() -> None:
    stream = io.StringIO()
    PlainOutput(stream).table(TABLE)
    text = stream.getvalue()
    assert "a name that goes on and on" in text
    assert "https://api.openai.com/v1" in text
    assert "\x1b" not in text


def test_a_pipe_and_a_wide_terminal_get_the_same_lines() -> None:
    stream = io.StringIO()
    PlainOutput(stream).table(TABLE)
    assert stream.getvalue().splitlines() == lines(200)


def test_columns_are_cut_before_they_are_dropped() -> None:
    wide, narrow = "\n".join(lines(70)), "\n".join(lines(44))
    assert "KEY" in wide
    assert "URL" in wide
    assert "…" in wide
    assert "URL" not in narrow
    assert "KEY" in narrow


@given(st.integers(min_value=1, max_value=200))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(display_width(line) <= width for line in lines(width))


@given(st.text(max_size=40), st.integers(min_value=8, max_value=20))
def test_a_cut_cell_fits_and_is_printable(text: str, width: int) -> None:
    screen, stream = on_screen(width)
    screen.table(Table([Column("", flexible=8)], [[text]]))
    shown = stream.getvalue().splitlines()
    assert len(shown) == 2
    assert all(display_width(line) <= width and line.isprintable() for line in shown)


def test_a_very_narrow_terminal_gets_a_block_a_row() -> None:
    shown = lines(14)
    assert "name: work" in shown
    assert shown.count("") == len(ROWS) - 1


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "a\nb", "a\rb", "\x07", "\u202egnp.exe", "\x9b31m", "a\u200bb"]
)
def test_foreign_text_cannot_steer_the_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert "\\" in shown


@pytest.mark.parametrize("name", ["work", "日本語の名前", "e\u0301te", "a\tb"])
def test_a_padded_name_is_as_wide_as_the_others(name: str) -> None:
    assert display_width(plain(padded(name, 14))) == 14


def test_colours_only_where_asked_for() -> None:
    spans = (Span("plain "), Span("bad", Style.BAD))
    for colour, shown in ((False, "plain bad\n"), (True, "plain \x1b[31mbad\x1b[0m\n")):
        screen, stream = on_screen(80, colour=colour)
        screen.line(spans)
        assert stream.getvalue() == shown


def test_words_that_mean_something_to_rich_are_shown_as_they_are() -> None:
    foreign = "[red]a[/red] [link=http://x]b[/link] :warning: 127.0.0.1 'c' None"
    screen, stream = on_screen(80, colour=True)
    screen.line(foreign)
    screen.table(Table([Column("")], [[foreign]]))
    assert stream.getvalue() == f"{foreign}\n\n{foreign}\n"


def test_a_long_line_is_left_to_the_terminal() -> None:
    screen, stream = on_screen(20)
    screen.line("a sentence that is longer than the terminal is wide")
    assert stream.getvalue() == "a sentence that is longer than the terminal is wide\n"


def test_fields_without_a_value_are_left_out() -> None:
    fields: list[tuple[str, Cell]] = [("Name", "work"), ("Model", ""), ("Base URL", "http://x")]
    assert [plain(line) for line in field_lines(fields)] == ["Name      work", "Base URL  http://x"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0004, "0 ms"),
        (0.0854, "85 ms"),
        (0.9999, "1.0 s"),
        (3.21, "3.2 s"),
        (42, "42 s"),
        (89, "89 s"),
        (91, "2 min"),
        (3600, "60 min"),
        (7200, "2 h"),
        (100_000, "28 h"),
        (86_400 * 3, "3 d"),
    ],
)
def test_a_span_of_time(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "now"), (12, "12 s ago"), (600, "10 min ago"), (-30, "in 30 s"), (-7200, "in 2 h")],
)
def test_an_age(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
    assert ago(None, NOW) == ""
