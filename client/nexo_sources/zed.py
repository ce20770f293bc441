"""Zed: the addresses in `language_models` of its settings; the keys are in the keyring or in variables.

Source: zed.dev/docs/ai/use-api-access (2026-11): a variable wins over the keyring; for a provider in
`openai_compatible`, the variable is named after the provider. Keys are never in settings.json.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, keys, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, tables, word

# Zed's name for a service -> our name, and the dialect.
_OWN = {
    "anthropic": ("anthropic", "anthropic"),
    "openai": ("openai", "openai"),
    "google": ("google", "google"),
    "ollama": ("ollama", "ollama"),
    "lmstudio": ("lmstudio", "openai"),
    "deepseek": ("deepseek", "openai"),
    "mistral": ("mistral", "openai"),
    "open_router": ("openrouter", "openai"),
    "x_ai": ("xai", "openai"),
}
_COMPATIBLE = {"openai_compatible": "openai", "anthropic_compatible": "anthropic"}


def own_file() -> Path:
    """The user's settings file."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zed/settings.json"


def find(file: Path | None = None) -> Found:
    """The configured addresses, with the key if a variable has it."""
    path = file or own_file()
    settings, problems = accounts.settings_of(path, loose_json_of)
    variables = reading.environment() if file is None else keys.NOT_ASKED
    models = table(settings.get("language_models"))
    result = problems
    for account in _accounts(models, path):
        has_key = any(variables.get(name) for name in account.variables)
        if has_key or accounts.on_this_network(account.url):
            result += accounts.found([account], variables)
        else:
            result += Found((), (accounts.in_keyring(account, "Zed"),))
    return result


def _accounts(models: Mapping[str, Any], path: Path) -> Iterator[Account]:
    for name, (ours, dialect) in _OWN.items():
        entry = table(models.get(name))
        service = services.by_word(ours)
        if word(entry.get("api_url")):
            yield _account(ours, dialect, entry, path, service.variables if service else ())
    for name, dialect in _COMPATIBLE.items():
        for given, own in table(models.get(name)).items():
            variable = re.sub(r"[^A-Z0-9]+", "_", given.upper()) + "_API_KEY"
            yield _account(given, dialect, table(own), path, (variable,))


def _account(
    name: str, dialect: str, entry: Mapping[str, Any], path: Path, variables: tuple[str, ...]
) -> Account:
    return Account(
        name=name,
        place=f"{shown(path)}: language_models",
        dialect=dialect,
        url=word(entry.get("api_url")),
        variables=variables,
        headers=table(entry.get("custom_headers")),
        model=next((word(one.get("name")) for one in tables(entry.get("available_models"))), ""),
    )
