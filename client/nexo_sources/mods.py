"""mods: the services of its mods.yml.

Source: its config_template.yml and config.go (2026-11): a key is `api-key`, the output of `api-key-cmd` (no
shell), or in the variable `api-key-env`. Its default file names a dozen services, so services without a key
are not reported.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table, word

_DIALECTS = {"anthropic": "anthropic", "google": "google", "ollama": "ollama"}
_OWN_VARIABLES = {"google": "GOOGLE_API_KEY", "openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_OTHERS = ("cohere", "copilot", "azure-ad")


def own_file() -> Path:
    """The settings file."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mods/mods.yml"


def find(file: Path | None = None) -> Found:
    """The services in mods.yml."""
    path = file or own_file()
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    variables = reading.environment() if file is None else keys.NOT_ASKED
    return problems + accounts.found(_accounts(settings, path), variables)


def _accounts(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    chosen, model = word(settings.get("default-api")), word(settings.get("default-model"))
    for name, value in table(settings.get("apis")).items():
        entry = table(value)
        key, command = word(entry.get("api-key")), word(entry.get("api-key-cmd"))
        variable = word(entry.get("api-key-env")) or _OWN_VARIABLES.get(name, "")
        models = table(entry.get("models"))
        url = word(entry.get("base-url"))
        # Entries of the default file.
        if name in _OTHERS or "YOUR_" in url or (name in ("ollama", "localai") and not key):
            continue
        yield Account(
            name=name,
            place=f"{shown(path)}: apis.{name}",
            dialect=_DIALECTS.get(name, "openai"),
            url=url,
            key=key,
            variables=(variable,) if variable else (f"{name.upper()}_API_KEY",),
            reference=f"command:{command}" if command and not key else "",
            model=model if name == chosen or model in models else "",
            template=not key and not command,
            # mods sends the key of any other service to OpenAI.
            address_unknown=""
            if url or name in _OWN_VARIABLES
            else "it has no base-url; add it with --base-url",
        )
