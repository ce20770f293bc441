"""LibreChat: the custom endpoints in librechat.yaml and the keys in the .env beside it.

Source: librechat.ai/docs/configuration (2026-11): `apiKey` is a key, `${NAME}` of .env, or `user_provided`;
the built-in endpoints take OPENAI_API_KEY, ANTHROPIC_API_KEY and GOOGLE_KEY, and OPENAI_REVERSE_PROXY,
ANTHROPIC_REVERSE_PROXY or GOOGLE_REVERSE_PROXY as their address.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table, tables, word

_SYNTAX = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_USERS = "user_provided"
# LibreChat's variable for the key, our service, LibreChat's variable for the address.
_BUILT_IN = (
    ("OPENAI_API_KEY", "openai", "OPENAI_REVERSE_PROXY"),
    ("ANTHROPIC_API_KEY", "anthropic", "ANTHROPIC_REVERSE_PROXY"),
    ("GOOGLE_KEY", "google", "GOOGLE_REVERSE_PROXY"),
)


def find(file: Path | None = None) -> Found:
    """The endpoints of LibreChat.

    Args:
        file: librechat.yaml; the .env beside it belongs to it.
    """
    if file is not None:
        return _directory(file)
    result = Found()
    named = os.environ.get("CONFIG_PATH", "")
    homes = [Path.home() / "LibreChat/librechat.yaml", Path.home() / "librechat/librechat.yaml"]
    for path in dict.fromkeys([*([Path(named)] if Path(named).name.startswith("librechat") else []), *homes]):
        if path.is_file() or (path.parent / ".env").is_file():
            result += _directory(path)
    here = reading.here() / "librechat.yaml"
    return result + accounts.in_this_directory(
        [here] if here.is_file() and here not in homes else [], "librechat"
    )


def _directory(path: Path) -> Found:
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    variables, unreadable = accounts.variables_in(path.parent / ".env")
    entries = [*_custom(settings, path), *_built_in(variables, path.parent / ".env")]
    return problems + unreadable + accounts.found(entries, variables, syntax=_SYNTAX)


def _custom(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    for entry in tables(table(settings.get("endpoints")).get("custom")):
        name, key = word(entry.get("name")), word(entry.get("apiKey"))
        url = word(entry.get("baseURL"))
        obstacle = "each person types the key (user_provided)" if _USERS in (key, url) else ""
        yield Account(
            name=name or "unnamed",
            place=f"{shown(path)}: endpoints.custom",
            dialect="openai",
            url=url,
            key=key,
            headers=table(entry.get("headers")),
            model=accounts.first_model(table(entry.get("models")).get("default")),
            obstacle=obstacle,
            # The user chose the name, so it does not identify a service.
            address_unknown="" if url else "it has no baseURL; add it with --base-url",
        )


def _built_in(variables: Mapping[str, str], path: Path) -> Iterator[Account]:
    for variable, name, address in _BUILT_IN:
        key = variables.get(variable, "")
        if key and key != _USERS:
            yield Account(
                name=name,
                place=f"{shown(path)}: {variable}",
                # A variable of the shell wins over the file.
                url=reading.addresses().get(address, "") or variables.get(address, ""),
                key=key,
            )
