"""Set or remove a value in YAML of the usual form, one entry on a line. Pure.

If a file has another form (braces, anchors), the result differs from what was wanted, and `edits` notices
that.
"""

import itertools
import json
import re
from typing import Any

from nexo_cli.setups.lines import of as lines_of
from nexo_cli.setups.place import ListEntry, Place

_ENTRY = re.compile(
    r"""(?P<before>\s*(?P<name>[\w./-]+|"[^"\n]*"|'[^'\n]*')\s*:)
    (?P<value>\s+(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s\#][^\n]*?))?(?P<after>\s*(?:\s\#.*)?)$""",
    re.VERBOSE,
)
_EMPTY = ("", "[]", "{}", "null", "~")

Lines = list[str]


def put(text: str, place: Place, value: Any) -> str:
    """Set a value; missing parents are created after the last entry."""
    lines = lines_of(text)
    start, end, indent = 0, len(lines), 0
    for depth, step in enumerate(place):
        if isinstance(step, ListEntry):
            return "".join(_with_item(lines, start, end, indent, step, value))
        at = _entry(lines, start, end, indent, step)
        if at is None:
            new = _written(place[depth:], value, indent)
            behind = _behind(lines, start, end, indent)
            return "".join([*lines[:behind], *new, *lines[behind:]])
        inner = _block_end(lines, at, end, indent)
        if depth == len(place) - 1:
            match = _ENTRY.match(lines[at].rstrip("\n"))
            after = match["after"] if match else ""
            head = match["before"] if match else f"{step}:"
            lines[at : _behind(lines, at + 1, inner, indent + 1)] = [f"{head} {_text(value)}{after}\n"]
            return "".join(lines)
        _open(lines, at)
        start, end = at + 1, inner
        indent = _indent_of(lines, start, end, indent + 2)
    return "".join(lines)


def take(text: str, place: Place) -> str:
    """Remove a value."""
    lines = lines_of(text)
    start, end, indent = 0, len(lines), 0
    for depth, step in enumerate(place):
        if isinstance(step, ListEntry):
            found = _item(lines, start, end, step)
            if found:
                del lines[found[0] : found[1]]
            return "".join(lines)
        at = _entry(lines, start, end, indent, step)
        if at is None:
            return text
        inner = _block_end(lines, at, end, indent)
        if depth == len(place) - 1:
            del lines[at : max(at + 1, _behind(lines, at + 1, inner, indent + 1))]
            return "".join(lines)
        start, end = at + 1, inner
        indent = _indent_of(lines, start, end, indent + 2)
    return text


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#") and line.strip() != "---"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _indent_of(lines: Lines, start: int, end: int, otherwise: int) -> int:
    return next((_indent(line) for line in lines[start:end] if _says(line)), otherwise)


def _entry(lines: Lines, start: int, end: int, indent: int, name: str) -> int | None:
    for number in range(start, end):
        match = _ENTRY.match(lines[number].rstrip("\n"))
        if match and _indent(lines[number]) == indent and match["name"].strip("\"'") == name:
            return number
    return None


def _block_end(lines: Lines, at: int, end: int, indent: int) -> int:
    """The end of an entry's block; a list may stand below its name without indentation."""
    for number in range(at + 1, end):
        line = lines[number]
        if _says(line) and _indent(line) <= indent:
            if _indent(line) == indent and line.lstrip().startswith("- "):
                continue
            return number
    return end


def _behind(lines: Lines, start: int, end: int, indent: int) -> int:
    """The index after the last line of a block; a comment with less indentation does not belong to it."""
    while end > start:
        line = lines[end - 1]
        if line.strip() and (_says(line) or _indent(line) >= indent):
            break
        end -= 1
    return end


def _open(lines: Lines, at: int) -> None:
    """Remove an empty value, so that entries can be added below."""
    match = _ENTRY.match(lines[at].rstrip("\n"))
    if match and (match["value"] or "").strip() in _EMPTY:
        lines[at] = f"{match['before']}{match['after']}\n"


def _written(place: Place, value: Any, indent: int) -> Lines:
    step, rest = place[0], place[1:]
    if isinstance(step, ListEntry):
        return _item_lines(value, indent)
    if not rest:
        return [f"{' ' * indent}{step}: {_text(value)}\n"]
    return [f"{' ' * indent}{step}:\n", *_written(rest, value, indent + 2)]


def _item_lines(value: dict[str, Any], indent: int) -> Lines:
    pairs = [f"{name}: {_text(entry)}\n" for name, entry in value.items()]
    return [" " * indent + ("- " if number == 0 else "  ") + pair for number, pair in enumerate(pairs)]


def _with_item(lines: Lines, start: int, end: int, indent: int, item: ListEntry, value: Any) -> Lines:
    found = _item(lines, start, end, item)
    if found:
        return [*lines[: found[0]], *_item_lines(value, _indent(lines[found[0]])), *lines[found[1] :]]
    behind = _behind(lines, start, end, indent)
    return [*lines[:behind], *_item_lines(value, _indent_of(lines, start, end, indent)), *lines[behind:]]


def _item(lines: Lines, start: int, end: int, item: ListEntry) -> tuple[int, int] | None:
    """The lines of a list's entry."""
    level = _indent_of(lines, start, end, 0)
    begins = [
        number
        for number in range(start, end)
        if _indent(lines[number]) == level and lines[number].lstrip().startswith("- ")
    ]
    for begin, behind in itertools.pairwise([*begins, end]):
        for line in lines[begin:behind]:
            match = _ENTRY.match(line.rstrip("\n").replace("- ", "  ", 1))
            written = (match["value"] or "").strip().strip("\"'") if match else ""
            if match and match["name"].strip("\"'") == item.field and written == item.value:
                return begin, _behind(lines, begin, behind, level + 1)
    return None
