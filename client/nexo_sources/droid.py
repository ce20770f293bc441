"""Factory Droid: the custom models in its settings.json and in the older config.json.

Source: docs.factory.ai, "Custom Models (BYOK)" (2026-11): `apiKey` may be `${NAME}`, but not in config.json;
`apiKeyHelper` is a shell command that prints the key.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, tables, word

_DIALECTS = {"anthropic": "anthropic", "openai": "openai", "generic-chat-completion-api": "openai"}
_SYNTAX = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_NEW, _OLD = ("settings.json", "settings.local.json"), "config.json"


def find(file: Path | None = None) -> Found:
    """The custom models, grouped by account."""
    home = Path.home() / ".factory"
    result = Found()
    for path in [file] if file else [home / name for name in (*_NEW, _OLD)]:
        settings, problems = accounts.settings_of(path, loose_json_of)
        variables = reading.environment() if file is None else keys.NOT_ASKED
        syntax = keys.LITERAL if path.name == _OLD else _SYNTAX
        result += problems + accounts.found(_accounts(settings, path), variables, syntax=syntax)
    here = [reading.here() / ".factory" / name for name in _NEW]
    theirs = [path for path in here if path.parent != home and _has_models(path)]
    return result if file else result + accounts.in_this_directory(theirs, "droid")


def _has_models(path: Path) -> bool:
    return bool(accounts.settings_of(path, loose_json_of)[0].get("customModels"))


def _accounts(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    for name in ("customModels", "custom_models"):
        for entry in tables(settings.get(name)):
            yield _account(entry, f"{shown(path)}: {name}")


def _account(entry: Mapping[str, Any], place: str) -> Account:
    kind, url = word(entry.get("provider")), word(entry.get("baseUrl")) or word(entry.get("base_url"))
    helper = word(entry.get("apiKeyHelper"))
    return Account(
        name=environment.name_of_address(url) if url else "unnamed",
        place=place,
        dialect=_DIALECTS.get(kind, ""),
        url=url,
        key="" if helper else word(entry.get("apiKey")) or word(entry.get("api_key")),
        reference=f"command:sh -c {shlex.quote(helper)}" if helper else "",
        headers=table(entry.get("extraHeaders")),
        model=word(entry.get("model")),
        obstacle="" if kind in _DIALECTS else f"it is reached as {kind or 'nothing'}, which is not supported",
        address_unknown="" if url else "it has no baseUrl; add it with --base-url",
    )
