"""Codex CLI: config.toml, the profiles beside it, auth.json and .env in CODEX_HOME or ~/.codex.

Source: its configuration reference (`model_providers`: base_url, env_key, experimental_bearer_token,
http_headers, env_http_headers, query_params, auth; 2026-10), the two kinds of login that auth.json holds, and
runs of version 0.171: a profile is a file NAME.config.toml over config.toml (before 0.134, a table in
config.toml), and the key in auth.json is sent only to a provider with `requires_openai_auth`.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo.connections.terms import Provider
from nexo_client.types import Header
from nexo_sources import accounts, environment, keys, reading
from nexo_sources.finding import Finding, Found, Incomplete, Part, Skipped
from nexo_sources.reading import Unreadable, shown, table, word


def home() -> Path:
    """Where Codex keeps its files."""
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")


def find(file: Path | None = None) -> Found:
    """The providers of config.toml, and the key of auth.json.

    Args:
        file: the directory, or a file in it.
    """
    place = home()
    if file is not None:
        place = file if file.is_dir() else file.parent
    skipped: tuple[Skipped, ...] = ()
    settings: dict[str, Any] = {}
    auth: dict[str, Any] = {}
    try:
        settings = reading.toml_of(reading.text_of(place / "config.toml") or "")
    except Unreadable as problem:
        skipped += (Skipped("config.toml", shown(place / "config.toml"), str(problem)),)
    try:
        text = reading.text_of(place / "auth.json")
        auth = table(reading.json_of(text)) if text is not None else {}
    except Unreadable as problem:
        skipped += (Skipped("auth.json", shown(place / "auth.json"), str(problem)),)
    own, unreadable = accounts.variables_in(place / ".env")
    variables = {**reading.environment(), **own}
    found = from_settings(settings, auth, shown(place), variables or keys.NOT_ASKED)
    for profile in sorted(place.glob("*.config.toml")):
        found += _from_profile(profile, settings, auth, variables or keys.NOT_ASKED)
    theirs = reading.here() / ".codex/config.toml"
    if file is None and theirs.parent != place and (claims := _claims(theirs)):
        found = environment.claimed(found, claims, "config.toml of this directory")
        found += accounts.in_this_directory([theirs], "codex")
    return found + Found((), skipped) + unreadable


def _claims(path: Path) -> frozenset[str]:
    """The services to which a project's configuration gives another address: OpenAI or none."""
    settings, _ = accounts.settings_of(path, reading.toml_of)
    elsewhere = any(settings.get(name) for name in ("openai_base_url", "model_provider", "model_providers"))
    return frozenset({"openai"}) if elsewhere else frozenset()


def from_settings(
    settings: dict[str, Any],
    auth: dict[str, Any],
    place: str,
    variables: Mapping[str, str] | None = None,
    *,
    one_account: bool = False,
) -> Found:
    """The accounts in config.toml and auth.json.

    Args:
        variables: the variables that Codex would look up; its .env wins over the shell.
        one_account: both belong to one account, as in the database of CC Switch.
    """
    variables = reading.environment() if variables is None else variables
    settings = {**settings, **table(table(settings.get("profiles")).get(word(settings.get("profile"))))}
    key = word(auth.get("OPENAI_API_KEY"))
    found = _providers(settings, key, place, variables, one_account)
    if key and not any(finding.api_key == key for finding in found.findings):
        address = word(settings.get("openai_base_url")) or variables.get("OPENAI_BASE_URL", "")
        own = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": address}
        of_auth = environment.from_variables(own, f"{place}: auth.json")
        if chosen := _without_key(settings):
            # The file does not say whether the key is for this provider or for OpenAI.
            of_auth = environment.claimed(of_auth, frozenset({"openai"}), f"the provider '{chosen}' in use")
        found += of_auth
    if table(auth.get("tokens")) and not key:
        reason = "it is a ChatGPT login, not an API key; make a key at platform.openai.com"
        found += Found((), (Skipped("codex login", f"{place}: auth.json", reason),))
    return found


def _from_profile(
    path: Path, base: dict[str, Any], auth: dict[str, Any], variables: Mapping[str, str]
) -> Found:
    """The providers that a profile adds, changes or uses."""
    profile, problems = accounts.settings_of(path, reading.toml_of)
    settings = accounts.merged(base, profile)
    named = {*table(profile.get("model_providers")), word(profile.get("model_provider"))}
    providers = table(settings.get("model_providers"))
    settings["model_providers"] = {name: providers[name] for name in providers if name in named}
    return problems + _providers(settings, word(auth.get("OPENAI_API_KEY")), shown(path), variables, False)


