"""Hermes Agent: config.yaml and .env in ~/.hermes.

Source: hermes-agent.nousresearch.com, configuration (2026-11): `model` says provider, address and key of the
one in use, `custom_providers` (a list) and `providers` (a table) name others; `${NAME}` and `key_env` lead
into .env and the shell.
"""

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from nexo_client.sources import accounts, reading, services
from nexo_client.sources.accounts import Account
from nexo_client.sources.finding import Found
from nexo_client.sources.reading import shown, table, tables, word

_DIALECTS = {"anthropic_messages": "anthropic", "anthropic": "anthropic"}


def find(file: Path | None = None) -> Found:
    """The model in use, the custom providers, and the keys of .env."""
    home = Path(os.environ.get("HERMES_HOME") or Path.home() / ".hermes")
    path = file or home / "config.yaml"
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    own, unreadable = accounts.variables_in(home / ".env") if file is None else ({}, Found())
    variables = {**own, **reading.environment()} if file is None else {}
    entries = [*_accounts(settings, path)]
    entries += _of_variables(own, {account.name for account in entries}, home / ".env")
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
        url = own.get(_ADDRESSES.get(variable, ""), "")
        openai = variable == "OPENAI_API_KEY"
        yield Account(
            name=service.name,
            place=f"{shown(path)}: {variable}",
            dialect="openai" if openai else "",
            url=url,
            key=own[variable],
            # There it is the key of whatever custom endpoint is in use.
            obstacle="it is a key without an address; add it with --base-url" if openai and not url else "",
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
    return Account(
        name=name,
        place=f"{shown(path)}: {section}",
        dialect=_DIALECTS.get(word(entry.get("api_mode")), "openai"),
        url=word(entry.get("base_url")) or word(entry.get("api")) or word(entry.get("url")),
        key="" if key in ("local", "none") else key,
        variables=(variable,) if variable else (),
        headers=table(entry.get("extra_headers")),
        model=model or word(entry.get("model")) or accounts.first_model(entry.get("models")),
    )
