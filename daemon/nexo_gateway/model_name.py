"""Finds the requested model, and replaces it if the connection maps it.

A body is otherwise never changed, because signatures and prompt caches depend on its bytes. To map a name
(`nexo`, for the default model, is one), only the bytes of that string are replaced.
"""

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own scanner
from urllib.parse import quote, unquote

from nexo_gateway.dialects import Dialect

MAX_SCANNED = 1024 * 1024
"""Maximum bytes of a body that is searched; the model in a larger one is unknown."""

ALIAS = "nexo"
"""The name that stands for the default model of every connection."""

NAME_LIMIT = 256
"""Maximum characters of a name that can be mapped."""
_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder()


def model_of(dialect: Dialect, path: str, body: bytes | None) -> str:
    """The model as written by the program; empty if there is none.

    The result is printable, because unprintable characters are replaced by a mark. Long names are cut, to
    more than `NAME_LIMIT` characters. Such names therefore never equal a mapped one.
    """
    found = dialect.model.match(path)
    name = (
        unquote(found[1])
        if found
        else text_at_top(body, "model")
        if body and len(body) <= MAX_SCANNED
        else ""
    )
    return "".join(character if character.isprintable() else "\ufffd" for character in name[: NAME_LIMIT + 1])


def path_for(dialect: Dialect, path: str, model: str) -> str:
    """The path with another model, if it names one."""
    found = dialect.model.match(path)
    if found is None:
        return path
    return path[: found.start(1)] + quote(model.removeprefix("models/"), safe="") + path[found.end(1) :]


def body_for(body: bytes, model: str) -> bytes:
    """The body with another model, if it names one; all other bytes stay the same."""
    text, _, start, end = _place_in(body, "model")
    if start == end:
        return body
    return (text[:start] + json.dumps(model) + text[end:]).encode()


def text_at_top(body: bytes, field: str) -> str:
    """The string in a top-level field of the body's JSON object; empty if there is none."""
    return _place_in(body, field)[1]


def _place_in(body: bytes, field: str) -> tuple[str, str, int, int]:
    """The body as text, and a top-level string with its position; the text after it is not parsed."""
    nothing = ("", "", 0, 0)
    try:
        text = body.decode("utf-8")
        at = _skip(text, 0)
        if text[at] != "{":
            return nothing
        at = _skip(text, at + 1)
        while text[at] == '"':
            key, at = scanstring(text, at + 1, True)
            at = _skip(text, at)
            if text[at] != ":":
                return nothing
            start = _skip(text, at + 1)
            value, end = _DECODER.raw_decode(text, start)
            if key == field:
                return (text, value, start, end) if isinstance(value, str) else nothing
            at = _skip(text, end)
            if text[at] != ",":
                return nothing
            at = _skip(text, at + 1)
    except (ValueError, IndexError, RecursionError):
        pass
    return nothing


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at