def _providers(
    settings: dict[str, Any], key: str, place: str, variables: Mapping[str, str], one_account: bool
) -> Found:
    model = word(settings.get("model"))
    chosen = _chosen(settings)
    found = Found()
    for name, value in table(settings.get("model_providers")).items():
        entry = table(value)
        lends = name == chosen and (one_account or entry.get("requires_openai_auth") is True)
        in_use = model if name == chosen else ""
        found += _provider(name, entry, key if lends else "", in_use, place, variables)
    return found


def _chosen(settings: dict[str, Any]) -> str:
    return word(settings.get("model_provider")) or "openai"


_CREDENTIALS = ("env_key", "experimental_bearer_token", "auth", "http_headers", "env_http_headers")


def _without_key(settings: dict[str, Any]) -> str:
    """The provider in use, if it has an address on the internet and no key of its own; otherwise empty."""
    entry = table(table(settings.get("model_providers")).get(_chosen(settings)))
    url = word(entry.get("base_url"))
    own = any(entry.get(name) for name in _CREDENTIALS)
    return _chosen(settings) if url and not own and not accounts.on_this_network(url) else ""


def _provider(
    name: str, entry: dict[str, Any], lent: str, model: str, place: str, variables: Mapping[str, str]
) -> Found:
    place = f"{place}: model_providers.{name}"
    url = word(entry.get("base_url"))
    if not url:
        key = word(entry.get("experimental_bearer_token"))
        rest = Finding(name=name, place=place, provider=Provider.CUSTOM, model=model)
        return environment.without_address(rest, key, variables, "it has no base_url; add it with --base-url")
    if table(entry.get("query_params")) and "azure" not in url:
        return Found(
            (), (Skipped(name, place, "it adds parameters to every address, which is not supported"),)
        )
    if command := table(entry.get("auth")):
        return _from_command(name, command, url, model, place)
    key = word(entry.get("experimental_bearer_token"))
    variable = word(entry.get("env_key"))
    if variable and not key:
        key = f"${{{variable}}}"
    key = key or lent
    provider, preset, base_url, _ = environment.openai_like(url)
    if preset == "azure":
        return environment.azure(url, key or _azure_key(entry), variables, place)
    if variable and not keys.is_variable(variable) and not word(entry.get("experimental_bearer_token")):
        rest = Finding(
            name=name, place=place, provider=provider, preset=preset, base_url=base_url, model=model
        )
        reason = f"its key is in {keys.absent(variable, variables)}"
        return Found((), (Skipped(name, place, reason, Incomplete(lacks=Part.KEY, rest=rest)),))
    headers = [Header(header, str(value)) for header, value in table(entry.get("http_headers")).items()]
    # Codex sends header values unchanged, and omits a header whose variable is not set.
    for header, source in table(entry.get("env_http_headers")).items():
        if variables.get(str(source)):
            headers.append(Header(header, variables[str(source)]))
    finding = Finding(
        name=name,
        place=place,
        provider=provider,
        preset=preset,
        base_url=base_url,
        headers=tuple(headers),
        model=model,
    )
    return environment.one(
        finding, key, variables, needs_key=not headers, of_headers=variables, syntax=keys.LITERAL
    )


def _from_command(name: str, auth: dict[str, Any], url: str, model: str, place: str) -> Found:
    """Report a provider whose key is printed by a command, because the user has to approve the command."""
    provider, preset, base_url, _ = environment.openai_like(url)
    rest = Finding(name=name, place=place, provider=provider, preset=preset, base_url=base_url, model=model)
    arguments = auth.get("args") if isinstance(auth.get("args"), list) else []
    called = shlex.join([word(auth.get("command")), *map(str, arguments or [])])
    command = rest.command(f"command:{called}") if word(auth.get("command")) else "--api-key-ref 'command:…'"
    reason = f"its key comes from a command; add it with {command}"
    return Found((), (Skipped(name, place, reason, Incomplete(lacks=Part.KEY, rest=rest)),))


def _azure_key(entry: dict[str, Any]) -> str:
    """The key of an Azure provider, which users write as the header `api-key`."""
    literal = {header.casefold(): str(value) for header, value in table(entry.get("http_headers")).items()}
    named = {header.casefold(): str(name) for header, name in table(entry.get("env_http_headers")).items()}
    return literal.get("api-key", "") or (f"${{{named['api-key']}}}" if named.get("api-key") else "")
