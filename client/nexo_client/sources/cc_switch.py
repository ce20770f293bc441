"""CC Switch: the database of the desktop program, or the JSON file that older versions wrote.

Source: github.com/farion1231/cc-switch, `database/schema.rs` (schema 17), `provider.rs`, `app_config.rs`,
`app_store.rs` of 21 Aug 2026. Table `providers` has one row a provider and program; `settings_config` is what
it writes into that program's configuration, `meta.apiFormat` what the address speaks behind its own proxy.
Universal providers are one JSON table in `settings`. config.json of version 1 had `providers` at the top.
`app_paths.json` names another directory.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nexo_client.sources import accounts, codex, environment, reading, services
from nexo_client.sources.finding import Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, word
from nexo_client.terms import Provider

_Row = tuple[str, str, object, str]


def find(file: Path | None = None) -> Found:
    """The providers of every program that CC Switch configures."""
    home = _directory()
    candidates = [file] if file else [home / "cc-switch.db", home / "config.json"]
    for path in candidates:
        # The older file stays behind after an upgrade, with what was true then.
        if path.is_file():
            return _read(path)
    return Found()


def _directory() -> Path:
    """The directory of its own, or the one that the person moved it to."""
    own = Path.home() / ".cc-switch"
    if sys.platform == "darwin":
        data = Path.home() / "Library/Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    paths, _ = accounts.settings_of(data / "com.ccswitch.desktop/app_paths.json", reading.json_of)
    chosen = word(paths.get("app_config_dir_override"))
    if chosen == "~" or chosen.startswith("~/"):
        chosen = str(Path.home()) + chosen[1:]
    return Path(chosen) if chosen and Path(chosen).is_dir() else own


def _read(path: Path) -> Found:
    try:
        if path.suffix == ".json":
            return _all(_legacy_rows(path), shown(path))
        return _database(path)
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))


def _database(path: Path) -> Found:
    wal = path.with_name(path.name + "-wal")
    # Without a log of pending changes nothing beside the file is needed, and SQLite then creates nothing.
    # With one, the reader must see it, and shares the files that the other program has made already.
    live = wal.exists() and wal.stat().st_size > 0
    uri = f"file:{quote(str(path.absolute()))}?{'mode=ro' if live else 'immutable=1'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=2.0)
        try:
            connection.execute("PRAGMA query_only = 1")
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM providers ORDER BY app_type, name").fetchall()
            universal = _universal(connection, shown(path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        # Without the text: it may quote a value.
        raise Unreadable(f"it is no database that can be read ({type(error).__name__})") from None
    parsed = (
        (str(row["app_type"]), str(row["name"]), settings, _format(settings, _json(dict(row).get("meta"))))
        for row in map(dict, rows)
        for settings in [_json(row["settings_config"])]
    )
    return _all(parsed, shown(path)) + universal


def _universal(connection: sqlite3.Connection, place: str) -> Found:
    try:
        row = connection.execute("SELECT value FROM settings WHERE key = 'universal_providers'").fetchone()
    except sqlite3.OperationalError:
        # Older versions do not have them.
        return Found()
    found = Found()
    for entry in map(table, table(_json(row[0])).values() if row else ()):
        url, key, apps = word(entry.get("baseUrl")), word(entry.get("apiKey")), table(entry.get("apps"))
        variables: dict[str, str] = {}
        if apps.get("claude"):
            variables |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key}
        if apps.get("codex"):
            variables |= {"OPENAI_BASE_URL": _with_version(url), "OPENAI_API_KEY": key}
        if apps.get("gemini"):
            variables |= {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": key}
        name = word(entry.get("name")) or "unnamed"
        if not url or not key:
            missing = "key" if url else "address"
            found += Found((), (Skipped(name, f"{place}: universal", f"it has no {missing}"),))
        else:
            found += _called(name, environment.from_variables(variables, f"{place}: universal"))
    return found


def _with_version(url: str) -> str:
    """As it does for Codex: a bare host gets /v1, a path is left as it is."""
    url = url.strip().rstrip("/")
    return url if "/" in url.partition("://")[2] else f"{url}/v1"


def _format(settings: object, meta: object) -> str:
    """What the address speaks, where CC Switch's own proxy stands before Claude Code; empty for its own."""
    said = word(table(meta).get("apiFormat"))
    if said:
        return said
    older = table(settings)
    compatible = str(older.get("openrouter_compat_mode", "")).strip().casefold() in ("true", "1")
    return word(older.get("api_format")) or ("openai_chat" if compatible else "")


