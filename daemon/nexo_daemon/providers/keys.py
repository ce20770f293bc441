"""Examines the text of a pasted key and suggests fixes; nothing is sent.

It only warns, and never refuses, because a provider may change the format of its keys at any time.
"""

import re
from collections.abc import Callable

from nexo.connections.terms import Provider
from nexo_daemon.domain.pasted import QUOTES
from nexo_daemon.domain.probing import Suggestion
from nexo_daemon.providers.catalog import PROVIDERS, entries
from nexo_daemon.providers.presets import PRESETS

_ASSIGNMENT = re.compile(r"^(?:export\s+)?[A-Z][A-Z0-9_]*(?:KEY|TOKEN)\s*=\s*", re.ASCII)
_HEADER = re.compile(
    r"^(?:authorization\s*:\s*)?bearer\s+|^(?:x-api-key|api-key|x-goog-api-key)\s*:\s*", re.IGNORECASE
)
_MASK = re.compile(r"\*{3,}|\.{3,}|…|•{2,}|[xX]{8,}$")


def _strip(text: str) -> str:
    return text.strip().strip("\u200b\u2060\ufeff\u00a0").strip()


def _join(text: str) -> str:
    return re.sub(r"[\s\u200b\u2060\ufeff\u00a0]+", "", text)


def _unquote(text: str) -> str:
    return _strip(_strip(text).strip(QUOTES))


def _unassign(text: str) -> str:
    rest = _ASSIGNMENT.sub("", _unquote(text))
    return text if rest == _unquote(text) else _unquote(rest)


def _unprefix(text: str) -> str:
    rest = _HEADER.sub("", _unquote(text))
    return text if rest == _unquote(text) else _unquote(rest)


_FIXES: dict[str, Callable[[str], str]] = {
    "strip_white_space": _strip,
    "strip_assignment": _unassign,
    "strip_auth_prefix": _unprefix,
    "strip_quotes": _unquote,
    "join_lines": _join,
}
"""The fixes, in the order in which they are applied."""

# Prefixes that identify the issuer of a key, longest first. Prefixes that are also the beginning of another
# service's prefix ("sk-" of many) are left out.
_OWNERS: tuple[tuple[str, str], ...] = tuple(
    sorted(
        ((prefix, one.display_name) for one in entries() for prefix in one.key_prefixes),
        key=lambda pair: -len(pair[0]),
    )
)

_WRONG_KIND = (
    ("sk-ant-oat", "This is an OAuth token of Claude, not an API key; make an API key in the console."),
    ("sk-ant-admin", "This is an Anthropic admin key; it manages an organisation and calls no model."),
    ("sk-admin-", "This is an OpenAI admin key; it manages an organisation and calls no model."),
    ("AIza", "Google is phasing out keys that begin with AIza; a new key begins with AQ."),
)


def apply_fix(name: str, text: str) -> str:
    """The key with one fix applied; applying it again changes nothing.

    Raises:
        ValueError: there is no such fix.
    """
    fix = _FIXES.get(name)
    if fix is None:
        raise ValueError(f"there is no fix {name!r}; known: {', '.join(_FIXES)}")
    return _until_stable(fix, text)


def _until_stable(fix: Callable[[str], str], text: str) -> str:
    # Each fix only removes characters, so the loop ends.
    while (fixed := fix(text)) != text:
        text = fixed
    return text


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """The key with all fixes that change it, and the names of these fixes in order."""
    used = []
    for name, fix in _FIXES.items():
        fixed = _until_stable(fix, text)
        if fixed != text:
            used.append(name)
            text = fixed
    return text, tuple(used)


_FIX_TEXTS = {
    "strip_white_space": "The key has white space before or after it.",
    "strip_quotes": "The key has quotation marks around it.",
    "strip_assignment": "The key has the name of a variable in front of it.",
    "strip_auth_prefix": 'The key has "Bearer" or a header name before it; enter only the key.',
    "join_lines": "The key has white space or a line break inside.",
}


def inspect_key(text: str, provider: Provider, preset: str = "") -> tuple[Suggestion, ...]:
    """Warnings and fixes for a key; fixes first. No text repeats any part of the key.

    Args:
        text: as pasted.
        provider: the provider of the connection.
        preset: the preset of the connection; empty for none.
    """
    if not text:
        return ()
    cleaned, fixes = clean(text)
    found = [Suggestion(field="api_key", text=_FIX_TEXTS[name], fix=name) for name in fixes]
    if not cleaned:
        return (*found, _warning("The key is empty once white space and quotation marks are removed."))
    if _MASK.search(cleaned):
        found.append(
            _warning("The key looks masked (dots or asterisks); copy the whole key, not its preview.")
        )
    elif not cleaned.isascii():
        found.append(
            _warning("The key has characters that no key has (a typographic quote or dash); copy it again.")
        )
    elif not cleaned.isprintable():
        found.append(_warning("The key has control characters inside; copy it again."))
    if foreign := _foreign_owner(cleaned, provider, preset):
        found.append(_warning(foreign))
    return tuple(found)


def _warning(text: str) -> Suggestion:
    return Suggestion(field="api_key", text=text)


def _foreign_owner(key: str, provider: Provider, preset: str) -> str:
    chosen = PRESETS.get(preset) or PROVIDERS[provider]
    # The person's own gateway or proxy may accept keys of any provider.
    if chosen.name == Provider.CUSTOM:
        return ""
    own_name = chosen.display_name
    for prefix, owner in _OWNERS:
        if key.startswith(prefix):
            if owner != own_name:
                return (
                    f"The key looks like one of {owner}, but the connection is for {own_name};"
                    " check the provider, or continue if this is right."
                )
            break
    for prefix, text in _WRONG_KIND:
        if key.startswith(prefix):
            return text
    return ""
