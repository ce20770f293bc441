"""Text from elsewhere cannot steer the terminal, whichever way it leaves nexoctl."""

import ast
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nexo_cli
from nexo_cli.format import Column, Span, Style, printable
from nexo_cli.printer import Printer
from nexo_cli.terminal import Terminal

HOSTILE = "a\x1b[2J\x9b31m\u202egnp\x7f\x07\rb\nc\u2028d"

PRINTED: dict[str, Callable[[Printer], None]] = {
    "a line": lambda printer: printer.line("- ", [Span(HOSTILE, Style.BAD), [HOSTILE]], HOSTILE),
    "a table": lambda printer: printer.table([Column("")], [[HOSTILE], [Span(HOSTILE)]]),
    "fields": lambda printer: printer.fields([("Name", HOSTILE)]),
    "a note": lambda printer: printer.note(HOSTILE),
    "a warning": lambda printer: printer.warn(HOSTILE),
    "an error": lambda printer: printer.error({}, HOSTILE, HOSTILE),
}
ASKED: dict[str, Callable[[Terminal], object]] = {
    "a question": lambda terminal: terminal.ask(HOSTILE, HOSTILE),
    "a yes or no": lambda terminal: terminal.confirm(HOSTILE),
    "a wrong answer": lambda terminal: terminal.ask(
        "Name", check=lambda text: "" if text == "last" else HOSTILE
    ),
}

WRITERS = {
    "printer.py": "JSON, and text for programs",
    "plain.py": "cells",
    "terminal.py": "questions",
    "terminal_modes.py": "a question, again",
    "parser.py": "help",
    "app.py": "help and fixed words",
    "__main__.py": "the version",
    "reference.py": "help, for the documentation",
    "demo": "fixed words, and what its own programs say",
    **dict.fromkeys(("setting_up.py", "cmds/gateway.py"), "a settings file"),
    **dict.fromkeys(("cmds/export.py", "skew.py"), "a file"),
}
"""The modules that write, and what; all others print through `Printer` and `Terminal`."""


def is_shown_escaped(text: str) -> bool:
    return printable(HOSTILE) in text and all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_is_escaped(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    PRINTED[name](Printer(Terminal()))
    said = capsys.readouterr()
    assert is_shown_escaped(said.out + said.err)


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_is_escaped(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\nlast\n"))
    ASKED[name](Terminal())
    assert is_shown_escaped(capsys.readouterr().err)


@pytest.mark.parametrize("one_line", [False, True])
def test_json_is_escaped_and_means_the_same(one_line: bool, capsys: pytest.CaptureFixture[str]) -> None:
    record = {HOSTILE: [HOSTILE, "\udc9b", "日本語 👨‍👩‍👧"]}
    Printer(Terminal()).json(record, one_line=one_line)
    said = capsys.readouterr().out
    assert all(line.isprintable() or "👨‍👩‍👧" in line for line in said.split("\n"))
    assert "日本語 👨‍👩‍👧" in said
    assert json.loads(said) == record


def writes(call: ast.Call) -> bool:
    return (isinstance(call.func, ast.Attribute) and call.func.attr in ("write", "writelines")) or (
        isinstance(call.func, ast.Name) and call.func.id in ("print", "input")
    )


def test_nothing_else_writes() -> None:
    package = Path(nexo_cli.__file__).parent
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(isinstance(node, ast.Call) and writes(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert {"demo" if one.startswith("demo/") else one for one in writers} == set(WRITERS)
