"""The values that a program's settings get: texts with words in braces, such as `{openai}` and `{token}`.

The words stand for addresses of the gateway, a token and a model. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

from nexo.connections.faces import DIALECTS
from nexo.connections.terms import TOKEN_PREFIX

OPENAI, ANTHROPIC, GOOGLE, TOKEN, MODEL = "{openai}", "{anthropic}", "{google}", "{token}", "{model}"

# The port and the token differ from one `--write` to the next.
_FILLED = {
    **{f"{{{dialect}}}": rf"http://127\.0\.0\.1:\d+/{dialect}(?:/v1)?" for dialect in DIALECTS},
    TOKEN: re.escape(TOKEN_PREFIX) + r"[\w-]+",
    MODEL: ".*",
}


def filled(template: Any, words: Mapping[str, str]) -> Any:
    """A template with the words in braces replaced."""
    if isinstance(template, str):
        for word, text in words.items():
            template = template.replace("{" + word + "}", text)
        return template
    if isinstance(template, dict):
        return {name: filled(entry, words) for name, entry in template.items()}
    return template


def has_words(template: Any) -> bool:
    """Whether a template contains a word in braces; any other one is a constant."""
    return any(word in str(template) for word in _FILLED)


def made_from(template: Any, value: Any) -> bool:
    """Whether `filled` makes the value from the template, with any words."""
    if isinstance(template, dict):
        return isinstance(value, dict) and all(
            made_from(entry, value.get(name)) for name, entry in template.items()
        )
    if not isinstance(template, str):
        return bool(template == value)
    parts = re.split(r"(\{\w+\})", template)
    pattern = "".join(_FILLED.get(part, re.escape(part)) for part in parts)
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
