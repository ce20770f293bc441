"""Finds the conversation of a request, if the program names one; nothing is guessed."""

from nexo_gateway.admission import Headers
from nexo_gateway.model_name import text_at_top

# For Claude Code and Codex. Codex's thread comes before its session, because later sessions can continue it.
_HEADERS = (b"x-claude-code-session-id", b"thread-id", b"session-id")
_FIELD = "prompt_cache_key"


def conversation_of(headers: Headers, body: bytes | None) -> str:
    """The name shared by the requests of a conversation; empty if the program gives none.

    Args:
        headers: names in lower case.
    """
    for wanted in _HEADERS:
        for name, value in headers:
            if name == wanted and value:
                return f"{wanted.decode()} {value.decode('latin-1')}"
    if body is None or b'"prompt_cache_key"' not in body:
        return ""
    found = text_at_top(body, _FIELD)
    return f"{_FIELD} {found}" if found else ""
