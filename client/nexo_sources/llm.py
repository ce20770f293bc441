"""The `llm` command: keys.json and extra-openai-models.yaml in its directory.

Source: the package itself (`llm keys path`, "Adding more OpenAI models" in its documentation). Keys are
stored under names that the user or a plugin chose; `services` has the names of plugins among its words.
"""

import os
import sys
from pathlib import Path

from nexo_client.types import Header
from nexo_sources import environment, reading, services
from nexo_sources import keys as keys_of
from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.reading import Unreadable, shown, table, tables, word


def directory() -> Path:
    """The directory of `llm`'s files."""
    chosen = os.environ.get("LLM_USER_PATH")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/io.datasette.llm"
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "io.datasette.llm"


def find(file: Path | None = None) -> Found:
    """Stored keys, and added servers with the OpenAI dialect.

    Args:
        file: the directory, or a file in it.
    """
    place = (file if file.is_dir() else file.parent) if file else directory()
    keys, found = _keys(place / "keys.json")
    models, used = _extra_models(place / "extra-openai-models.yaml", keys)
    found += models
    for name, key in keys.items():
        service = services.by_word(name)
        where = f"{shown(place / 'keys.json')}: {name}"
        if service is not None and service.base_url:
            finding = Finding(
                name=service.name, place=where, provider=service.provider, preset=service.preset
            )
            if beside := environment.address_of(service, reading.addresses()):
                reason = f"{beside} may set its address; add it with --base-url"
                found += environment.without_address(finding, key, keys_of.NOT_ASKED, reason, what=name)
            else:
                found += environment.one(finding, key, keys_of.NOT_ASKED)
        elif name not in used:
            found += Found((), (Skipped(name, where, "nothing says which provider the key is for"),))
    return found


def _keys(path: Path) -> tuple[dict[str, str], Found]:
    try:
        text = reading.text_of(path)
        entries = table(reading.json_of(text)) if text is not None else {}
    except Unreadable as problem:
        return {}, Found((), (Skipped("keys.json", shown(path), str(problem)),))
    return {name: key for name, key in entries.items() if isinstance(key, str) and name != "// Note"}, Found()


def _extra_models(path: Path, keys: dict[str, str]) -> tuple[Found, set[str]]:
    found, used = Found(), set[str]()
    try:
        text = reading.text_of(path)
        models = list(tables(reading.yaml_of(text))) if text is not None else []
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),)), used
    for model in models:
        url = word(model.get("api_base"))
        if not url:
            continue
        key_name = word(model.get("api_key_name"))
        used.add(key_name)
        what = word(model.get("model_id")) or "unnamed"
        where = f"{shown(path)}: {what}"
        if word(model.get("api_type")) == "azure":
            found += environment.azure(url, keys.get(key_name, ""), reading.environment(), where)
            continue
        provider, preset, base_url, name = environment.openai_like(url)
        headers = table(model.get("headers"))
        finding = Finding(
            name=name,
            place=where,
            provider=provider,
            preset=preset,
            base_url=base_url,
            headers=tuple(Header(header, str(value)) for header, value in headers.items()),
            model=word(model.get("model_name")),
        )
        if key_name and key_name not in keys:
            found += Found((), (Skipped(what, where, f"its key '{key_name}' is not in keys.json"),))
            continue
        found += environment.one(finding, keys.get(key_name, ""), reading.environment(), needs_key=False)
    return found, used
