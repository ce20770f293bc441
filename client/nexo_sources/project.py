"""Files in the current directory with keys for programs that run there: .env.local, .envrc, compose files.

In a clone of a repository somebody else wrote them. They are only reported, until the user names one; even
then, variables of the shell are not looked up for it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, reading, services
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_NAMES = (".env.local", ".envrc", *_COMPOSE)
_KEYS = frozenset(name for service in services.SERVICES for name in service.variables)
# Addresses of NextChat and LobeChat whose names do not begin like that of the key.
_ADDRESSES = {"BASE_URL": "openai", "GOOGLE_URL": "google", "GOOGLE_PROXY_URL": "google"}
# .envrc is a shell script (direnv); values with these characters are not literal.
_FOR_THE_SHELL = re.compile(r"[`$]|\\$")


def find(file: Path | None = None) -> Found:
    """Report the files that name a known key variable, or read one file.

    Args:
        file: one of these files, or a .env file.
    """
    if file is not None:
        return _read(file)
    files = [reading.here() / name for name in _NAMES]
    return accounts.in_this_directory([path for path in files if _names_a_key(path)], "project")


def _names_a_key(path: Path) -> bool:
    try:
        text = reading.text_of(path) or ""
    except reading.Unreadable:
        return False
    return any(re.search(rf"\b{name}\b", text) for name in _KEYS)


def _read(path: Path) -> Found:
    if path.suffix not in (".yaml", ".yml"):
        variables, problems = accounts.variables_in(path)
        return problems + _of_variables(variables, shown(path))
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    for name, service in table(settings.get("services")).items():
        problems += _of_variables(_environment(table(service).get("environment")), f"{shown(path)}: {name}")
    return problems


def _of_variables(variables: Mapping[str, str], place: str) -> Found:
    found = environment.from_variables(_plain(variables), place)
    for name, service in _ADDRESSES.items():
        if variables.get(name):
            found = environment.claimed(found, {service}, name)
    return found


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, list):
        pairs = (entry.partition("=") for entry in value if isinstance(entry, str))
        return {name.strip(): text for name, equals, text in pairs if equals}
    return {name: str(text) for name, text in table(value).items() if isinstance(text, str | int)}


def _plain(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not _FOR_THE_SHELL.search(value)}
