"""fabric: the services in its .env.

Source: its plugins (internal/plugins, 2026-08): each service has {NAME}_API_KEY and {NAME}_API_BASE_URL, or
{NAME}_API_URL if it is on this computer; `fabric --setup` writes the default address, too. A variable of the
shell wins over the file.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nexo_sources import accounts, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown

_NAMES = {"GROKAI": "xai", "LM_STUDIO": "lmstudio"}
_DIALECTS = {"ANTHROPIC": "anthropic", "GEMINI": "google", "OLLAMA": "ollama"}
_NO_MODELS = ("YOUTUBE", "JINA_AI")
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*?)_API_(?:KEY|URL)")


def own_file() -> Path:
    """The settings file."""
    return Path.home() / ".config/fabric/.env"


def find(file: Path | None = None) -> Found:
    """The services in .env."""
    path = file or own_file()
    own, problems = accounts.variables_in(path)
    return problems + accounts.found(_accounts({**own, **_addresses(own)}, path), keys.NOT_ASKED)


def _addresses(own: Mapping[str, str]) -> dict[str, str]:
    """The addresses in the shell for services in the file."""
    endings = ("_API_BASE_URL", "_API_URL")
    return {
        name: value
        for name, value in reading.addresses().items()
        if name.endswith(endings)
        and any(word.startswith(name.partition("_API_")[0] + "_API_") for word in own)
    }


def _accounts(variables: Mapping[str, str], path: Path) -> Iterator[Account]:
    chosen = variables.get("DEFAULT_VENDOR", "").upper().replace(" ", "_")
    names = [match[1] for match in map(_VARIABLE.fullmatch, variables) if match]
    for name in dict.fromkeys(names):
        key = variables.get(f"{name}_API_KEY", "")
        url = variables.get(f"{name}_API_BASE_URL", "") or variables.get(f"{name}_API_URL", "")
        if name in _NO_MODELS or not (key or url):
            continue
        yield Account(
            name=_NAMES.get(name, name.lower().replace("_", "-")),
            place=f"{shown(path)}: {name}_API_{'KEY' if key else 'URL'}",
            dialect=_DIALECTS.get(name, "openai"),
            url=url,
            key=key,
            model=variables.get("DEFAULT_MODEL", "") if name == chosen else "",
            # `fabric --setup` writes the default address of every service.
            template=not key and not accounts.on_this_network(url),
        )
