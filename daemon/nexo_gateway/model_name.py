"""Which model does a request ask for? Only read: signatures and prompt caches depend on a body's bytes.

But for the names that the connection maps to others, of which `nexo`, its default model, is one: there the
bytes of that one string are replaced.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own scanner
from urllib.parse import quote, unquote

MAX_SCANNED = 1024 * 1024
"""Bytes of a body that is looked into; what a larger one asks for is not known."""

ALIAS = "nexo"
"""Stands for the default model of every connection."""

NAME_LIMIT = 256
"""Characters of a name that can be mapped."""
_IN_PATH = re.compile(r"/models/([^/:?]+)")
_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder()


def model_of(path: str, body: bytes | None) -> str:
    """The model, as the program wrote it; empty when it names none.

    It can be printed: what cannot is told by a mark, and what is too long is cut. Such a name is still longer
    than `NAME_LIMIT`, or has the mark in it, so that it equals none which is mapped.
    """
    found = _IN_PATH.search(path)
    name = (
        unquote(found[1])
        if found
        else text_at_top(body, "model")
        if body and len(body) <= MAX_SCANNED
        else ""
    )
    return "".join(character if character.isprintable() else "\ufffd" for character in name[: NAME_LIMIT + 1])


def path_for(path: str, model: str) -> str:
    """The path with another model, where it names one."""
    found = _IN_PATH.search(path)
    if found is None:
        return path
    return path[: found.start(1)] + quote(model.removeprefix("models/"), safe="") + path[found.end(1) :]


def body_for(body: bytes, model: str) -> bytes:
    """The body with another model, where it names one; every other byte stays."""
    text, _, start, end = _place_in(body, "model")
    if start == end:
        return body
    return (text[:start] + json.dumps(model) + text[end:]).encode()


def text_at_top(body: bytes, field: str) -> str:
    """The text of a field of the body's JSON object; empty when it has none."""
    return _place_in(body, field)[1]


def _place_in(body: bytes, field: str) -> tuple[str, str, int, int]:
    """The body as text, a text at its top level and where that stands; nothing behind it is read."""
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
