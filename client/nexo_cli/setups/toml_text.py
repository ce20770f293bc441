"""Set or remove a value in TOML text, line by line. Pure.

Only a value on its own line is changed. If a file has it in another form (dotted names, tables in braces),
the result differs from the intended one, and `edits` notices that.
"""

import json
import re
import tomllib
from typing import Any

from nexo_cli.setups.lines import of as lines_of
from nexo_cli.setups.place import Place

_HEADER = re.compile(r"\s*\[(?!\[)(.*)\]\s*(?:#.*)?$")
# A line of a list ends with a comma.
_ANY_HEADER = re.compile(r"\s*\[.*\]\s*(?:#.*)?$")
_ENTRY = re.compile(
    r"""(?P<before>\s*(?P<name>[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')\s*=\s*)
    (?P<value>"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s\#"'\[{][^\#\n]*?|[\[{].*?)(?P<after>\s*(?:\#.*)?)$""",
    re.VERBOSE,
)


def put(text: str, place: Place, value: Any) -> str:
    """Set a value; a new table is added at the end of the file."""
    *tables, name = map(str, place)
    lines = lines_of(text)
    section = _section(lines, tables)
    written = json.dumps(value, ensure_ascii=False)
    if section is None:
        header = ".".join(map(_word, tables))
        gap = ["\n"] if lines else []
        return "".join([*lines, *gap, f"[{header}]\n", f"{_word(name)} = {written}\n"])
    at = _entry(lines, section, name)
    if at is None:
        lines.insert(_end(lines, section), f"{_word(name)} = {written}\n")
    else:
        match = _ENTRY.match(lines[at].rstrip("\n"))
        lines[at] = f"{match['before']}{written}{match['after']}\n" if match else lines[at]
    return "".join(lines)


def take(text: str, place: Place) -> str:
    """Remove a value, and its table if that becomes empty."""
    *tables, name = map(str, place)
    lines = lines_of(text)
    section = _section(lines, tables)
    at = _entry(lines, section, name) if section else None
    if section is None or at is None:
        return text
    del lines[at]
    start, end = section[0], section[1] - 1
    if tables and not "".join(lines[start:end]).strip():
        del lines[start - 1 : end]
        while start > 1 and len(lines) == start - 1 and not lines[-1].strip():
            lines.pop()
            start -= 1
    return "".join(lines)


def _section(lines: list[str], tables: list[str]) -> tuple[int, int] | None:
    """The lines of a table, without its header; the root ends at the first table."""
    headers = [number for number, line in enumerate(lines) if _ANY_HEADER.match(line)]
    if not tables:
        return 0, headers[0] if headers else len(lines)
    for index, number in enumerate(headers):
        if _names(lines[number]) == tables:
            return number + 1, headers[index + 1] if index + 1 < len(headers) else len(lines)
    return None


def _names(line: str) -> list[str]:
    match = _HEADER.match(line)
    try:
        tree: Any = tomllib.loads(f"[{match[1]}]") if match else {}
    except tomllib.TOMLDecodeError:
        return []
    names = []
    while tree:
        name, tree = next(iter(tree.items()))
        names.append(name)
    return names


def _entry(lines: list[str], section: tuple[int, int], name: str) -> int | None:
    for number in range(*section):
        match = _ENTRY.match(lines[number].rstrip("\n"))
        if match and match["name"].strip("\"'") == name:
            return number
    return None


def _end(lines: list[str], section: tuple[int, int]) -> int:
    """The index after the last line of a table that holds an entry."""
    end = section[1]
    while end > section[0] and not lines[end - 1].strip():
        end -= 1
    return end


def _word(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
