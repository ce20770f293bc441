"""Codex CLI: config.toml, auth.json and .env in CODEX_HOME or ~/.codex.

Source: its configuration reference (`model_providers`: base_url, env_key, experimental_bearer_token,
http_headers, env_http_headers, query_params, auth; 2026-10), and the two kinds of login that auth.json holds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo_client.sources import accounts, environment, keys, reading
from nexo_client.sources.finding import Finding, Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, word
from nexo_client.types import Header


def find(file: Path | None = None) -> Found:
    """The providers of config.toml, and the key of auth.json.

    Args:
        file: the directory, or a file in it.
    """
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    if file is not None:
        home = file if file.is_dir() else file.parent
    skipped: tuple[Skipped, ...] = ()
    settings: dict[str, Any] = {}
    auth: dict[str, Any] = {}
    try:
        settings = reading.toml_of(reading.text_of(home / "config.toml") or "")
    except Unreadable as problem:
        skipped += (Skipped("config.toml", shown(home / "config.toml"), str(problem)),)
    try:
        text = reading.text_of(home / "auth.json")
        auth = table(reading.json_of(text)) if text is not None else {}
    except Unreadable as problem:
        skipped += (Skipped("auth.json", shown(home / "auth.json"), str(problem)),)
    own, unreadable = accounts.variables_in(home / ".env")
    variables = {**reading.environment(), **own}
    found = from_settings(settings, auth, shown(home), variables or keys.NOT_ASKED)
    return found + Found((), skipped) + unreadable


def from_settings(
    settings: dict[str, Any], auth: dict[str, Any], place: str, variables: Mapping[str, str] | None = None
) -> Found:
    """What the two files say; CC Switch keeps the same two in its database.

    Args:
        variables: what Codex would look up; its .env wins over the shell.
    """
    variables = reading.environment() if variables is None else variables
    settings = {**settings, **table(table(settings.get("profiles")).get(word(settings.get("profile"))))}
    key = word(auth.get("OPENAI_API_KEY"))
    model = word(settings.get("model"))
    chosen = word(settings.get("model_provider")) or "openai"
    found = Found()
    for name, value in table(settings.get("model_providers")).items():
        # Codex sends the key of auth.json to the provider in use when that one names no key of its own.
        lent = key if name == chosen else ""
        found += _provider(name, table(value), lent, model if name == chosen else "", place, variables)
    if key and not any(finding.api_key == key for finding in found.findings):
        address = word(settings.get("openai_base_url")) or variables.get("OPENAI_BASE_URL", "")
        own = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": address}
        found += environment.from_variables(own, f"{place}: auth.json")
    if table(auth.get("tokens")) and not key:
        reason = "it is a ChatGPT login, not an API key; make a key at platform.openai.com"
        found += Found((), (Skipped("codex login", f"{place}: auth.json", reason),))
    return found


def _provider(
    name: str, entry: dict[str, Any], lent: str, model: str, place: str, variables: Mapping[str, str]
) -> Found:
    place = f"{place}: model_providers.{name}"
    url = word(entry.get("base_url"))
    if not url:
        return Found((), (Skipped(name, place, "it has no base_url"),))
    if table(entry.get("auth")):
        reason = "its key comes from a command; add it with --api-key-ref 'command:…'"
        return Found((), (Skipped(name, place, reason),))
    if table(entry.get("query_params")) and "azure" not in url:
        return Found((), (Skipped(name, place, "it adds parameters to every address, which Nexo cannot"),))
    key = word(entry.get("experimental_bearer_token"))
    variable = word(entry.get("env_key"))
    if variable and not key:
        key = f"${{{variable}}}"
    if not key and (entry.get("requires_openai_auth") or lent):
        key = lent
    provider, preset, base_url, _ = environment.openai_like(url)
    if preset == "azure":
        return environment.azure(url, key or _azure_key(entry), variables, place)
    headers = [Header(header, str(value)) for header, value in table(entry.get("http_headers")).items()]
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
    return environment.one(finding, key, variables, needs_key=not headers)


def _azure_key(entry: dict[str, Any]) -> str:
    """Azure's key travels in a header of its own, so that is where people put it."""
    literal = {header.casefold(): str(value) for header, value in table(entry.get("http_headers")).items()}
    named = {header.casefold(): str(name) for header, name in table(entry.get("env_http_headers")).items()}
    return literal.get("api-key", "") or (f"${{{named['api-key']}}}" if named.get("api-key") else "")
