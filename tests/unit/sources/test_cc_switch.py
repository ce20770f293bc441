"""CC Switch as its versions wrote it: each schema, each program, and the SQL that its menu exports."""

import json
import sqlite3
from pathlib import Path

import pytest

from nexo_sources import cc_switch
from nexo_sources.finding import Part

GATEWAY = "https://gw.example.com"
KEY = "canary-of-the-gateway"
ENV = {"env": {"ANTHROPIC_BASE_URL": GATEWAY, "ANTHROPIC_AUTH_TOKEN": KEY}}

_COMMON = """id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL, settings_config TEXT NOT NULL,
    website_url TEXT, category TEXT, created_at INTEGER, sort_index INTEGER, notes TEXT, icon TEXT,
    icon_color TEXT"""
# As the file's history has them: the table `providers` of schema 0, 1, 2 to 3, and 4 to 17.
SCHEMAS = {
    "meta may be null": f"{_COMMON}, meta TEXT, is_current BOOLEAN NOT NULL DEFAULT 0",
    "meta": f"{_COMMON}, meta TEXT NOT NULL DEFAULT '{{}}', is_current BOOLEAN NOT NULL DEFAULT 0",
    "proxy target": f"{_COMMON}, meta TEXT NOT NULL DEFAULT '{{}}', is_current, is_proxy_target BOOLEAN",
    "failover": f"{_COMMON}, meta TEXT NOT NULL DEFAULT '{{}}', is_current, in_failover_queue BOOLEAN",
}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, and the person is elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    return tmp_path