def _legacy_rows(path: Path) -> Iterator[_Row]:
    content = table(reading.json_of(reading.text_of(path) or ""))
    # Version 1 had the providers of Claude Code at the top.
    for app, part in {"claude": content, **content}.items():
        for provider in table(table(part).get("providers")).values():
            entry = table(provider)
            settings = entry.get("settingsConfig")
            name = word(entry.get("name")) or "unnamed"
            yield app, name, settings, _format(settings, entry.get("meta"))


def _json(text: object) -> object:
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return None


def _all(rows: Iterator[_Row], place: str) -> Found:
    found = Found()
    for app, name, settings, speaks in rows:
        found += _one(app, name, settings, speaks, f"{place}: {app}")
    return found


def _one(app: str, name: str, settings: object, speaks: str, place: str) -> Found:
    if not isinstance(settings, dict):
        return Found((), (Skipped(name, place, "its settings are no JSON object"),))
    config = table(settings)
    if app in ("claude", "claude-desktop", "gemini"):
        found = _env(_texts(config.get("env")), speaks, place)
    elif app == "codex":
        found = _codex(config, place)
    elif app in ("opencode", "openclaw"):
        found = _address(app, config, place)
    else:
        return Found(
            (), (Skipped(name, place, f"connections of {app} are of a kind that Nexo does not know"),)
        )
    if not found:
        reason = "it is the program's own login, not an API key"
        return Found((), (Skipped(name, place, reason),))
    return _called(name, found)


def _env(variables: dict[str, str], speaks: str, place: str) -> Found:
    url = variables.get("ANTHROPIC_BASE_URL", "")
    key = variables.get("ANTHROPIC_AUTH_TOKEN") or variables.get("ANTHROPIC_API_KEY", "")
    if url and speaks in ("openai_chat", "openai_responses"):
        return environment.from_variables(
            {"OPENAI_BASE_URL": _with_version(url), "OPENAI_API_KEY": key}, place
        )
    if url and speaks == "gemini_native":
        return environment.from_variables({"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": key}, place)
    return environment.from_variables(variables, place)


def _codex(config: dict[str, Any], place: str) -> Found:
    try:
        settings = reading.toml_of(word(config.get("config")))
    except Unreadable as problem:
        return Found((), (Skipped("codex", place, str(problem)),))
    return codex.from_settings(settings, table(config.get("auth")), place)


def _address(app: str, config: dict[str, Any], place: str) -> Found:
    options = table(config.get("options")) if app == "opencode" else config
    url = word(options.get("baseURL") or options.get("baseUrl"))
    key = word(options.get("apiKey"))
    speaks = f"{config.get('npm', '')} {config.get('api', '')}"
    if not url and not key:
        return Found()
    if "anthropic" in speaks:
        variables = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": key}
        return environment.from_variables(variables, place)
    if "google" in speaks:
        base_url = services.normal_base_url(Provider.GOOGLE, url)
        return environment.from_variables({"GOOGLE_API_KEY": key, "GOOGLE_GEMINI_BASE_URL": base_url}, place)
    return environment.from_variables({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": key}, place)


def _texts(value: object) -> dict[str, str]:
    return {name: entry for name, entry in table(value).items() if isinstance(entry, str)}


def _called(name: str, found: Found) -> Found:
    from dataclasses import replace

    return Found(
        tuple(replace(finding, name=_name(name)) for finding in found.findings),
        tuple(replace(skipped, what=name) for skipped in found.skipped),
    )


def _name(text: str) -> str:
    return " ".join(text.split())[:60] or "unnamed"
