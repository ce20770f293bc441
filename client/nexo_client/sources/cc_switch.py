"""CC Switch: the database of the desktop program, or the JSON file that older versions wrote.

Source: its schema (table `providers`, one row a provider and program; `settings_config` is what it writes
into the configuration of Claude Code, Codex or Gemini CLI; table `universal_providers`) as of schema 9.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nexo_client.sources import codex, environment, reading, services
from nexo_client.sources.finding import Finding, Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, word
from nexo_client.terms import Provider

_Row = tuple[str, str, object]


def find(file: Path | None = None) -> Found:
    """The providers of every program that CC Switch configures."""
    home = Path.home() / ".cc-switch"
    candidates = [file] if file else [home / "cc-switch.db", home / "config.json"]
    for path in candidates:
        # The older file stays behind after an upgrade, with what was true then.
        if path.is_file():
            return _read(path)
    return Found()


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
            rows = connection.execute(
                "SELECT app_type, name, settings_config FROM providers ORDER BY app_type, sort_index, name"
            ).fetchall()
            universal = _universal(connection, shown(path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        # Without the text: it may quote a value.
        raise Unreadable(f"it is no database that can be read ({type(error).__name__})") from None
    parsed = ((str(app), str(name), _json(settings)) for app, name, settings in rows)
    return _all(parsed, shown(path)) + universal


def _universal(connection: sqlite3.Connection, place: str) -> Found:
    try:
        rows = connection.execute(
            "SELECT name, provider_type, base_url, api_key FROM universal_providers ORDER BY sort_index, name"
        ).fetchall()
    except sqlite3.OperationalError:
        # Versions before schema 5 do not have them.
        return Found()
    found = Found()
    for name, _, url, key in rows:
        provider, preset, base_url, _ = environment.openai_like(str(url))
        finding = Finding(
            name=_name(str(name)),
            place=f"{place}: universal",
            provider=provider,
            preset=preset,
            base_url=base_url,
        )
        found += environment.one(finding, str(key), reading.environment())
    return found


def _legacy_rows(path: Path) -> Iterator[_Row]:
    content = table(reading.json_of(reading.text_of(path) or ""))
    for app in ("claude", "codex", "gemini"):
        for provider in table(table(content.get(app)).get("providers")).values():
            entry = table(provider)
            yield app, word(entry.get("name")) or "unnamed", entry.get("settingsConfig")


def _json(text: object) -> object:
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return None


def _all(rows: Iterator[_Row], place: str) -> Found:
    found = Found()
    for app, name, settings in rows:
        found += _one(app, name, settings, f"{place}: {app}")
    return found


def _one(app: str, name: str, settings: object, place: str) -> Found:
    if not isinstance(settings, dict):
        return Found((), (Skipped(name, place, "its settings are no JSON object"),))
    config = table(settings)
    if app in ("claude", "claude-desktop", "gemini"):
        found = environment.from_variables(_texts(config.get("env")), place)
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
