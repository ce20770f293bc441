"""Qwen Code: the model providers in its settings, with keys from its .env, its `env` and the shell.

Source: its pages on settings, model providers and environment (2026-11): the shell wins over .env, and .env
over `env`; system settings win over the user's. A provider is a list of models with one protocol, or a table
with `protocol` and `models`; each model has its address and the variable with its key.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, keys, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, tables, word

# Protocol -> dialect, and the default variables for the key, the address and the model.
_PROTOCOLS = {
    "openai": ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"),
    "anthropic": ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
    "gemini": ("google", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GEMINI_MODEL"),
}
_NAMES = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


def find(file: Path | None = None) -> Found:
    """The accounts of Qwen Code, without duplicates."""
    if file is not None:
        settings, problems = accounts.settings_of(file, loose_json_of)
        own = _texts(settings.get("env"))
        return problems + _found(settings, own, file, around=reading.addresses())
    user = Path(os.environ.get("QWEN_HOME") or Path.home() / ".qwen") / "settings.json"
    system = Path(os.environ.get("QWEN_CODE_SYSTEM_SETTINGS_PATH") or "/etc/qwen-code/settings.json")
    default = Path(os.environ.get("QWEN_CODE_SYSTEM_DEFAULTS_PATH") or system.parent / "system-defaults.json")
    merged: dict[str, Any] = {}
    problems = Found()
    for path in (default, user, system):
        layer, problem = accounts.settings_of(path, loose_json_of)
        merged, problems = accounts.merged(merged, layer), problems + problem
    env = next((path for path in (user.parent / ".env", Path.home() / ".env") if path.is_file()), None)
    variables, unreadable = accounts.variables_in(env) if env else ({}, Found())
    own = {**_texts(merged.get("env")), **variables}
    here = reading.here() / ".qwen/settings.json"
    local = [here] if here != user and here.is_file() and _decides(here) else []
    found = _found(merged, {**own, **_of_shell()}, user, own)
    for path in local:
        settings, _ = accounts.settings_of(path, loose_json_of)
        claims = environment.claims(_texts(settings.get("env")))
        found = environment.claimed(found, claims, "settings.json of this directory")
    return problems + unreadable + found + accounts.in_this_directory(local, "qwen-code")


def _of_shell() -> dict[str, str]:
    return {name: value for name, value in reading.environment().items() if value.strip()}


def _decides(path: Path) -> bool:
    settings, _ = accounts.settings_of(path, loose_json_of)
    return bool(settings.get("modelProviders") or settings.get("env") or _auth(settings).get("apiKey"))


def _texts(value: Any) -> dict[str, str]:
    return {name: str(entry) for name, entry in table(value).items() if isinstance(entry, str | int)}


def _auth(settings: Mapping[str, Any]) -> dict[str, Any]:
    return table(table(settings.get("security")).get("auth"))


def _found(
    settings: Mapping[str, Any],
    variables: Mapping[str, str],
    path: Path,
    own: Mapping[str, str] | None = None,
    around: Mapping[str, str] = keys.NOT_ASKED,
) -> Found:
    own = variables if own is None else own
    seen = {**around, **variables}
    entries = [*_providers(settings, seen, path), *_direct(settings, seen, own, path)]
    result = accounts.found(entries, variables)
    login = word(_auth(settings).get("selectedType"))
    if not result and login == "qwen-oauth":
        reason = "it is the login of Qwen OAuth, not an API key"
        return accounts.found([Account(name="qwen", place=shown(path), obstacle=reason)], variables)
    return result


def _providers(settings: Mapping[str, Any], variables: Mapping[str, str], path: Path) -> Iterator[Account]:
    chosen = word(table(settings.get("model")).get("name"))
    protocols = table(settings.get("providerProtocol"))
    seen: dict[tuple[str, str, str], Account] = {}
    for name, value in table(settings.get("modelProviders")).items():
        whole = table(value)
        protocol = word(whole.get("protocol")) or word(protocols.get(name)) or name
        if protocol not in _PROTOCOLS:
            continue
        dialect, key, address, _ = _PROTOCOLS[protocol]
        for model in tables(whole.get("models") if whole else value):
            url, variable = word(model.get("baseUrl")), word(model.get("envKey")) or key
            identity = (protocol, url, variable)
            if identity in seen and word(model.get("id")) != chosen:
                continue
            named = variable.removesuffix("_API_KEY") if keys.is_variable(variable) else "qwen"
            seen[identity] = Account(
                name=(word(model.get("provider")) or named) if url else _NAMES[protocol],
                place=f"{shown(path)}: modelProviders.{name}",
                dialect=dialect,
                # The default is the variable of the protocol, then the vendor's own address.
                url=url or (variables.get(address, "") if variable == key else ""),
                variables=(variable,),
                headers=table(table(model.get("generationConfig")).get("customHeaders")),
                model=word(model.get("id")),
            )
    yield from seen.values()


def _direct(
    settings: Mapping[str, Any], variables: Mapping[str, str], own: Mapping[str, str], path: Path
) -> Iterator[Account]:
    """The accounts in `env`, .env and `security.auth`, which have no list of models; not the shell's."""
    auth = _auth(settings)
    if word(auth.get("apiKey")):
        yield _openai(path, "security.auth", word(auth.get("baseUrl")), word(auth.get("apiKey")))
    listed = {
        word(model.get("envKey"))
        for value in table(settings.get("modelProviders")).values()
        for model in tables(value)
    }
    for protocol, (dialect, key, address, model) in _PROTOCOLS.items():
        if not (own.get(key) or own.get(address)) or key in listed:
            continue
        url = variables.get(address, "")
        if protocol == "openai":
            yield _openai(path, key, url, variables.get(key, ""), variables.get(model, ""))
        else:
            place = f"{shown(path)}: {key}"
            yield Account(
                name=_NAMES[protocol],
                place=place,
                dialect=dialect,
                url=url,
                variables=(key,),
                model=variables.get(model, ""),
            )


def _openai(path: Path, what: str, url: str, key: str, model: str = "") -> Account:
    # Qwen Code is usually used with other hosts than OpenAI's, so a key alone does not tell its address.
    return Account(
        name="openai",
        place=f"{shown(path)}: {what}",
        dialect="openai",
        url=url,
        key=key,
        variables=("OPENAI_API_KEY",),
        model=model,
        address_unknown=""
        if url
        else "it is a key without an address (OPENAI_BASE_URL); add it with --base-url",
    )
