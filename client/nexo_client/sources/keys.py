"""What stands where a key is expected: the key, a pointer to a variable, a placeholder, or another secret?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_POINTERS = (
    re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$"),  # LiteLLM
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
# Where a key is kept, in the words of a tool or a cloud that fetches it.
_REFERENCE = re.compile(
    r"^([a-z][a-z0-9+.-]*://|ref\+|encrypted:|ENC\[|!|\$\(|`|arn:aws|projects/[^/]+/secrets/"
    r"|(~|\.{1,2}|/(?:run|etc|home|Users|var|opt|root))/"
    r"|(pass|gopass|sops|vault|keyring|keychain|command|cmd|exec|file|env|secret|secrets|op|bw|bws|doppler"
    r"|infisical|lpass|lastpass|dashlane|akeyless|conjur|chamber|ssm|gcp|aws|azure|azurekv|kubernetes|k8s):)"
)
# Within a longer text, such as "Bearer ${TOKEN}".
_WITHIN = re.compile(
    r"\$\{\{\s*(?:secrets|inputs)\.([A-Za-z_]\w*)\s*\}\}|\$?\{env:([A-Za-z_]\w*)\}|\$\{([A-Za-z_]\w*)\}"
)
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


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or why there is none.

    Attributes:
        problem: why it cannot be used; empty with or without a key.
    """

    value: str = field(default="", repr=False)
    problem: str = ""


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
    if reference := _REFERENCE.match(text):
        stands = f"where the key belongs stands a reference ({reference[0]}…)"
        return Key(problem=f"{stands}; take it over with --api-key-ref")
    if _NO_KEY.search(text):
        return Key(problem="where the key belongs stands a placeholder")
    if text.startswith("sk-ant-oat"):
        return Key(problem="it is the login of a Claude subscription (OAuth), not an API key")
    return Key(text)


def absent(name: str, variables: Mapping[str, str]) -> str:
    """A variable that was looked up in vain, or was not looked up."""
    if variables is NOT_ASKED:
        return f"the variable {name}, which a file that you name does not look up; --api-key-env {name} does"
    return f"the variable {name}, which is not set here"


def filled(text: str, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    """A header's value with its pointers followed, and the names of those that lead nowhere."""
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        name = match[match.lastindex or 0]
        if not variables.get(name):
            missing.append(name)
        return variables.get(name, "")

    whole = _POINTERS[0].match(text)
    return (_POINTERS[0] if whole else _WITHIN).sub(fill, text), missing
