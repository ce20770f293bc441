"""Gemini CLI: the key in its .env files, with the address and the model from its settings.

Source: its configuration reference and settings.ts (2026-11): it uses the first .env file on the way from the
current directory up, `.gemini/.env` before `.env`, then the home directory; variables of the shell win;
system settings win over the user's.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, word

_KEY, _ADDRESS, _MODEL = "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GEMINI_MODEL"


def _user() -> Path:
    return Path(os.environ.get("GEMINI_CLI_HOME") or Path.home())


def home() -> Path:
    """The directory with the user's files."""
    return _user() / ".gemini"


def find(file: Path | None = None) -> Found:
    """The account of Gemini CLI.

    Args:
        file: a .env file.
    """
    if file is not None:
        variables, problems = accounts.variables_in(file)
        address = reading.addresses().get(_ADDRESS, "") or variables.get(_ADDRESS, "")
        return problems + _found({}, {**variables, _ADDRESS: address}, file)
    settings, problems = _settings()
    own_env = home() / ".env"
    env = next((path for path in (own_env, _user() / ".env") if path.is_file()), own_env)
    variables, unreadable = accounts.variables_in(env)
    shell = {name: value for name, value in reading.environment().items() if value.strip()}
    own = {name: shell.get(name) or value for name, value in variables.items()}
    for name in (_ADDRESS, _MODEL):
        own.setdefault(name, shell.get(name, ""))
    here = _of_this_directory(Path.home())
    local = accounts.in_this_directory([here] if here else [], "gemini-cli")
    return problems + unreadable + _found(settings, own, env) + local


def _of_this_directory(end: Path) -> Path | None:
    """The .env file that it would use here instead of the user's; the search ends at `end`."""
    here = reading.here()
    for directory in (here, *here.parents):
        if directory == end:
            return None
        for path in (directory / ".gemini/.env", directory / ".env"):
            if path.is_file():
                ours = {_KEY, _ADDRESS} & accounts.variables_in(path)[0].keys()
                return path if ours else None
    return None


def _settings() -> tuple[dict[str, Any], Found]:
    system = Path(os.environ.get("GEMINI_CLI_SYSTEM_SETTINGS_PATH") or "/etc/gemini-cli/settings.json")
    default = Path(
        os.environ.get("GEMINI_CLI_SYSTEM_DEFAULTS_PATH") or system.parent / "system-defaults.json"
    )
    merged: dict[str, Any] = {}
    problems = Found()
    for path in (default, home() / "settings.json", system):
        layer, problem = accounts.settings_of(path, loose_json_of)
        merged, problems = accounts.merged(merged, layer), problems + problem
    return merged, problems


def _found(settings: Mapping[str, Any], variables: Mapping[str, str], path: Path) -> Found:
    auth = table(table(settings.get("security")).get("auth"))
    login = word(auth.get("selectedType")) or word(settings.get("selectedAuthType"))
    model = (
        variables.get(_MODEL) or word(table(settings.get("model")).get("name")) or word(settings.get("model"))
    )
    place = f"{shown(path)}: {_KEY}"
    obstacle = ""
    if not variables.get(_KEY):
        obstacle = _LOGINS.get(login, "")
        place = "~/.gemini/settings.json"
        if not obstacle:
            return Found()
    return accounts.found(
        [
            Account(
                name="google",
                place=place,
                dialect="google",
                url=variables.get(_ADDRESS, ""),
                key=variables.get(_KEY, ""),
                model=model,
                obstacle=obstacle,
            )
        ],
        variables,
    )


_LOGINS = {
    "oauth-personal": "it is a login with Google, not an API key; make a key at aistudio.google.com",
    "cloud-shell": "it is a login of Cloud Shell, not an API key",
    "compute-default-credentials": "it uses the credentials of the machine, not an API key",
    "vertex-ai": "Google Vertex AI is reached with cloud credentials, not with an API key",
    "gemini-api-key": "its key is in the keyring, where Gemini CLI keeps it; add it with: nexoctl add google "
    "--provider google",
}
