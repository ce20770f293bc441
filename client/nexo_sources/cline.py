"""Cline: the providers that its command line and its newer extensions keep in providers.json.

Source: files that `cline auth` 3.0 wrote, and the types of @cline/core (2026-11). The directory is named by
CLINE_DATA_DIR or CLINE_DIR, the file by CLINE_PROVIDER_SETTINGS_PATH.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table, word

_COMPATIBLE = ("openai-compatible", "openai")
_NAMES = {"openai-native": "openai", "gemini": "google"}
_CLOUDS = ("aws", "gcp", "sap", "oca")


def own_file() -> Path:
    """The file with the providers."""
    if named := os.environ.get("CLINE_PROVIDER_SETTINGS_PATH"):
        return Path(named)
    home = Path(os.environ.get("CLINE_DIR") or Path.home() / ".cline")
    return Path(os.environ.get("CLINE_DATA_DIR") or home / "data") / "settings/providers.json"


def find(file: Path | None = None) -> Found:
    """The providers in providers.json."""
    path = file or own_file()
    settings, problems = accounts.settings_of(path, reading.json_of)
    return problems + accounts.found(_accounts(settings, path), keys.NOT_ASKED, syntax=keys.LITERAL)


def _accounts(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    for name, value in table(settings.get("providers")).items():
        entry = table(table(value).get("settings"))
        login = table(entry.get("auth"))
        url = word(entry.get("baseUrl"))
        obstacle = ""
        if any(entry.get(cloud) for cloud in _CLOUDS):
            obstacle = "it needs the credentials of a cloud, not an API key"
        elif word(login.get("accessToken")):
            obstacle = "it is a login, not an API key"
        yield Account(
            name=environment.name_of_address(url) if url and name in _COMPATIBLE else _NAMES.get(name, name),
            place=f"{shown(path)}: {name}",
            dialect="openai" if name in _COMPATIBLE else "",
            url=url,
            key=word(entry.get("apiKey")) or word(login.get("apiKey")),
            headers=table(entry.get("headers")),
            model=word(entry.get("model")),
            obstacle=obstacle,
            address_unknown="it has no baseUrl; add it with --base-url"
            if name in _COMPATIBLE and not url
            else "",
        )