def database(path: Path, columns: str, *rows: tuple[str, object, object]) -> Path:
    """A database with a row for each program, settings and meta."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE providers ({columns}, PRIMARY KEY (id, app_type))")
    connection.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT)")
    connection.execute("CREATE TABLE proxy_request_logs (request_id TEXT, body TEXT)")
    for number, (app, settings, meta) in enumerate(rows):
        connection.execute(
            "INSERT INTO providers (id, app_type, name, settings_config, meta) VALUES (?, ?, ?, ?, ?)",
            (
                str(number),
                app,
                f"It's {app}",
                json.dumps(settings, indent=1),
                None if meta is None else json.dumps(meta),
            ),
        )
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("columns", SCHEMAS.values(), ids=SCHEMAS)
def test_each_version_of_its_schema_is_read(home: Path, columns: str) -> None:
    meta = None if columns == SCHEMAS["meta may be null"] else {}
    database(home / ".cc-switch/cc-switch.db", columns, ("claude", ENV, meta))
    assert [(one.name, one.address, one.api_key) for one in cc_switch.find().findings] == [
        ("It's claude", GATEWAY, KEY)
    ]


GROK = f"""
[models]
default = "custom"
[model.custom]
model = "grok-4.5"
base_url = "{GATEWAY}/v1"
api_key = "{KEY}"
"""
PROGRAMS: list[tuple[str, object, str, str]] = [
    ("claude", ENV, "anthropic", GATEWAY),
    ("claude-desktop", ENV, "anthropic", GATEWAY),
    (
        "codex",
        {
            "auth": {"OPENAI_API_KEY": KEY},
            "config": f'model_provider = "x"\n[model_providers.x]\nbase_url = "{GATEWAY}/v1"\n',
        },
        "custom",
        f"{GATEWAY}/v1",
    ),
    ("gemini", {"env": {"GOOGLE_GEMINI_BASE_URL": GATEWAY, "GEMINI_API_KEY": KEY}}, "google", GATEWAY),
    ("grokbuild", {"config": GROK}, "custom", f"{GATEWAY}/v1"),
    (
        "opencode",
        {"npm": "@ai-sdk/anthropic", "options": {"baseURL": f"{GATEWAY}/v1", "apiKey": KEY}},
        "anthropic",
        GATEWAY,
    ),
    (
        "openclaw",
        {"baseUrl": f"{GATEWAY}/v1", "apiKey": KEY, "api": "openai-completions"},
        "custom",
        f"{GATEWAY}/v1",
    ),
    ("pi", {"baseUrl": GATEWAY, "apiKey": KEY, "api": "anthropic-messages"}, "anthropic", GATEWAY),
    (
        "hermes",
        {"base_url": f"{GATEWAY}/v1", "api_key": KEY, "api_mode": "codex_responses"},
        "custom",
        f"{GATEWAY}/v1",
    ),
    ("hermes", {"base_url": GATEWAY, "api_key": KEY, "api_mode": "anthropic_messages"}, "anthropic", GATEWAY),
]


@pytest.mark.parametrize(("app", "settings", "provider", "address"), PROGRAMS)
def test_each_program_that_it_configures_is_read(
    home: Path, app: str, settings: object, provider: str, address: str
) -> None:
    database(home / ".cc-switch/cc-switch.db", SCHEMAS["failover"], (app, settings, {}))
    (one,) = cc_switch.find().findings
    assert (one.provider.value, one.address, one.api_key) == (provider, address, KEY)


@pytest.mark.parametrize("app", ["opencode", "openclaw", "pi", "hermes"])
@pytest.mark.parametrize("there", ["address", "key"])
def test_half_of_a_provider_is_one(home: Path, app: str, there: str) -> None:
    settings = next(settings for name, settings, _, _ in PROGRAMS if name == app)
    text = json.dumps(settings)
    text = (
        text.replace(KEY, "")
        if there == "address"
        else text.replace(f"{GATEWAY}/v1", "").replace(GATEWAY, "")
    )
    database(home / ".cc-switch/cc-switch.db", SCHEMAS["failover"], (app, json.loads(text), {}))
    found = cc_switch.find()
    assert not found.findings
    assert [one.lacks for one in found.incomplete] == [Part.KEY if there == "address" else Part.ADDRESS]


@pytest.mark.parametrize(
    ("url", "speaks", "address"),
    [
        (f"{GATEWAY}/v1/chat/completions", "openai_chat", f"{GATEWAY}/v1"),
        (f"{GATEWAY}/v1/responses", "openai_responses", f"{GATEWAY}/v1"),
        (f"{GATEWAY}/v1/messages", "anthropic", GATEWAY),
        (f"{GATEWAY}/odd/place", "openai_chat", None),
        (f"{GATEWAY}/odd/place", "anthropic", None),
    ],
)
def test_a_whole_endpoint_is_brought_to_its_base_or_named(
    home: Path, url: str, speaks: str, address: str | None
) -> None:
    settings = {"env": {**ENV["env"], "ANTHROPIC_BASE_URL": url}}
    meta = {"apiFormat": speaks, "isFullUrl": True}
    database(home / ".cc-switch/cc-switch.db", SCHEMAS["failover"], ("claude", settings, meta))
    found = cc_switch.find()
    assert [one.address for one in found.findings] == ([address] if address else [])
    assert bool(found.skipped) is (address is None)


@pytest.mark.parametrize("speaks", ["openai_chat", "openai_responses", "gemini_native"])
def test_a_key_for_what_speaks_otherwise_is_not_anthropics(home: Path, speaks: str) -> None:
    settings = {"env": {"ANTHROPIC_AUTH_TOKEN": KEY}}
    database(
        home / ".cc-switch/cc-switch.db", SCHEMAS["failover"], ("claude", settings, {"apiFormat": speaks})
    )
    found = cc_switch.find()
    assert not found.findings
    assert [one.lacks for one in found.incomplete] == [Part.ADDRESS]


# -- what its menu exports


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def export(path: Path, source: Path, *, batches: bool, more: str = "") -> Path:
    """The database as CC Switch writes it: one INSERT a row, or many rows in one (since August 2026)."""
    connection = sqlite3.connect(source)
    lines = ["-- CC Switch SQLite 导出", "-- It's made by hand; user_version: 17", "PRAGMA foreign_keys=OFF;"]
    lines.append("BEGIN TRANSACTION;")
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    lines += [f"{sql};" for _, sql in tables]
    for name, _ in tables:
        cursor = connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - of this test
        columns = ", ".join(f'"{column[0]}"' for column in cursor.description)
        rows = [f"({', '.join(map(literal, row))})" for row in cursor]
        values = [",".join(rows)] if batches and rows else rows
        start = f'INSERT INTO "{name}" ({columns}) VALUES'
        lines += [f"{start} {value};" for value in values]
    connection.close()
    path.write_text("\n".join([*lines, more, "COMMIT;", "PRAGMA foreign_keys=ON;", ""]))
    return path


ROWS = tuple((app, settings, {}) for app, settings, _, _ in PROGRAMS)


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("columns", SCHEMAS.values(), ids=SCHEMAS)
def test_an_export_holds_what_the_database_holds(home: Path, columns: str, batches: bool) -> None:
    source = database(home / "x.db", columns, *ROWS)
    connection = sqlite3.connect(source)
    logs = [("1", "it's a log;\nINSERT INTO providers VALUES ('no');"), ("2", "';\n;")]
    connection.executemany("INSERT INTO proxy_request_logs VALUES (?, ?)", logs)
    connection.commit()
    connection.close()
    file = export(home / "cc-switch-export.sql", source, batches=batches)
    assert len(cc_switch.find(file).findings) == len(PROGRAMS)
    assert [one.identity for one in cc_switch.find(file).findings] == [
        one.identity for one in cc_switch.find(source).findings
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE '{home}/made.db' AS x;",
        "INSERT INTO providers (id) VALUES (load_extension('{home}/made.db'));",
        "INSERT INTO providers (id) VALUES (zeroblob(999999999));",
        "INSERT INTO providers (id) WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x FROM n) "
        "SELECT x FROM n;",
        "INSERT INTO settings (key) SELECT writefile('{home}/made.db', 'x');",
        "INSERT INTO settings (key) SELECT a.sql FROM sqlite_master a, sqlite_master b, sqlite_master c;",
        "CREATE TRIGGER t AFTER INSERT ON providers BEGIN SELECT 1; END;",
        "CREATE TABLE providers (",
        "VACUUM INTO '{home}/made.db';",
    ],
)
def test_an_export_runs_nothing_besides(home: Path, statement: str) -> None:
    source = database(home / "x.db", SCHEMAS["failover"], ("claude", ENV, {}))
    file = export(home / "x.sql", source, batches=True, more=statement.format(home=home))
    found = cc_switch.find(file)
    assert found
    assert not (home / "made.db").exists()
    assert len(found.findings) <= 1


@pytest.mark.parametrize("content", [b"", b"-- nothing", b"\xff\xfe", b"INSERT INTO providers VALUES (1);"])
def test_what_is_no_export_is_named(home: Path, content: bytes) -> None:
    (home / "x.sql").write_bytes(content)
    found = cc_switch.find(home / "x.sql")
    assert not found.findings
    assert len(found.skipped) == 1
