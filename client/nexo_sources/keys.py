"""Classifies the text in a key field: a key, a pointer to a variable, a placeholder or another secret."""

import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from nexo.connections.values import frozen
from nexo_sources import references

POINTER_OF_LITELLM = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
_POINTERS = (
    POINTER_OF_LITELLM,
    re.compile(r"^\$\{\{\s*(?:secrets|inputs)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}$"),  # Continue
    re.compile(r"^\$?\{env:([A-Za-z_][A-Za-z0-9_]*)\}$"),  # OpenCode
    re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$"),
    re.compile(r"^\$([A-Za-z_][A-Za-z0-9_]*)$"),
)
_PLACEHOLDERS = re.compile(
    r"^(<.*>|\[.*\]|x{3,}|\*{3,}|\.{3}|sk-(\.{3}|x{3,}|…)|(?>.*?your).*(key|token).*|changeme|todo|"
    r"proxy_managed|.*_api_key_here|sk-[a-z-]*(\.{3}|…)|(insert|replace|put|enter|add|change)[-_ ].*|"
    r".*[-_ ](here|goes[-_ ]here)|.*\$\{.*|"
    r"(.*[-_. ])?(replace|change|insert|paste|placeholder|redacted)([-_. ].*)?|"
    r"(.*[-_])?(?P<one>[^-_])(?P=one){3,})$",
    re.IGNORECASE,
)
# A key is sent in a header and was generated: it has no space, no bracket and only ASCII characters.
_NO_KEY = re.compile(r"[^\x21-\x7e]|[<>{}`\"]")
# A pointer within a longer text, such as "Bearer ${TOKEN}".
_WITHIN = re.compile(
    r"\$\{\{\s*(?:secrets|inputs)\.([A-Za-z_]\w*)\s*\}\}|\$?\{env:([A-Za-z_]\w*)\}|\$\{([A-Za-z_]\w*)\}"
)
LITERAL = re.compile(r"(?!)()")
"""The syntax of a program without variables in headers; a text that looks like one is reported."""
# Headers whose value is a secret.
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
NOT_ASKED: Mapping[str, str] = MappingProxyType({})
"""Used instead of the shell's variables for an untrusted file, which must not choose what is sent where."""
# Words for a key when a program requires one and the server does not.
_NOTHING = (
    "",
    "none",
    "null",
    "empty",
    "dummy",
    "no-key",
    "not-needed",
    "ollama",
    "lm-studio",
    "sk-no-key-required",
)


@frozen
class Key:
    """A key, or the reason why there is none.

    Attributes:
        value: the key; empty if there is none.
        problem: why the text cannot be used; empty if it is a key or says that there is no key.
        reference: where the key is stored, in the syntax of `--api-key-ref`.
        login: the text is another program's login, which an API key cannot replace.
    """

    value: str = field(default="", repr=False)
    problem: str = ""
    reference: str = ""
    login: bool = False


def read(text: str, variables: Mapping[str, str]) -> Key:
    """Read the text of a key field.

    Args:
        variables: the variables to which it may point, such as the environment and the program's .env file.
    """
    text = text.strip()
    for pattern in _POINTERS:
        match = pattern.match(text)
        if match:
            name = match[1]
            value = variables.get(name, "").strip()
            if not value:
                return Key(problem=f"its key is in {absent(name, variables)}")
            return read(value, {})
    if text.casefold() in _NOTHING:
        return Key()
    if _PLACEHOLDERS.match(text):
        return Key(problem="its key is a placeholder")
    if lead := references.read(text):
        problem = f"its key is a reference ({lead.shown.strip()}…); add it with --api-key-ref"
        return Key(problem=problem, reference=lead.reference)
    if _NO_KEY.search(text):
        return Key(problem="its key is a placeholder")
    if text.startswith("sk-ant-oat"):
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        return Key(problem=reason, login=True)
    return Key(text)


# Usual names of variables. Anything else in place of a name may be the key itself (openai/codex#5566).
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Za-z_][A-Za-z0-9_]{0,15}|[a-z]+(?:_[a-z]+)*")
# Long hexadecimal digits, or the prefix of a provider's keys: not a name.
_NO_VARIABLE = re.compile(r"(?i:sk|gsk|xai|hf|nvapi|r8|aiza|akia)[-_][A-Za-z0-9_-]{8,}|[0-9a-fA-F]{16,}")


def is_variable(name: str) -> bool:
    """Whether the text is the name of a variable, and may therefore be shown."""
    return bool(_VARIABLE.fullmatch(name)) and not _NO_VARIABLE.fullmatch(name)


def absent(name: str, variables: Mapping[str, str]) -> str:
    """Describe a variable that is not set or was not looked up, as part of a sentence."""
    if not is_variable(name):
        return "a variable whose name looks like the key itself; write the name there, or use --api-key-stdin"
    if variables is NOT_ASKED:
        return f"the variable {name}, which is not looked up for a named file; use --api-key-env {name}"
    return f"the variable {name}, which is not set here"


def filled(
    name: str, text: str, variables: Mapping[str, str], syntax: re.Pattern[str] | None = None
) -> tuple[str, str]:
    """Replace the pointers in a header's value. Returns the value, and a problem or an empty string.

    Args:
        name: the name of the header.
        syntax: how the program writes a variable; the group that matches is its name. Any form if left out.
    """
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        variable = match[match.lastindex or 0]
        if not variables.get(variable):
            missing.append(variable)
        return variables.get(variable, "")

    pattern = syntax or (_POINTERS[0] if _POINTERS[0].match(text) else _WITHIN)
    value = pattern.sub(fill, text)
    if missing:
        return value, f"needs {absent(missing[0], variables)}"
    literal = pattern.sub("", text).strip()
    if _WITHIN.search(literal) or "{{" in literal:
        return value, "needs a value from the program itself"
    if _CREDENTIAL.search(name):
        secret = re.sub(r"^(bearer|basic|token)\s+", "", literal, flags=re.IGNORECASE)
        lead = references.read(secret) if literal == text.strip() else None
        if _PLACEHOLDERS.match(secret):
            return value, "is a placeholder"
        if lead is not None:
            return value, f"is a reference ({lead.shown.strip()}…)"
    return value, ""
