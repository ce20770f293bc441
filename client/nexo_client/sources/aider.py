"""aider: .env and .aider.conf.yml in the home directory, the root of the repository and here.

Source: aider.chat, "API Keys", "Config with .env" and "YAML config file" (2026-10).
"""

from pathlib import Path
from typing import Any

from nexo_client.sources import environment, reading, services
from nexo_client.sources.finding import Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, word

_OPTIONS = {
    "openai-api-key": "OPENAI_API_KEY",
    "anthropic-api-key": "ANTHROPIC_API_KEY",
    "openai-api-base": "OPENAI_API_BASE",
    "openai-organization-id": "OPENAI_ORG_ID",
}


def find(file: Path | None = None) -> Found:
    """Keys in either kind of file."""
    if file is not None:
        return _yaml(file) if file.suffix in (".yml", ".yaml") else _dotenv(file)
    found = Found()
    for directory in _directories():
        found += _dotenv(directory / ".env")
        found += _yaml(directory / ".aider.conf.yml")
    return found


def _directories() -> tuple[Path, ...]:
    here = Path.cwd()
    root = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here)
    return tuple(dict.fromkeys((Path.home(), root, here)))


def _dotenv(path: Path) -> Found:
    try:
        text = reading.text_of(path)
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))
    if text is None:
        return Found()
    variables = reading.variables_of(text)
    for option, variable in _OPTIONS.items():
        own = "AIDER_" + option.replace("-", "_").upper()
        if variables.get(own):
            variables.setdefault(variable, variables[own])
    for pair in variables.get("AIDER_API_KEY", "").split(","):
        _add_pair(variables, pair)
    return environment.from_variables(variables, shown(path))


def _yaml(path: Path) -> Found:
    try:
        text = reading.text_of(path)
        config = table(reading.yaml_of(text)) if text is not None else {}
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))
    variables: dict[str, str] = {}
    for option, variable in _OPTIONS.items():
        if word(config.get(option)):
            variables[variable] = word(config[option])
    for pair in _list(config.get("api-key")):
        _add_pair(variables, pair)
    for pair in _list(config.get("set-env")):
        name, equals, value = pair.partition("=")
        if equals:
            variables[name.strip()] = value.strip()
    return environment.from_variables(variables, shown(path))


def _add_pair(variables: dict[str, str], pair: str) -> None:
    # aider turns provider=key into PROVIDER_API_KEY=key.
    provider, equals, key = pair.partition("=")
    if equals:
        service = services.by_word(provider)
        name = (
            service.variables[0] if service and service.variables else f"{provider.strip().upper()}_API_KEY"
        )
        variables[name] = key.strip()


def _list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [entry for entry in values if isinstance(entry, str)]
