"""Hermes Agent: config.yaml and .env in ~/.hermes.

Source: hermes-agent.nousresearch.com, configuration (2026-11): `model` has the provider, address and key in
use; `custom_providers` (a list) and `providers` (a table) have others; `${NAME}` and `key_env` name variables
of .env and the shell.
"""

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from nexo_sources import accounts, reading, services
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.reading import shown, table, tables, word

# Its names for logins of other programs and plans, which have no API key.
_LOGINS = ("openai-codex", "nous", "copilot", "copilot-acp", "minimax-oauth", "qwen-oauth", "xai-oauth")
_DIALECTS = {"anthropic_messages": "anthropic", "anthropic": "anthropic"}


def find(file: Path | None = None) -> Found:
    """The model in use, the custom providers, and the keys of .env."""
    home = Path(os.environ.get("HERMES_HOME") or Path.home() / ".hermes")
    path = file or home / "config.yaml"
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    dotenv = path.parent / ".env"
    own, unreadable = accounts.variables_in(dotenv)
    variables = {**own, **reading.environment()}
    entries = [*_accounts(settings, path)]
    used = {account.name for account in entries}
    # A custom endpoint in use takes its key from OPENAI_API_KEY.
    used |= {"openai"} if any("OPENAI_API_KEY" in one.variables for one in entries) else set()
    entries += _of_variables(own, used, dotenv)
    return problems + unreadable + accounts.found(entries, variables)


_ADDRESSES = {
    "OPENAI_API_KEY": "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY": "ANTHROPIC_BASE_URL",
    "OPENROUTER_API_KEY": "OPENROUTER_BASE_URL",
}


def _of_variables(own: Mapping[str, str], known: Set[str], path: Path) -> Iterator[Account]:
    for service in services.SERVICES:
        variable = next((name for name in service.variables if own.get(name)), "")
        if not variable or service.name in known or not service.base_url:
            continue
        address = _ADDRESSES.get(variable, "")
        url = own.get(address, "") or reading.addresses().get(address, "")
        openai = variable == "OPENAI_API_KEY"
        yield Account(
            name=service.name,
            place=f"{shown(path)}: {variable}",
            dialect="openai" if openai else "",
            url=url,
            key=own[variable],
            # Hermes uses this variable for any custom endpoint.
            address_unknown="it is a key without an address; add it with --base-url"
            if openai and not url
            else "",
        )


def _accounts(settings: Mapping[str, Any], path: Path) -> Iterator[Account]:
    model = table(settings.get("model"))
    customs = list(tables(settings.get("custom_providers")))
    customs += [{"name": name, **table(entry)} for name, entry in table(settings.get("providers")).items()]
    chosen = word(model.get("provider")).removeprefix("custom:")
    for entry in customs:
        name = word(entry.get("name"))
        if name:
            in_use = word(model.get("default")) if name == chosen else ""
            yield _account(name, entry, path, "custom_providers", in_use)
    if word(model.get("base_url")) and chosen not in [word(entry.get("name")) for entry in customs]:
        yield _account(
            chosen if chosen != "custom" else "hermes", model, path, "model", word(model.get("default"))
        )


def _account(name: str, entry: Mapping[str, Any], path: Path, section: str, model: str) -> Account:
    variable = word(entry.get("key_env")) or word(entry.get("api_key_env"))
    key = word(entry.get("api_key"))
    service = services.by_word(name)
    variables: tuple[str, ...] = (variable,) if variable else ()
    if section == "model" and not variable:
        variables = service.variables if service else ("OPENAI_API_KEY",)
    obstacle = ""
    if word(entry.get("api_mode")) == "bedrock_converse":
        obstacle = "Amazon Bedrock is reached with cloud credentials, not with an API key"
    elif name in _LOGINS or name.endswith("-oauth"):
        obstacle = "it is a login of Hermes, not an API key"
    url = word(entry.get("base_url")) or word(entry.get("api")) or word(entry.get("url"))
    return Account(
        name=name,
        place=f"{shown(path)}: {section}",
        dialect=_DIALECTS.get(word(entry.get("api_mode")), "openai"),
        url=url,
        key="" if key in ("local", "none") else key,
        variables=variables,
        headers=table(entry.get("extra_headers")),
        model=model or word(entry.get("model")) or accounts.first_model(entry.get("models")),
        obstacle=obstacle,
        address_unknown="" if url else "it has no base_url; add it with --base-url",
    )
