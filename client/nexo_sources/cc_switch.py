"""CC Switch: the database of the desktop program, or the JSON file that older versions wrote.

Source: github.com/farion1231/cc-switch, `database/schema.rs` (schemas 0 to 17 all have the columns that are
read), `database/backup.rs`, `provider.rs`, `app_config.rs`, `app_store.rs` of 21 Aug 2026. The table
`providers` has one row for each provider and program. `settings_config` is the text that CC Switch writes
into that program's configuration; `meta.apiFormat` is the API of the address behind CC Switch's proxy. The
universal providers are one JSON table in `settings`. In version 1, config.json had `providers` at the top
level. `app_paths.json` can name another directory. An export is the same database as SQL.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_sources import accounts, codex, environment, reading, sql_export
from nexo_sources.accounts import Account
from nexo_sources.finding import Finding, Found, Incomplete, Skipped, allowed_name
from nexo_sources.reading import Unreadable, shown, table, word


@frozen
class _Row:
    """A provider of one program, from any version of the database or the JSON file."""

    app: str
    name: str
    settings: object
    meta: dict[str, Any]

    @property
    def speaks(self) -> str:
        """The API of the address behind CC Switch's proxy for Claude Code; empty for Anthropic's API."""
        older = table(self.settings)
        compatible = str(older.get("openrouter_compat_mode", "")).strip().casefold() in ("true", "1")
        said = word(self.meta.get("apiFormat")) or word(older.get("api_format"))
        return said or ("openai_chat" if compatible else "")

    @property
    def whole_address(self) -> bool:
        """Whether the address is a complete endpoint, to which no path is added."""
        return self.meta.get("isFullUrl") is True


def find(file: Path | None = None) -> Found:
    """The providers of every program that CC Switch configures."""
    home = _directory()
    candidates = [file] if file else [home / "cc-switch.db", home / "config.json"]
    for path in candidates:
        # An upgrade leaves the older file behind with outdated contents.
        if path.is_file():
            return _read(path)
    return Found()


def _directory() -> Path:
    """The default directory, or the one that the user chose in CC Switch."""
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
        if path.suffix == ".sql":
            return _rows_of(sql_export.database_of(path), shown(path))
        return _database(path)
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))


def _database(path: Path) -> Found:
    wal = path.with_name(path.name + "-wal")
    # Without a write-ahead log the file is complete, and `immutable` keeps SQLite from creating other files.
    # With one, SQLite must read it, and uses the files that CC Switch has already created.
    live = wal.exists() and wal.stat().st_size > 0
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{'mode=ro' if live else 'immutable=1'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=2.0)
        connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error as error:
        raise _no_database(error) from None
    return _rows_of(connection, shown(path))


def _rows_of(connection: sqlite3.Connection, place: str) -> Found:
    """The providers in an open database. Closes the connection."""
    try:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM providers ORDER BY app_type, name").fetchall()
        universal = _universal(connection, place)
    except sqlite3.Error as error:
        raise _no_database(error) from None
    finally:
        connection.close()
    parsed = (
        _Row(str(row["app_type"]), str(row["name"]), settings, table(_json(row.get("meta"))))
        for row in map(dict, rows)
        for settings in [_json(row["settings_config"])]
    )
    return _all(parsed, place) + universal


def _no_database(error: sqlite3.Error) -> Unreadable:
    # SQLite's own text is left out, because it may quote a value.
    return Unreadable(f"it is not a readable database ({type(error).__name__})")


def _universal(connection: sqlite3.Connection, place: str) -> Found:
    try:
        row = connection.execute("SELECT value FROM settings WHERE key = 'universal_providers'").fetchone()
    except sqlite3.OperationalError:
        # Older versions have no universal providers.
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
    """As CC Switch does for Codex: add /v1 to an address without a path."""
    url = url.strip().rstrip("/")
    return url if "/" in url.partition("://")[2] else f"{url}/v1"


def _legacy_rows(path: Path) -> Iterator[_Row]:
    content = table(reading.json_of(reading.text_of(path) or ""))
    # Version 1 had the providers of Claude Code at the top.
    for app, part in {"claude": content, **content}.items():
        for provider in table(table(part).get("providers")).values():
            entry = table(provider)
            settings = entry.get("settingsConfig")
            name = word(entry.get("name")) or "unnamed"
            yield _Row(app, name, settings, table(entry.get("meta")))


def _json(text: object) -> object:
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return None


def _all(rows: Iterator[_Row], place: str) -> Found:
    found = Found()
    for row in rows:
        found += _one(row, f"{place}: {row.app}")
    return found


def _one(row: _Row, place: str) -> Found:
    def left_out(reason: str) -> Found:
        return Found((), (Skipped(row.name, place, reason),))

    if not isinstance(row.settings, dict):
        return left_out("its settings are not a JSON object")
    config = table(row.settings)
    if row.app in ("claude", "claude-desktop", "gemini"):
        variables = _texts(config.get("env"))
        if row.whole_address and not _endpoint(variables.get("ANTHROPIC_BASE_URL", ""), row.speaks):
            return left_out("its address is one endpoint, not the base of an API; add it with --base-url")
        found = _env(variables, row.speaks, place)
    elif row.app == "codex":
        found = _codex(config, place)
    elif row.app == "grokbuild":
        found = _grok(config, place)
    elif row.app in _PLAIN:
        found = _address(row.app, config, place)
    else:
        return left_out(f"Nexo does not support the connections of {row.app}")
    if not found:
        return left_out("it is the program's own login, not an API key")
    return _called(row.name, found)


# The path that each API adds to a base address. A complete endpoint that ends in it also gives the base.
_ENDPOINTS = {
    "": "/v1/messages",
    "anthropic": "/v1/messages",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
}


_SPEAKS = {"gemini_native": Provider.GOOGLE}


def _endpoint(url: str, speaks: str) -> bool:
    ending = _ENDPOINTS.get(speaks)
    return ending is not None and url.strip().rstrip("/").endswith(ending)


def _env(variables: dict[str, str], speaks: str, place: str) -> Found:
    url = variables.get("ANTHROPIC_BASE_URL", "")
    key = variables.get("ANTHROPIC_AUTH_TOKEN") or variables.get("ANTHROPIC_API_KEY", "")
    if url and speaks in ("openai_chat", "openai_responses"):
        return environment.from_variables(
            {"OPENAI_BASE_URL": _with_version(url), "OPENAI_API_KEY": key}, place
        )
    if not url and key and speaks not in ("", "anthropic"):
        rest = Finding(name="claude", place=place, provider=_SPEAKS.get(speaks, Provider.CUSTOM))
        return environment.without_address(rest, key, variables, "it has no address; add it with --base-url")
    if url and speaks == "gemini_native":
        return environment.from_variables({"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": key}, place)
    return environment.from_variables(variables, place)


def _grok(config: dict[str, Any], place: str) -> Found:
    """Grok Build: a TOML text with the models and the one in use."""
    try:
        settings = reading.toml_of(word(config.get("config")))
    except Unreadable as problem:
        return Found((), (Skipped("grok", place, str(problem)),))
    chosen = word(table(settings.get("models")).get("default"))
    entry = table(table(settings.get("model")).get(chosen))
    if not entry:
        return Found()
    variable = word(entry.get("env_key"))
    account = Account(
        name=word(entry.get("name")) or chosen,
        place=place,
        dialect="openai",
        url=word(entry.get("base_url")),
        key=word(entry.get("api_key")),
        variables=(variable,) if variable else (),
        model=word(entry.get("model")),
    )
    return accounts.found([account], reading.environment())


def _codex(config: dict[str, Any], place: str) -> Found:
    try:
        settings = reading.toml_of(word(config.get("config")))
    except Unreadable as problem:
        return Found((), (Skipped("codex", place, str(problem)),))
    return codex.from_settings(settings, table(config.get("auth")), place, one_account=True)


# The fields in which each of these programs keeps the address, the key and the dialect.
_PLAIN = {
    "opencode": ("baseURL", "apiKey", "npm"),
    "openclaw": ("baseUrl", "apiKey", "api"),
    "pi": ("baseUrl", "apiKey", "api"),
    "hermes": ("base_url", "api_key", "api_mode"),
}


def _address(app: str, config: dict[str, Any], place: str) -> Found:
    address, secret, dialect = _PLAIN[app]
    options = table(config.get("options")) if app == "opencode" else config
    url = word(options.get(address)) or word(options.get("baseUrl"))
    key, speaks = word(options.get(secret)), word(config.get(dialect))
    if not url and not key:
        return Found()
    if "bedrock" in speaks:
        reason = "Amazon Bedrock is reached with cloud credentials, not with an API key"
        return Found((), (Skipped(app, place, reason),))
    kind = next((name for name in ("anthropic", "google") if name in speaks), "openai")
    account = Account(
        name=kind,
        place=place,
        dialect=kind,
        url=url,
        key=key,
        headers=table(options.get("headers")),
        model=accounts.first_model(config.get("models")),
        # CC Switch always writes an address, so a key without one is for an unknown service.
        address_unknown="" if url else "it has no address",
    )
    return accounts.found([account], reading.environment())


def _texts(value: object) -> dict[str, str]:
    return {name: entry for name, entry in table(value).items() if isinstance(entry, str)}


def _called(name: str, found: Found) -> Found:
    return Found(
        tuple(replace(finding, name=allowed_name(name)) for finding in found.findings),
        tuple(
            replace(skipped, what=name, incomplete=_incomplete_called(name, skipped.incomplete))
            for skipped in found.skipped
        ),
    )


def _incomplete_called(name: str, incomplete: Incomplete | None) -> Incomplete | None:
    return incomplete and replace(incomplete, rest=replace(incomplete.rest, name=allowed_name(name)))
