"""Continue (the editor extension): config.yaml, or the older config.json, in ~/.continue.

Source: docs.continue.dev, "config.yaml reference", "Model providers" and "Secrets" (2026-10).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexo_client.sources import environment, reading, services
from nexo_client.sources.finding import Finding, Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, tables, word
from nexo_client.terms import Provider
from nexo_client.types import Header

_NOT_OURS = {"continue-proxy": "Continue's own hub", "free-trial": "Continue's trial"}


def find(file: Path | None = None) -> Found:
    """The models, put together by provider, address and key."""
    home = Path.home() / ".continue"
    if file is not None:
        return _read(file)
    # With both, Continue reads the newer format alone.
    for name in ("config.yaml", "config.yml", "config.json"):
        if (home / name).is_file():
            return _read(home / name)
    return Found()


def _read(path: Path) -> Found:
    try:
        text = reading.text_of(path)
        if text is None:
            return Found()
        config = table(reading.json_of(text) if path.suffix == ".json" else reading.yaml_of(text))
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
        finding, key, variables, needs_key=provider is not Provider.OLLAMA and not headers, what=what
    )
