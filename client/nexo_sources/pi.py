"""pi: the providers in its models.json, and the keys that `/login` stored.

Source: the documentation in its package, and runs of version 1.6 (2026-11): a key in auth.json wins over
`apiKey` in models.json, which wins over the variable of the service; a key may be `$NAME`, `${NAME}` or
`!command` for a shell. In older versions `apiKey` could also be the bare name of a variable.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, keys, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, tables, word

_DIALECTS = {
    "": "",
    "openai-completions": "openai",
    "openai-responses": "openai",
    "anthropic-messages": "anthropic",
    "google-generative-ai": "google",
}
_NAME_OF_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:KEY|TOKEN)")


def home() -> Path:
    """The directory with its settings."""
    return Path(os.environ.get("PI_CODING_AGENT_DIR") or Path.home() / ".pi/agent")


def find(file: Path | None = None) -> Found:
    """The configured providers, and the stored keys for built-in ones.

    Args:
        file: models.json or auth.json; both are read.
    """
    directory = home() if file is None else file.parent
    models, problems = accounts.settings_of(directory / "models.json", loose_json_of)
    logins, unreadable = accounts.settings_of(directory / "auth.json", reading.json_of)
    settings, _ = accounts.settings_of(directory / "settings.json", loose_json_of)
    variables = reading.environment() if file is None else keys.NOT_ASKED
    providers = table(models.get("providers"))
    entries = [
        _account(name, table(providers.get(name)), table(logins.get(name)), settings, directory)
        for name in {**providers, **logins}
    ]
    return problems + unreadable + accounts.found(filter(None, entries), variables)


def _account(
    name: str,
    entry: Mapping[str, Any],
    login: Mapping[str, Any],
    settings: Mapping[str, Any],
    directory: Path,
) -> Account | None:
    stored = login.get("type") == "api_key"
    if not (stored or login or entry.get("baseUrl") or entry.get("apiKey")):
        # The entry only changes models of a built-in provider.
        return None
    key = word(login.get("key")) if stored else word(entry.get("apiKey"))
    models = list(tables(entry.get("models")))
    spoken = word(entry.get("api")) or next(_texts(models, "api"), "")
    service = services.by_word(name)
    variables = service.variables if service else ()
    if _NAME_OF_VARIABLE.fullmatch(key):
        key, variables = "", (key,)
    command = key.removeprefix("!").strip() if key.startswith("!") else ""
    obstacle = ""
    if login and not stored:
        obstacle = "it is a login of pi, not an API key"
    elif spoken not in _DIALECTS:
        obstacle = f"it speaks {spoken}, which is not supported"
    return Account(
        name=name,
        place=f"{shown(directory / ('auth.json' if login else 'models.json'))}: {name}",
        dialect=_DIALECTS.get(spoken, ""),
        url=word(entry.get("baseUrl")) or next(_texts(models, "baseUrl"), ""),
        key="" if command else key,
        variables=variables,
        reference=f"command:{shlex.join(['sh', '-c', command])}" if command else "",
        headers=table(entry.get("headers")),
        model=word(settings.get("defaultModel"))
        if name == settings.get("defaultProvider")
        else next(_texts(models, "id"), ""),
        obstacle=obstacle,
    )


def _texts(entries: list[dict[str, Any]], field: str) -> Iterator[str]:
    return (text for entry in entries if (text := word(entry.get(field))))
