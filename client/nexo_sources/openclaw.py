"""OpenClaw: openclaw.json, its .env, and the keys that `models auth` stored.

Source: docs.openclaw.ai, configuration and model providers (2026-11): JSON5 in ~/.openclaw (or
OPENCLAW_STATE_DIR, OPENCLAW_CONFIG_PATH); `${NAME}` is a variable of the shell, .env or `env`; a key may be a
reference with a `source`.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, word

_DIALECTS = {
    "": "openai",
    "openai-completions": "openai",
    "openai-responses": "openai",
    "anthropic-messages": "anthropic",
    "google-generative-ai": "google",
    "ollama": "ollama",
}


def find(file: Path | None = None) -> Found:
    """The configured providers, and the stored keys for built-in providers."""
    home = Path(os.environ.get("OPENCLAW_STATE_DIR") or Path.home() / ".openclaw")
    path = file or Path(os.environ.get("OPENCLAW_CONFIG_PATH") or home / "openclaw.json")
    settings, problems = accounts.settings_of(path, loose_json_of)
    env = table(settings.get("env"))
    own = {name: value for name, value in {**env, **table(env.get("vars"))}.items() if isinstance(value, str)}
    dotenv, unreadable = accounts.variables_in((home if file is None else file.parent) / ".env")
    own, problems = {**own, **dotenv}, problems + unreadable
    variables = {**own, **reading.environment()}
    entries = [*_providers(settings, path)]
    if file is None:
        for profiles in sorted(home.glob("agents/*/agent/auth-profiles.json")):
            layer, problem = accounts.settings_of(profiles, reading.json_of)
            entries += _profiles(layer, settings, profiles)
            problems += problem
    entries += _of_variables(own, entries, path)
    return problems + accounts.found(entries, variables)


def _chosen(settings: Mapping[str, Any]) -> tuple[str, str]:
    model = table(table(settings.get("agents")).get("defaults")).get("model")
    provider, _, rest = (word(model) or word(table(model).get("primary"))).partition("/")
    return provider, rest


def _providers(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    chosen, model = _chosen(settings)
    for name, value in table(table(settings.get("models")).get("providers")).items():
        entry = table(value)
        dialect = _DIALECTS.get(word(entry.get("api")))
        key, reference, obstacle = _key(entry.get("apiKey"))
        service = services.by_word(name)
        if dialect is None:
            obstacle = f"it speaks {word(entry.get('api'))}, which is not supported"
        yield Account(
            name=name,
            place=f"{shown(path)}: models.providers.{name}",
            dialect=dialect or "",
            url=word(entry.get("baseUrl")),
            key=key,
            variables=service.variables if service else (f"{name.upper().replace('-', '_')}_API_KEY",),
            reference=reference,
            headers=table(entry.get("headers")),
            model=model if name == chosen else accounts.first_model(entry.get("models")),
            obstacle=obstacle,
        )


def _key(value: Any) -> tuple[str, str, str]:
    """The key as written, a reference to it, and an obstacle; two of the three are empty."""
    entry = table(value)
    where, name = word(entry.get("source")), word(entry.get("id"))
    if not entry:
        return word(value), "", ""
    if where == "env" and name:
        return f"${{{name}}}", "", ""
    command = [word(entry.get("command")), *map(str, entry.get("args") or [])] if entry.get("command") else []
    if where == "exec" and command:
        return "", f"command:{shlex.join(command)}", ""
    return "", "", f"its key comes from {where or 'somewhere else'} ({name}); add it with --api-key-ref"


def _profiles(store: Mapping[str, Any], settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    chosen, model = _chosen(settings)
    configured = table(table(settings.get("models")).get("providers"))
    for name, value in table(store.get("profiles")).items():
        profile = table(value)
        provider = word(profile.get("provider")) or name.partition(":")[0]
        place = f"{shown(path)}: {name}"
        if profile.get("type") == "api_key":
            key, reference, obstacle = _key(profile.get("keyRef") or profile.get("key"))
            entry = table(configured.get(provider))
            yield Account(
                name=provider,
                place=place,
                # OpenClaw sends the key to the configured address of the provider, if there is one.
                dialect=_DIALECTS.get(word(entry.get("api")), "") if entry else "",
                url=word(entry.get("baseUrl")),
                key=key,
                reference=reference,
                model=model if provider == chosen else "",
                obstacle=obstacle,
            )
        else:
            yield Account(name=provider, place=place, obstacle="it is a login, not an API key")


def _of_variables(own: Mapping[str, str], known: list[Account], path: Path) -> Iterator[Account]:
    named = {account.name for account in known}
    for service in services.SERVICES:
        variable = next((name for name in service.variables if own.get(name)), "")
        if variable and service.name not in named and service.base_url:
            yield Account(name=service.name, place=f"{shown(path)}: {variable}", key=own[variable])
