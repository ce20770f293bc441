"""aichat: the clients of its config.yaml.

Source: its config.example.yaml and guide (2026-11): AICHAT_CONFIG_FILE, AICHAT_CONFIG_DIR or
~/.config/aichat. Its client macros (2026-02): the variable {NAME}_API_BASE wins over the address of a client,
and a .env beside the file over the shell. {NAME}_API_KEY is used here for a client without a key.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, tables, word

# aichat's client type -> the service in `services`, and the dialect.
_TYPES = {
    "openai": ("openai", "openai"),
    "openai-compatible": ("", "openai"),
    "claude": ("anthropic", "anthropic"),
    "gemini": ("google", "google"),
    "ollama": ("ollama", "ollama"),
    "azure-openai": ("azure", "openai"),
    "mistral": ("mistral", "openai"),
    "groq": ("groq", "openai"),
    "deepseek": ("deepseek", "openai"),
}


def own_file() -> Path:
    """The settings file."""
    directory = Path(
        os.environ.get("AICHAT_CONFIG_DIR")
        or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "aichat"
    )
    return Path(os.environ.get("AICHAT_CONFIG_FILE") or directory / "config.yaml")


def find(file: Path | None = None) -> Found:
    """The clients in config.yaml."""
    path = file or own_file()
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    own, unreadable = accounts.variables_in(path.parent / ".env")
    variables = {**(reading.environment() if file is None else {}), **own}
    entries = _accounts(settings, {**reading.addresses(), **variables}, path)
    return problems + unreadable + accounts.found(entries, variables or keys.NOT_ASKED)


def _accounts(settings: Mapping[str, Any], variables: Mapping[str, str], path: Path) -> Iterator[Account]:
    chosen, _, model = word(settings.get("model")).partition(":")
    for entry in tables(settings.get("clients")):
        kind = word(entry.get("type"))
        ours, dialect = _TYPES.get(kind, ("", ""))
        name = word(entry.get("name")) or kind
        prefix = re.sub(r"[^A-Z0-9]", "_", name.upper())
        authorization = word(entry.get("api_auth"))
        yield Account(
            name=ours or name,
            place=f"{shown(path)}: clients",
            dialect=dialect,
            url=variables.get(f"{prefix}_API_BASE", "") or word(entry.get("api_base")),
            key=word(entry.get("api_key")),
            variables=(f"{prefix}_API_KEY",),
            headers={"Authorization": authorization} if authorization else {},
            model=model if chosen == name else accounts.first_model(entry.get("models")),
            obstacle="" if dialect else f"it is reached as {kind or 'nothing'}, which is not supported",
        )
