"""JSON as people write it: comments, trailing commas, single quotes, names without quotes (JSONC, JSON5)."""

import json
import re
from typing import Any

from nexo_sources.reading import Unreadable, json_of

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<single>'(?:\\.|[^'\\\n])*')
    |(?P<mark>[{}\[\]:,])
    |(?P<bare>[^\s{}\[\]:,"']+)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def loose_json_of(text: str) -> Any:
    """The parsed text.

    Raises:
        Unreadable: it is neither; with the line, and never quoted.
    """
    strict: list[str] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"it is no valid JSON (line {text.count(chr(10), 0, position) + 1})")
        position = match.end()
        strict.append(_strict(match))
    # A comma before a closing bracket; what lies between them are line breaks only.
    written: list[str] = []
    closed = True
    for piece in reversed(strict):
        if piece == "," and closed:
            continue
        if piece.strip():
            closed = piece in ("}", "]")
        written.append(piece)
    return json_of("".join(reversed(written)))


def _strict(match: re.Match[str]) -> str:
    written = match[0]
    match match.lastgroup:
        case "space":
            # Kept, so that a complaint names the line.
            return "\n" * written.count("\n") or " "
        case "single":
            return json.dumps(re.sub(r"\\(['\"])", r"\1", written[1:-1]))
        case "bare" if written not in ("true", "false", "null") and not _NUMBER.fullmatch(written):
            return json.dumps(written)
    return written
