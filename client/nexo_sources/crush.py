"""Crush: the providers in the user's crush.json, and the keys that Crush stores itself.

Source: its README, docs/config and the crush-config skill (2026-11): the state in
~/.local/share/crush/crush.json overrides ~/.config/crush/crush.json; values are expanded as in a shell,
including `$(command)`. A crushrc is a Bash script and is not run.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found, Skipped
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, word

_DIALECTS = {
    "": "",
    "openai": "openai",
    "openai-compat": "openai",
    "openrouter": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "google": "google",
    "ollama": "openai",
}
_NAMES = {"gemini": "google", "openai": "openai", "anthropic": "anthropic"}
_COMMAND = re.compile(r"\$\((.*)\)", re.DOTALL)


def home() -> Path:
    """The directory with the user's settings."""
    named = os.environ.get("CRUSH_GLOBAL_CONFIG")
    return Path(named or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "crush")


def _state() -> Path:
    named = os.environ.get("CRUSH_GLOBAL_DATA")
    return Path(named or Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "crush")


def find(file: Path | None = None) -> Found:
    """The providers that Crush has."""
    if file is not None:
        settings, problems = accounts.settings_of(file, loose_json_of)
        return problems + accounts.found(_accounts(settings, file), keys.NOT_ASKED)
    config = home()
    data = _state()
    settings, problems = {}, Found()
    for path in (config / "crush.json", data / "crush.json"):
        layer, problem = accounts.settings_of(path, loose_json_of)
        settings, problems = accounts.merged(settings, layer), problems + problem
    if (config / "crushrc").is_file():
        reason = "it is a Bash script, which is not run; add its providers with: nexoctl add"
        problems += Found((), (Skipped("crushrc", shown(config / "crushrc"), reason),))
    here = [
        path for path in (reading.here() / ".crush.json", reading.here() / "crush.json") if path.is_file()
    ]
    here = [path for path in here if accounts.settings_of(path, loose_json_of)[0].get("providers")]
    place = config / "crush.json" if (config / "crush.json").exists() else data / "crush.json"
    found = accounts.found(_accounts(settings, place), reading.environment())
    for path in here:
        entries = table(accounts.settings_of(path, loose_json_of)[0].get("providers")).items()
        addresses = {
            name: table(one).get("base_url") for name, one in entries if not table(one).get("api_key")
        }
        claims = environment.claims_by_word(addresses)
        found = environment.claimed(found, claims, f"{path.name} of this directory")
    return problems + found + accounts.in_this_directory(here, "crush")


def _accounts(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    models = table(settings.get("models"))
    chosen = {
        word(table(one).get("provider")): word(table(one).get("model"))
        for one in (models.get("small"), models.get("large"))
    }
    for name, value in table(settings.get("providers")).items():
        entry = table(value)
        if entry.get("disable") is True:
            continue
        dialect = _DIALECTS.get(word(entry.get("type")))
        key = word(entry.get("api_key"))
        command = _COMMAND.search(key)
        service = services.by_word(name)
        obstacle = ""
        if dialect is None:
            obstacle = f"it is reached as {word(entry.get('type'))}, which is not supported"
        elif table(entry.get("oauth")):
            obstacle = "it is a login, not an API key"
        elif command and command[0] != key:
            obstacle = "its key is put together from a command and other text; add it with --api-key-ref"
        yield Account(
            name=_NAMES.get(name, name),
            place=f"{shown(path)}: providers.{name}",
            dialect=dialect or "",
            url=word(entry.get("base_url")),
            key="" if command else key,
            variables=service.variables if service and not key else (),
            reference=f"command:sh -c {_quoted(command[1])}" if command else "",
            headers=table(entry.get("extra_headers")),
            model=chosen.get(name, "") or accounts.first_model(entry.get("models")),
            obstacle=obstacle,
        )


def _quoted(command: str) -> str:
    return "'" + command.strip().replace("'", "'\\''") + "'"
