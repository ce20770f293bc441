"""Continue (the editor extension): config.yaml, or the older config.json, in ~/.continue.

Source: docs.continue.dev, "config.yaml reference", "Model providers" and "Secrets" (2026-10).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexo.connections.terms import Provider
from nexo_client.types import Header
from nexo_sources import accounts, environment, reading, services
from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable, shown, table, tables, word

_NOT_OURS = {"continue-proxy": "Continue's own hub", "free-trial": "Continue's trial"}

_SECRET = re.compile(r"\$\{\{\s*(?:secrets|inputs)\.(?:[\w./-]+/)?([A-Za-z_]\w*)\s*\}\}")


def _home() -> Path:
    return Path(os.environ.get("CONTINUE_GLOBAL_DIR") or Path.home() / ".continue")


def own_file() -> Path:
    """The file that Continue uses; if both formats exist, it reads only the newer one."""
    files = [_home() / name for name in ("config.yaml", "config.yml", "config.json")]
    return next((path for path in files if path.is_file()), files[0])


def find(file: Path | None = None) -> Found:
    """The models, grouped by provider, address and key."""
    home = _home()
    if file is not None:
        return _read(file)
    theirs = accounts.in_this_directory(_of_this_directory(home), "continue")
    own = own_file()
    return (_read(own) if own.is_file() else Found()) + theirs


def _of_this_directory(home: Path) -> list[Path]:
    """The files that Continue reads in a workspace: model blocks, and a file that overrides the user's."""
    here = reading.here()
    directory = here / ".continue"
    blocks = [] if directory == home else [*directory.glob("models/*.y*ml"), *directory.glob("config.y*ml")]
    return sorted(path for path in (*blocks, here / ".continuerc.json") if path.is_file())


def _read(path: Path) -> Found:
    try:
        text = reading.text_of(path)
        if text is None:
            return Found()
        config = table(loose_json_of(text) if path.suffix == ".json" else reading.yaml_of(text))
        secrets = reading.variables_of(reading.text_of(path.parent / ".env") or "")
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))
    variables = {**reading.environment(), **secrets}
    found = Found()
    for model in _models(config):
        found += _model(model, variables, shown(path))
    return found


def _models(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from tables(config.get("models"))
    for single in ("tabAutocompleteModel", "embeddingsProvider", "reranker"):
        value = config.get(single)
        yield from tables(value if isinstance(value, list) else [value])


def _model(entry: dict[str, Any], variables: dict[str, str], place: str) -> Found:
    what = word(entry.get("name")) or word(entry.get("title")) or word(entry.get("model")) or "unnamed"
    place = f"{place}: {what}"
    provider_word = word(entry.get("provider")).casefold()
    if "uses" in entry or not provider_word:
        return Found((), (Skipped(what, place, "it is a block from Continue's hub; its key is kept there"),))
    if provider_word in services.CLOUDS:
        reason = f"{services.CLOUDS[provider_word]} is reached with cloud credentials, not with an API key"
        return Found((), (Skipped(what, place, reason),))
    if provider_word in _NOT_OURS or provider_word == "transformers.js":
        whose = _NOT_OURS.get(provider_word, "a model inside the editor")
        reason = f"{whose} has no key and no address of its own"
        return Found((), (Skipped(what, place, reason),))
    url = word(entry.get("apiBase"))
    service = services.by_word(provider_word)
    if service is None and not url:
        return Found((), (Skipped(what, place, f"Nexo knows no service '{provider_word}'"),))
    key = word(entry.get("apiKey"))
    if service is not None and service.name == "azure":
        return environment.azure(url, key, variables, place)
    if service is None or (url and service.provider in (Provider.OPENAI, Provider.CUSTOM)):
        provider, preset, base_url, name = environment.openai_like(url)
        if service is not None and service.preset and not preset:
            preset = service.preset
    else:
        provider, preset, name = service.provider, service.preset, service.name
        base_url = services.normal_base_url(provider, url) if url else ""
    options = table(entry.get("requestOptions"))
    headers = table(options.get("headers"))
    finding = Finding(
        name=name,
        place=place,
        provider=provider,
        preset=preset,
        base_url="" if base_url == services.default_base_url(provider, preset) else base_url,
        headers=tuple(Header(header, str(value)) for header, value in headers.items()),
        model=word(entry.get("model")),
    )
    return environment.one(
        finding,
        key,
        variables,
        needs_key=provider is not Provider.OLLAMA and not headers,
        what=what,
        syntax=_SECRET,
    )
