"""Set or remove a variable in the text of a .env file; other lines are not changed. Pure."""

import re
from typing import Any

from nexo_cli.setups.lines import of as lines_of
from nexo_cli.setups.place import Place


def put(text: str, place: Place, value: Any) -> str:
    """Set a variable: in its line, else at the end."""
    line = f"{place[0]}={value}\n"
    lines = lines_of(text)
    at = _lines_of(lines, str(place[0]))
    if at:
        # The last assignment counts.
        lines[at[-1]] = line
        return "".join(lines)
    return "".join([*lines, line])


def take(text: str, place: Place) -> str:
    """Remove every assignment of a variable."""
    lines = lines_of(text)
    gone = set(_lines_of(lines, str(place[0])))
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _lines_of(lines: list[str], name: str) -> list[int]:
    pattern = re.compile(rf"\s*(?:export\s+)?{re.escape(name)}\s*=")
    return [number for number, line in enumerate(lines) if pattern.match(line)]
