"""aider: .env and .aider.conf.yml in the home directory; those in the repository are only reported.

Source: aider.chat, "API Keys", "Config with .env" and "YAML config file" (2026-10).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nexo_sources import accounts, environment, reading, services
from nexo_sources.finding import Found, Skipped
from nexo_sources.reading import shown, word

_OPTIONS = {
    "openai-api-key": "OPENAI_API_KEY",
    "anthropic-api-key": "ANTHROPIC_API_KEY",
    "openai-api-base": "OPENAI_API_BASE",
    "openai-organization-id": "OPENAI_ORG_ID",
}

_NAMES = (".aider.conf.yml", ".env")
_MODELS = (".aider.model.settings.yml", ".aider.model.settings.yaml")


def find(file: Path | None = None) -> Found:
    """The accounts in both kinds of files; the two files in a directory are read together."""
    home = tuple(Path.home() / name for name in _NAMES)
    if file is not None:
        beside = tuple(file.parent / name for name in _NAMES)
        around = {} if beside == home else _merged(home)[0]
        return _together(beside if file in beside else (file,), around)
    here = [directory / name for directory in _directories() for name in _NAMES]
    theirs = [path for path in here if path not in home and _together((path,), {})]
    claims = environment.claims(_merged(theirs)[0])
    found = environment.claimed(_together(home, {}), claims, "a file of this directory")
    for path in (Path.home() / name for name in _MODELS):
        if path.is_file():
            reason = "addresses and keys of single models are not read; add them with: nexoctl add"
            found += Found((), (Skipped(path.name, shown(path), reason),))
    return found + accounts.in_this_directory(theirs, "aider")


def _directories() -> tuple[Path, ...]:
    here = reading.here()
    root = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here)
    return tuple(dict.fromkeys((root, here)))


def _together(paths: Iterable[Path], around: dict[str, str]) -> Found:
    """The accounts in the files, read together.

    Args:
        around: variables of other files; only the addresses among them are used.
    """
    variables, problems, place = _merged(paths)
    return problems + environment.from_variables(variables, place, around=around)


def _merged(paths: Iterable[Path]) -> tuple[dict[str, str], Found, str]:
    """The variables in the files, the problems, and the last file with variables; later files win."""
    variables: dict[str, str] = {}
    problems, place = Found(), ""
    for path in paths:
        own, problem = _options(path) if path.suffix in (".yml", ".yaml") else _dotenv(path)
        variables, problems = {**variables, **own}, problems + problem
        if own:
            place = shown(path)
    return variables, problems, place


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
    owner, _, model = word(config.get("model")).rpartition("/")
    service = services.by_word(owner or services.vendor(model))
    if service is not None and service.name in environment.MODEL_OF:
        variables[environment.MODEL_OF[service.name]] = model
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
