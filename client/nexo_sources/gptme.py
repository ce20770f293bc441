"""gptme: the variables and providers in its config.toml, and the keys in its credentials.toml.

Source: its config and llm packages (0.35, 2026-11): config.local.toml wins over config.toml; variables of the
shell win over both, and `[env]` over credentials.toml. LLM_PROXY_URL takes the place of the addresses of
OpenAI, Anthropic and OpenRouter. A gptme.toml belongs to a directory.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table, tables, word

_LAYERS = ("config.runtime.toml", "config.toml", "config.local.toml")
_PROXY = "LLM_PROXY_URL"
_BEHIND_PROXY = frozenset({"openai", "anthropic", "openrouter"})


def own_file() -> Path:
    """The settings file."""
    return Path.home() / ".config/gptme/config.toml"


def find(file: Path | None = None) -> Found:
    """The accounts of gptme."""
    path = file or own_file()
    settings: dict[str, Any] = {}
    result = Found()
    for layer in (path.parent / name for name in _LAYERS) if path.name in _LAYERS else (path,):
        own, problems = accounts.settings_of(layer, reading.toml_of)
        settings, result = accounts.merged(settings, own), result + problems
    env = {name: str(value) for name, value in table(settings.get("env")).items() if isinstance(value, str)}
    result += environment.from_variables({**env, **_model(settings, env)}, f"{shown(path)}: env")
    shell = reading.environment() if file is None else keys.NOT_ASKED
    result += accounts.found(
        _providers(settings, path), {**env, **shell} or keys.NOT_ASKED, syntax=keys.LITERAL
    )
    result += _stored(path, env)
    if {**env, **reading.addresses()}.get(_PROXY):
        result = environment.claimed(result, _BEHIND_PROXY, _PROXY)
    theirs = reading.here() / "gptme.toml"
    if file is not None or not (own := _variables_of(theirs)):
        return result
    claims = environment.claims(own) | (_BEHIND_PROXY if own.get(_PROXY) else frozenset())
    result = environment.claimed(result, claims, f"{theirs.name} of this directory")
    return result + accounts.in_this_directory([theirs], "gptme")


def _variables_of(path: Path) -> dict[str, str]:
    env = table(accounts.settings_of(path, reading.toml_of)[0].get("env"))
    return {name: value for name, value in env.items() if isinstance(value, str)}


def _model(settings: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """The variable with the model that gptme uses."""
    model = word(table(settings.get("models")).get("default")) or env.get("MODEL", "")
    owner, _, name = model.partition("/")
    service = services.by_word(owner)
    variable = environment.MODEL_OF.get(service.name) if service else None
    return {variable: name} if variable and name else {}


def _providers(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    for entry in tables(settings.get("providers")):
        name = word(entry.get("name")) or "unnamed"
        own = f"{name.upper().replace('-', '_')}_API_KEY"
        url = word(entry.get("base_url"))
        yield Account(
            name=name,
            place=f"{shown(path)}: providers",
            dialect="openai",
            url=url,
            key=word(entry.get("api_key")),
            variables=(word(entry.get("api_key_env")) or own,),
            model=word(entry.get("default_model")),
            # The user chose the name, so it does not identify a service.
            address_unknown="" if url else "it has no base_url; add it with --base-url",
        )


def _stored(path: Path, env: Mapping[str, str]) -> Found:
    """The keys that gptme stores by itself."""
    beside = path.parent
    if path == own_file():
        beside = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "gptme"
    credentials, problems = accounts.settings_of(beside / "credentials.toml", reading.toml_of)
    entries = (
        Account(name=name, place=f"{shown(beside / 'credentials.toml')}: {name}", key=word(key))
        for name, key in table(credentials.get("providers")).items()
        if word(key)
    )
    return problems + accounts.found(entries, env, syntax=keys.LITERAL)
