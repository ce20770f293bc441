"""Which conversation does a request belong to? What programs say of it counts; nothing is guessed."""

from nexo_gateway.admission import Headers
from nexo_gateway.model_name import text_at_top

# Claude Code; Codex names the thread, which goes on in a later session, before the session.
_HEADERS = (b"x-claude-code-session-id", b"thread-id", b"session-id")
_FIELD = "prompt_cache_key"


def conversation_of(headers: Headers, body: bytes | None) -> str:
    """A name that its requests share; empty when the program gives none.

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
