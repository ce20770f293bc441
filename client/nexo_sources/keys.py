"""What stands where a key is expected: the key, a pointer to a variable, a placeholder, or another secret?"""

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
    r"^(<.*>|\[.*\]|x{3,}|\*{3,}|\.{3}|sk-(\.{3}|x{3,}|…)|.*your[-_ ]?.*(key|token).*|changeme|todo|"
    r"proxy_managed|.*_api_key_here|sk-[a-z-]*(\.{3}|…)|(insert|replace|put|enter|add|change)[-_ ].*|"
    r".*[-_ ](here|goes[-_ ]here)|.*\$\{.*|"
    r"(.*[-_. ])?(replace|change|insert|paste|placeholder|redacted)([-_. ].*)?|"
    r"(.*[-_])?(?P<one>[^-_])(?P=one){3,})$",
    re.IGNORECASE,
)
# A key travels in a header and is made by a machine: no space, nothing beyond ASCII, no bracket.
_NO_KEY = re.compile(r"[^\x21-\x7e]|[<>{}`\"]")
# Within a longer text, such as "Bearer ${TOKEN}".
_WITHIN = re.compile(
    r"\$\{\{\s*(?:secrets|inputs)\.([A-Za-z_]\w*)\s*\}\}|\$?\{env:([A-Za-z_]\w*)\}|\$\{([A-Za-z_]\w*)\}"
)
LITERAL = re.compile(r"(?!)()")
"""For a program that has no variables in its headers: what looks like one is named."""
# Headers whose value is a secret.
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
NOT_ASKED: Mapping[str, str] = MappingProxyType({})
"""In the place of the shell, for a file that may be somebody else's: it would choose what is sent where."""
# What people write where a program insists on a key and the server does not.
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
    """A key, or why there is none.

    Attributes:
        problem: why it cannot be used; empty with or without a key.
        reference: where it is, as `--api-key-ref` has it.
        login: it is one of another program, and no key would take its place.
    """

    value: str = field(default="", repr=False)
    problem: str = ""
    reference: str = ""
    login: bool = False


def read(text: str, variables: Mapping[str, str]) -> Key:
    """The key that `text` stands for.

    Args:
        variables: where pointers lead, such as the environment and the program's own .env file.
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
        return Key(problem="where the key belongs stands a placeholder")
    if lead := references.read(text):
        stands = f"where the key belongs stands a reference ({lead.shown.strip()}…)"
        return Key(problem=f"{stands}; take it over with --api-key-ref", reference=lead.reference)
    if _NO_KEY.search(text):
        return Key(problem="where the key belongs stands a placeholder")
    if text.startswith("sk-ant-oat"):
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        return Key(problem=reason, login=True)
    return Key(text)


# As people name variables. Anything else in the place of a name may be the key itself (openai/codex#5566).
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Za-z_][A-Za-z0-9_]{0,15}|[a-z]+(?:_[a-z]+)*")
# Hexadecimal digits with a name's length, or a prefix of a provider: no name.
_NO_VARIABLE = re.compile(r"(?i:sk|gsk|xai|hf|nvapi|r8|aiza|akia)[-_][A-Za-z0-9_-]{8,}|[0-9a-fA-F]{16,}")


def is_variable(name: str) -> bool:
    """Whether this is a name, and may be shown."""
    return bool(_VARIABLE.fullmatch(name)) and not _NO_VARIABLE.fullmatch(name)


def absent(name: str, variables: Mapping[str, str]) -> str:
    """A variable that was looked up in vain, or was not looked up."""
    if not is_variable(name):
        return "a variable whose name looks like the key itself; write the name there, or use --api-key-stdin"
    if variables is NOT_ASKED:
        return f"the variable {name}, which a file that you name does not look up; --api-key-env {name} does"
    return f"the variable {name}, which is not set here"


def filled(
    name: str, text: str, variables: Mapping[str, str], syntax: re.Pattern[str] | None = None
) -> tuple[str, str]:
    """A header's value with its pointers followed; and why that cannot be done, or nothing.

    Args:
        syntax: how the program writes a variable, its name in the group that matches; any form if left out.
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
        return value, "needs what only the program fills in"
    if _CREDENTIAL.search(name):
        secret = re.sub(r"^(bearer|basic|token)\s+", "", literal, flags=re.IGNORECASE)
        lead = references.read(secret) if literal == text.strip() else None
        if _PLACEHOLDERS.match(secret):
            return value, "is a placeholder"
        if lead is not None:
            return value, f"is a reference ({lead.shown.strip()}…)"
    return value, ""
