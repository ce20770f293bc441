"""What stands where a key is expected: the key, a pointer to a variable, a placeholder, or another secret?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_POINTERS = (
    re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$"),  # LiteLLM
    re.compile(r"^\$\{\{\s*(?:secrets|inputs)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}$"),  # Continue
    re.compile(r"^\$?\{env:([A-Za-z_][A-Za-z0-9_]*)\}$"),  # OpenCode
    re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$"),
    re.compile(r"^\$([A-Za-z_][A-Za-z0-9_]*)$"),
)
_PLACEHOLDERS = re.compile(
    r"^(<.*>|\[.*\]|x{3,}|\*{3,}|\.{3}|sk-(\.{3}|x{3,}|…)|.*your[-_ ]?.*(key|token).*|changeme|todo|"
    r"proxy_managed|.*_api_key_here)$",
    re.IGNORECASE,
)
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
                return Key(problem=f"its key is in the variable {name}, which is not set here")
            return read(value, {})
    if text.casefold() in _NOTHING:
        return Key()
    if _PLACEHOLDERS.match(text):
        return Key(problem="where the key belongs stands a placeholder")
    if text.startswith("sk-ant-oat"):
        return Key(problem="it is the login of a Claude subscription (OAuth), not an API key")
    return Key(text)
