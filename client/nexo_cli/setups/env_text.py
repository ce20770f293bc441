"""Set or remove a variable in the text of a .env file; other text is not changed. Pure."""

import re
from typing import Any

from nexo_cli.setups.place import Place
from nexo_sources.reading import Assignment, assignments

_PLAIN = re.compile(r"[\w@%+=:,./-]*", re.ASCII)


def put(text: str, place: Place, value: Any) -> str:
    """Set a variable: in its line, else at the end."""
    written = _written(str(value))
    found = _found(text, place)
    if found:
        # The last assignment counts.
        return text[: found[-1].start] + written + text[found[-1].end :]
    gap = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{gap}{place[0]}={written}\n"


def take(text: str, place: Place) -> str:
    """Remove every assignment of a variable."""
    for one in reversed(_found(text, place)):
        line_end = text.find("\n", one.end)
        # The name is in the line in which the value begins.
        text = text[: text.rfind("\n", 0, one.start) + 1] + (text[line_end + 1 :] if line_end >= 0 else "")
    return text


def _found(text: str, place: Place) -> list[Assignment]:
    return [one for one in assignments(text) if one.name == place[0]]


def _written(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"
