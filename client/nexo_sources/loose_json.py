"""A parser for JSONC and JSON5: comments, trailing commas, single quotes, names without quotes."""

import json
import re
from typing import Any

from nexo_sources.reading import Unreadable, json_of

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<single>'(?:\\.|[^'\\\n])*')
    |(?P<mark>[{}\[\]:,])
    |(?P<bare>(?:[^\s{}\[\]:,"'/]|/(?![/*]))+)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def loose_json_of(text: str) -> Any:
    """Parse JSON, JSONC or JSON5.

    Raises:
        Unreadable: the text is not valid; the message has the line number and quotes nothing.
    """
    written: list[str] = []
    before, comma = "", -1
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"it is not valid JSON (line {text.count(chr(10), 0, position) + 1})")
        position = match.end()
        piece = _strict(match)
        if piece.strip():
            # Drop one comma between a value and a closing bracket.
            if piece in ("}", "]") and comma >= 0:
                written[comma] = ""
            comma = len(written) if piece == "," and before not in ("{", "[", ":", ",") else -1
            before = piece
        written.append(piece)
    return json_of("".join(written))


def _strict(match: re.Match[str]) -> str:
    written = match[0]
    match match.lastgroup:
        case "space":
            # Line breaks are kept, so that an error has the right line number.
            return "\n" * written.count("\n") or " "
        case "single":
            return json.dumps(re.sub(r"\\(['\"])", r"\1", written[1:-1]))
        case "bare" if written not in ("true", "false", "null") and not _NUMBER.fullmatch(written):
            return json.dumps(written)
    return written
