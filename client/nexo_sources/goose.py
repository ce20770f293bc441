"""goose: the hosts in its config.yaml, its custom providers, and secrets.yaml if it does not use the keyring.

Source: its pages on configuration files and environment, its config crate and its providers (2026-11):
variables win over config.yaml; keys are in the keyring (service goose, user secrets) unless
GOOSE_DISABLE_KEYRING is set; the address of a built-in provider is {NAME}_HOST. For OpenAI, OPENAI_BASE_URL
comes before an OPENAI_HOST in config.yaml, and after one in the shell.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexo_sources import accounts, reading
from nexo_sources.accounts import Account
from nexo_sources.finding import Found
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import shown, table, word

# goose's provider -> our name, the variables of the key and the host, and the path after the host.
_PROVIDERS = {
    "openai": ("openai", "OPENAI_API_KEY", "OPENAI_HOST", "/v1"),
    "anthropic": ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_HOST", ""),
    "google": ("google", "GOOGLE_API_KEY", "GOOGLE_HOST", ""),
    "openrouter": ("openrouter", "OPENROUTER_API_KEY", "OPENROUTER_HOST", "/api/v1"),
    "groq": ("groq", "GROQ_API_KEY", "GROQ_HOST", ""),
    "xai": ("xai", "XAI_API_KEY", "XAI_HOST", ""),
    "litellm": ("litellm", "LITELLM_API_KEY", "LITELLM_HOST", ""),
    "ollama": ("ollama", "", "OLLAMA_HOST", ""),
}
_BASE_URL = "OPENAI_BASE_URL"
_ENGINES = {
    "openai": "openai",
    "openai_compatible": "openai",
    "anthropic": "anthropic",
    "anthropic_compatible": "anthropic",
    "ollama": "ollama",
    "ollama_compatible": "ollama",
}


def find(file: Path | None = None) -> Found:
    """The provider in use, providers with a key in secrets.yaml, and custom providers."""
    path = file or _directory() / "config.yaml"
    settings, problems = accounts.settings_of(path, reading.yaml_of)
    secrets, unreadable = accounts.settings_of(path.parent / "secrets.yaml", reading.yaml_of)
    own = {name: str(value) for name, value in {**settings, **secrets}.items() if isinstance(value, str)}
    hosts = {_BASE_URL, *(host for _, _, host, _ in _PROVIDERS.values())}
    shell = reading.environment()
    if file is not None:
        shell = {name: value for name, value in reading.addresses().items() if name in hosts}
    variables = {**own, **{name: value for name, value in shell.items() if value}}
    if variables.get(_BASE_URL) and not shell.get("OPENAI_HOST"):
        variables.pop("OPENAI_HOST", None)
    result = problems + unreadable
    chosen = _chosen(settings)
    customs = list(_customs(path.parent / "custom_providers"))
    entries = [*_built_in(variables, own, path, chosen), *customs, *_unknown(own, customs, path)]
    for account in entries:
        key = account.variables and not any(variables.get(name) for name in account.variables)
        if key and not accounts.on_this_network(account.url):
            result += Found((), (accounts.in_keyring(account, "goose"),))
        else:
            result += accounts.found([account], variables)
    return result


def _directory() -> Path:
    root = Path(os.environ.get("GOOSE_PATH_ROOT", ""))
    if root.is_absolute():
        return root / "config"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "goose"


def _unknown(own: Mapping[str, str], customs: list[Account], path: Path) -> Iterator[Account]:
    """The provider in use, if goose's files do not describe it."""
    used = own.get("GOOSE_PROVIDER") or own.get("active_provider", "")
    described = {Path(one.place).stem for one in customs} | {one.name for one in customs}
    if used and used not in _PROVIDERS and not described & {used, used.removeprefix("custom_")}:
        reason = "how goose reaches it is not in its files; add it with: nexoctl add"
        yield Account(name=used, place=shown(path), obstacle=reason)


def _chosen(settings: Mapping[str, Any]) -> dict[str, str]:
    """The providers in the settings of newer versions, each with its model."""
    entries = {name: table(entry) for name, entry in table(settings.get("providers")).items()}
    return {name: word(one.get("model")) for name, one in entries.items() if one.get("configured") is True}


def _built_in(
    variables: Mapping[str, str], own: Mapping[str, str], path: Path, chosen: Mapping[str, str]
) -> Iterator[Account]:
    used = variables.get("GOOSE_PROVIDER") or variables.get("active_provider", "")
    in_file = own.get("GOOSE_PROVIDER") or own.get("active_provider")
    for name, (ours, key, host, rest) in _PROVIDERS.items():
        # `environment` reports keys that only the shell has.
        if not (own.get(key) or (name == used and in_file) or name in chosen):
            continue
        if name == "openai" and variables.get("OPENAI_BASE_PATH"):
            rest = "/" + variables["OPENAI_BASE_PATH"].removesuffix("chat/completions").strip("/")
        url = variables.get(host, "")
        if name == "openai" and not url:
            url, rest = variables.get(_BASE_URL, ""), ""
        if url and "://" not in url:
            url = f"http://{url}" + ("" if ":" in url else ":11434") if name == "ollama" else f"https://{url}"
        yield Account(
            name=ours,
            place=shown(path),
            url=f"{url.rstrip('/')}{rest}" if url and not url.rstrip("/").endswith(rest or "\0") else url,
            variables=(key,) if key else (),
            model=(variables.get("GOOSE_MODEL", "") if name == used else "") or chosen.get(name, ""),
        )


def _customs(directory: Path) -> Iterator[Account]:
    for path in sorted(directory.glob("*.json")) if directory.is_dir() else []:
        settings, problem = accounts.settings_of(path, loose_json_of)
        if problem:
            yield Account(name=path.name, place=shown(path), obstacle=problem.skipped[0].reason)
            continue
        engine = word(settings.get("engine"))
        variable = word(settings.get("api_key_env"))
        yield Account(
            name=(word(settings.get("display_name")) or word(settings.get("name")) or path.stem),
            place=shown(path),
            dialect=_ENGINES.get(engine, ""),
            url=_whole(word(settings.get("base_url")), word(settings.get("base_path")), _ENGINES.get(engine)),
            variables=(variable,) if variable and settings.get("requires_auth") is not False else (),
            headers=table(settings.get("headers")),
            model=accounts.first_model(settings.get("models")),
            address_unknown=""
            if word(settings.get("base_url"))
            else "it has no base_url; add it with --base-url",
            obstacle="" if engine in _ENGINES else f"it speaks {engine or 'nothing'}, which is not supported",
        )


def _whole(url: str, path: str, dialect: str | None) -> str:
    """The base URL of a custom provider, to which goose appends a path of its own."""
    if not url or dialect != "openai":
        return url
    origin = re.match(r"[^/]*//[^/?#]*", url)
    if path and origin:
        return f"{origin[0]}/{path.lstrip('/')}"
    url = url.rstrip("/")
    return url if re.search(r"/chat/completions$|/v\d+$", url) else f"{url}/v1"
