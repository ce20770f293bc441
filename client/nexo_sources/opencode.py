"""OpenCode: the user's opencode.json, and the keys that `auth login` stored.

Source: opencode.ai/docs/config and /docs/providers, and its config.ts and auth (2026-11): the global
directory, OPENCODE_CONFIG, the managed directory and OPENCODE_CONFIG_CONTENT are merged; a key in the
configuration wins over auth.json, and auth.json over a variable.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found, Skipped
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable, shown, table, word

_NAMES = ("config.json", "opencode.json", "opencode.jsonc")
_MANAGED = Path("/etc/opencode")
_SYNTAX = re.compile(r"\{env:([^}]+)\}")
_FILE = re.compile(r"\{file:([^}]+)\}")
# OpenCode's provider packages -> dialect; other packages are not supported.
_DIALECTS = {
    "": "",
    "@ai-sdk/openai": "openai",
    "@ai-sdk/openai-compatible": "openai",
    "@openrouter/ai-sdk-provider": "openai",
    "@ai-sdk/anthropic": "anthropic",
    "@ai-sdk/google": "google",
    "@ai-sdk/groq": "openai",
    "@ai-sdk/mistral": "openai",
    "@ai-sdk/xai": "openai",
    "@ai-sdk/deepseek": "openai",
}


def own_file() -> Path:
    """The user's settings file; the last one that exists, because it wins."""
    files = [_directory("XDG_CONFIG_HOME", ".config") / name for name in _NAMES]
    return next((path for path in reversed(files) if path.exists()), files[1])


def find(file: Path | None = None) -> Found:
    """The configured providers with their keys, and providers for which there is only a key."""
    if file is not None:
        settings, problems = accounts.settings_of(file, loose_json_of)
        return problems + _found(settings, {}, file, keys.NOT_ASKED)
    config = _directory("XDG_CONFIG_HOME", ".config")
    files = [config / name for name in _NAMES]
    files += [Path(os.environ["OPENCODE_CONFIG"])] if os.environ.get("OPENCODE_CONFIG") else []
    directories = (str(Path.home() / ".opencode"), os.environ.get("OPENCODE_CONFIG_DIR"))
    files += [Path(directory) / name for directory in directories if directory for name in _NAMES[1:]]
    settings, problems = {}, Found()
    for path in (*files, *(_MANAGED / name for name in _NAMES)):
        layer, problem = accounts.settings_of(path, loose_json_of)
        settings, problems = accounts.merged(settings, layer), problems + problem
    settings, problem = _with_content(settings)
    logins = _directory("XDG_DATA_HOME", ".local/share") / "auth.json"
    auth, unreadable = accounts.settings_of(logins, reading.json_of)
    theirs = [path for path in _of_this_directory() if path not in files]
    here = accounts.in_this_directory(theirs, "opencode")
    claims = _claims(theirs)
    place = next((path for path in reversed(files) if path.exists()), files[1])
    found = _found(settings, auth, place, reading.environment()) + _logins(settings, auth, logins)
    found = environment.claimed(found, claims, "opencode.json of this directory")
    return problems + problem + unreadable + found + here


def _with_content(settings: dict[str, Any]) -> tuple[dict[str, Any], Found]:
    content = os.environ.get("OPENCODE_CONFIG_CONTENT", "")
    try:
        return accounts.merged(settings, table(loose_json_of(content)) if content else {}), Found()
    except Unreadable as problem:
        return settings, Found((), (Skipped("OPENCODE_CONFIG_CONTENT", "environment", str(problem)),))


def _directory(variable: str, below_home: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / below_home) / "opencode"


def _of_this_directory() -> list[Path]:
    here = reading.here()
    candidates = [here / name for name in _NAMES[1:]] + [here / ".opencode" / name for name in _NAMES[1:]]
    return [path for path in candidates if path.is_file() and '"provider"' in _text(path)]


def _claims(paths: list[Path]) -> frozenset[str]:
    """The services to which files in the current directory give an address but no key."""
    addresses: dict[str, object] = {}
    for path in paths:
        for name, entry in table(accounts.settings_of(path, loose_json_of)[0].get("provider")).items():
            options = table(table(entry).get("options"))
            addresses[name] = None if options.get("apiKey") else options.get("baseURL")
    return environment.claims_by_word(addresses)


def _text(path: Path) -> str:
    try:
        return reading.text_of(path) or ""
    except Unreadable:
        return ""


def _found(
    settings: Mapping[str, Any], auth: Mapping[str, Any], path: Path, variables: Mapping[str, str]
) -> Found:
    disabled = settings.get("disabled_providers")
    disabled = disabled if isinstance(disabled, list) else []
    chosen, _, model = word(settings.get("model")).partition("/")
    entries = [
        _account(name, table(entry), table(auth.get(name)), path, model if name == chosen else "")
        for name, entry in table(settings.get("provider")).items()
        if name not in disabled
    ]
    return accounts.found([entry for entry in entries if entry is not None], variables, syntax=_SYNTAX)


def _account(
    name: str, entry: Mapping[str, Any], login: Mapping[str, Any], path: Path, model: str
) -> Account | None:
    options = table(entry.get("options"))
    url = word(options.get("baseURL")) or word(entry.get("api"))
    key = word(options.get("apiKey"))
    service = services.by_word(name)
    dialect = _DIALECTS.get(word(entry.get("npm")))
    if not (options or login or entry.get("npm")):
        # The entry only adds models to a provider; its account is in the shell or in auth.json.
        return None
    file = _FILE.fullmatch(key)
    env = entry.get("env")
    # OpenCode takes the key from a variable only if there is no choice.
    own = (word(env[0]),) if isinstance(env, list) and len(env) == 1 and word(env[0]) else ()
    return Account(
        name=name,
        place=f"{shown(path)}: provider.{name}",
        dialect=dialect or "",
        url=url,
        key="" if file else key or (word(login.get("key")) if login.get("type") == "api" else ""),
        variables=own or (service.variables if service else ()),
        reference=f"file:{_absolute(file[1], path)}" if file else "",
        headers=table(options.get("headers")),
        model=model or accounts.first_model(entry.get("models")),
        obstacle=""
        if dialect is not None
        else f"it speaks through {word(entry.get('npm'))}, which is not supported",
    )


def _absolute(name: str, path: Path) -> Path:
    file = Path(name.strip()).expanduser()
    return file if file.is_absolute() else path.parent / file


def _logins(settings: Mapping[str, Any], auth: Mapping[str, Any], path: Path) -> Found:
    known = table(settings.get("provider"))
    entries = []
    for name, value in auth.items():
        login, place = table(value), f"{shown(path)}: {name}"
        if login.get("type") == "api" and not table(known.get(name)).get("options"):
            entries.append(Account(name=name, place=place, key=word(login.get("key"))))
        elif login.get("type") in ("oauth", "wellknown"):
            reason = "it is a login of OpenCode, not an API key"
            entries.append(Account(name=name, place=place, obstacle=reason))
    return accounts.found(entries, keys.NOT_ASKED)
