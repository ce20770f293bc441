"""Set or remove a value in JSON text in place, also with comments and trailing commas. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nexo_cli.setups.place import Place
from nexo_sources.loose_json import TOKEN, loose_json_of
from nexo_sources.reading import Unreadable


@dataclass(slots=True)
class _Member:
    """A name and its value. The numbers are positions in the text; `comma` is that of the comma after it,
    or -1.
    """

    name: str
    start: int
    value_start: int = 0
    value_end: int = 0
    comma: int = -1
    table: "_Table | None" = None


@dataclass(slots=True)
class _Table:
    """The content of a pair of braces; `end` is the position after the second one."""

    start: int
    end: int = 0
    members: list[_Member] = field(default_factory=list)


def put(text: str, place: Place, value: Any) -> str:
    """Set a value; creates tables on the way."""
    if not text.strip():
        text = "{}\n"
    table = _root(text)
    for depth, step in enumerate(place):
        member = _member(table, str(step))
        rest = [str(name) for name in place[depth + 1 :]]
        if member is None:
            return _inserted(text, table, str(step), _nested(rest, value))
        if not rest or member.table is None:
            written = json.dumps(_nested(rest, value), indent=2, ensure_ascii=False)
            written = written.replace("\n", "\n" + _indentation(text, member.start))
            return text[: member.value_start] + written + text[member.value_end :]
        table = member.table
    return text


def take(text: str, place: Place) -> str:
    """Remove a value, every occurrence of it."""
    while True:
        table, member = _root(text), None
        for step in place:
            if member is not None:
                if member.table is None:
                    return text
                table = member.table
            member = _member(table, str(step))
            if member is None:
                return text
        assert member is not None  # noqa: S101 - a place has a step
        text = _without(text, table, member)


def _nested(names: list[str], value: Any) -> Any:
    for name in reversed(names):
        value = {name: value}
    return value


def _member(table: _Table, name: str) -> _Member | None:
    # If two members have the same name, the last one counts.
    return next((one for one in reversed(table.members) if one.name == name), None)


def _inserted(text: str, table: _Table, name: str, value: Any) -> str:
    outer = _indentation(text, table.start)
    several = "\n" in text[table.start : table.end] or not table.members
    last = table.members[-1] if table.members else None
    inner = _indentation(text, last.start) if last and several else outer + _unit(text)
    if several and inner == outer:
        inner = outer + _unit(text)
    written = f"{json.dumps(name)}: " + json.dumps(value, indent=2 if several else None, ensure_ascii=False)
    written = written.replace("\n", "\n" + inner)
    behind = last.value_end if last else table.start + 1
    tail = text[behind : table.end - 1]
    comma = "," if last and last.comma < 0 else ""
    closing = ("," if last and last.comma >= 0 else "") + "\n" + outer if several else ""
    gap = "\n" + inner if several else " "
    return text[:behind] + comma + tail.rstrip() + gap + written + closing + text[table.end - 1 :]


def _without(text: str, table: _Table, member: _Member) -> str:
    end = member.comma + 1 if member.comma >= 0 else member.value_end
    line_start = text.rfind("\n", 0, member.start) + 1
    line_end = text.find("\n", end)
    start = member.start
    if line_end >= 0 and not text[line_start:start].strip() and not text[end:line_end].strip():
        start, end = line_start, line_end + 1
    before = text[:start]
    index = table.members.index(member)
    if member.comma < 0 and index > 0:
        comma = table.members[index - 1].comma
        before = text[:comma] + text[comma + 1 : start]
    return before + text[end:]


def _indentation(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip())]


def _unit(text: str) -> str:
    for line in text.split("\n"):
        stripped = line.lstrip(" \t")
        if stripped.startswith(('"', "'")) and stripped != line:
            return line[: len(line) - len(stripped)]
    return "  "


def _root(text: str) -> _Table:
    tokens = _tokens(text)
    _, written, start = next(tokens, ("", "", 0))
    if written != "{":
        raise Unreadable("it holds no table of settings")
    return _table(tokens, start)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """The tokens except space and comments: kind, spelling, position."""
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"it is not valid JSON (line {text.count(chr(10), 0, position) + 1})")
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0], position
        position = match.end()


def _table(tokens: Iterator[tuple[str, str, int]], start: int) -> _Table:
    table = _Table(start)
    member: _Member | None = None
    for _, written, position in tokens:
        if written == "}":
            table.end = position + 1
            return table
        if written == ",":
            table.members[-1].comma = position
            member = None
        elif member is None:
            member = _Member(_name(written), position)
        elif written != ":":
            member.value_start, member.value_end = position, position + len(written)
            if written == "{":
                member.table = _table(tokens, position)
                member.value_end = member.table.end
            elif written == "[":
                member.value_end = _behind_list(tokens)
            table.members.append(member)
    raise Unreadable("it ends too early")


def _behind_list(tokens: Iterator[tuple[str, str, int]]) -> int:
    depth = 1
    for kind, written, position in tokens:
        if kind == "mark":
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(written, 0)
        if depth == 0:
            return position + 1
    raise Unreadable("it ends too early")


def _name(written: str) -> str:
    return str(loose_json_of(written))
