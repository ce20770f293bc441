"""aider: .env and .aider.conf.yml in the home directory; those of the repository and of here are named.

Source: aider.chat, "API Keys", "Config with .env" and "YAML config file" (2026-10).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nexo_client.sources import accounts, environment, reading, services
from nexo_client.sources.finding import Found
from nexo_client.sources.reading import shown, word

_OPTIONS = {
    "openai-api-key": "OPENAI_API_KEY",
    "anthropic-api-key": "ANTHROPIC_API_KEY",
    "openai-api-base": "OPENAI_API_BASE",
    "openai-organization-id": "OPENAI_ORG_ID",
}


def find(file: Path | None = None) -> Found:
    """Keys and addresses of either kind of file; the two of a directory belong together."""
    if file is not None:
        beside = (file.parent / ".aider.conf.yml", file.parent / ".env")
        return _together(beside) if file in beside else _together((file,))
    home = Path.home()
    found = _together((home / ".aider.conf.yml", home / ".env"))
    here = [directory / name for directory in _directories() for name in (".aider.conf.yml", ".env")]
    theirs = [path for path in here if path.parent != home and _together((path,))]
    return found + accounts.in_this_directory(theirs, "aider")


def _directories() -> tuple[Path, ...]:
    here = reading.here()
    root = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here)
    return tuple(dict.fromkeys((root, here)))


def _together(paths: Iterable[Path]) -> Found:
    """What the files say; a .env wins over the options of the other."""
    variables: dict[str, str] = {}
    problems, place = Found(), ""
    for path in paths:
        own, problem = _options(path) if path.suffix in (".yml", ".yaml") else _dotenv(path)
        variables, problems = {**variables, **own}, problems + problem
        if own:
            place = shown(path)
    return problems + environment.from_variables(variables, place)


def _dotenv(path: Path) -> tuple[dict[str, str], Found]:
    variables, problems = accounts.variables_in(path)
    for option, variable in _OPTIONS.items():
        own = "AIDER_" + option.replace("-", "_").upper()
        if variables.get(own):
            variables.setdefault(variable, variables[own])
    for pair in variables.get("AIDER_API_KEY", "").split(","):
        _add_pair(variables, pair)
    return variables, problems


def _options(path: Path) -> tuple[dict[str, str], Found]:
    config, problems = accounts.settings_of(path, reading.yaml_of)
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
    return variables, problems


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
