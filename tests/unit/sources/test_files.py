"""Every source in its real format: what is taken over, what is left out and why, and that nothing is touched.

The homes beside this file hold files as the programs write them, with canary keys in the place of keys.
"""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from nexo_sources import Found, aider, cc_switch, claude_code, codex, continue_dev, litellm, llm
from nexo_sources.table import SOURCES, survey
from sources_parts import told

HOMES = Path(__file__).parent / "homes"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, and the person is in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inhabit(home: Path, name: str) -> None:
    shutil.copytree(HOMES / name, home, dirs_exist_ok=True)


def reasons(found: Found) -> dict[str, str]:
    return {one.what: one.reason for one in found.skipped}


def test_claude_code_gateway(home: Path) -> None:
    inhabit(home, "claude-code")
    found = claude_code.find()
    assert told(found) == [
        (
            "gateway",
            "anthropic",
            "https://gateway.example.com/anthropic",
            "canary-claude-code-gateway",
            "claude-sonnet-5-5",
        )
    ]
    # The token travels as a bearer there; x-api-key would be refused.
    assert found.findings[0].draft().auth_scheme == "bearer"
    assert found.findings[0].place == "~/.claude/settings.json: ANTHROPIC_AUTH_TOKEN"


@pytest.mark.parametrize(("name", "word"), [("claude-login", "subscription"), ("claude-helper", "command")])
def test_claude_code_without_a_key_says_why(home: Path, name: str, word: str) -> None:
    inhabit(home, name)
    found = claude_code.find()
    assert not found.findings
    assert [word in one.reason for one in found.skipped] == [True]


@pytest.mark.parametrize("variable", claude_code.CLOUDS)
def test_claude_code_in_a_cloud_says_which(home: Path, variable: str) -> None:
    settings = {"env": {variable: "1", "ANTHROPIC_API_KEY": "sk-ant-canary-unused"}}
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text(json.dumps(settings))
    found = claude_code.find()
    assert not found.findings
    assert claude_code.CLOUDS[variable] in reasons(found)["claude code"]


def test_codex_providers_and_auth(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inhabit(home, "codex")
    monkeypatch.setenv("CORP_LLM_KEY", "canary-corp")
    found = codex.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.example.com/v1", "canary-corp", "gpt-5.6"),
        ("router", "openrouter", "https://openrouter.ai/api/v1", "sk-or-v1-canary-codex-router", ""),
        ("local", "custom", "http://localhost:8080/v1", "", ""),
        ("openai", "openai", "https://api.openai.com/v1", "sk-proj-canary-codex-auth", ""),
    ]
    assert [header.name for header in found.findings[0].headers] == ["X-Team"]
    assert reasons(found) == {
        "vaulted": "its key comes from a command; add it with nexoctl add vaulted --provider custom "
        "--base-url https://vaulted.example.com/v1 "
        "--api-key-ref 'command:/usr/local/bin/fetch-token --audience codex'",
        "absent": "its key is in the variable CANARY_ABSENT_KEY, which is not set here",
    }


def test_codex_login_is_named_not_taken(home: Path) -> None:
    inhabit(home, "codex-login")
    found = codex.find()
    assert not found.findings
    assert "ChatGPT login" in reasons(found)["codex login"]


def test_llm_keys_and_models(home: Path) -> None:
    inhabit(home, "llm")
    found = llm.find()
    assert told(found) == [
        ("llm", "custom", "https://llm.example.com/v1", "canary-llm-gateway", "large-2026"),
        ("local-8080", "custom", "http://localhost:8080/v1", "", "orca-mini"),
        ("openai", "openai", "https://api.openai.com/v1", "sk-proj-canary-llm-openai", ""),
        ("google", "google", "https://generativelanguage.googleapis.com", "AQ.canary-llm-gemini", ""),
    ]
    assert reasons(found) == {
        "nameless": "its key 'missing-key' is not in keys.json",
        "diary": "nothing says which provider the key is for",
    }


def test_aider_files(home: Path) -> None:
    inhabit(home, "aider")
    found = aider.find()
    assert {(name, key) for name, _, _, key, _ in told(found)} == {
        ("llm", "sk-canary-aider-openai"),
        ("openrouter", "sk-or-v1-canary-aider-router"),
        ("deepseek", "canary-aider-deepseek"),
        ("anthropic", "sk-ant-api03-canary-aider-anthropic"),
        ("google", "AQ.canary-aider-gemini"),
        ("mistral", "canary-aider-mistral"),
        ("xai", "xai-canary-aider"),
    }
    assert reasons(found) == {"groq": "its key is a placeholder"}


def test_continue_reads_comments_in_its_older_file(home: Path) -> None:
    """Public files have them: Continue parses with comments allowed."""
    (home / ".continue").mkdir()
    (home / ".continue/config.json").write_text(
        '{\n  // chat\n  "models": [{"title": "Coder", "provider": "ollama", "model": "m"}], /* none */\n}\n'
    )
    found = continue_dev.find()
    assert [one[0] for one in told(found)] == ["ollama"]
    assert not found.skipped


def test_what_several_models_of_one_account_lack_is_asked_for_once(home: Path) -> None:
    (home / ".continue").mkdir()
    (home / ".continue/config.yaml").write_text(
        "common: &common {provider: openrouter, apiKey: '${OPENROUTER_API_KEY}'}\n"
        "models:\n"
        "  - {name: one, model: a, <<: *common}\n"
        "  - {name: two, model: b, <<: *common}\n"
        "  - {name: three, provider: openai, model: c, apiKey: '${CORP_KEY}'}\n"
    )
    incomplete = continue_dev.find().merged().incomplete
    assert len(incomplete) == 2
    assert incomplete[0].rest.model == "a"


def test_continue_yaml(home: Path) -> None:
    inhabit(home, "continue")
    found = continue_dev.find()
    assert told(found) == [
        (
            "anthropic",
            "anthropic",
            "https://api.anthropic.com",
            "sk-ant-api03-canary-continue-anthropic",
            "claude-sonnet-5-5",
        ),
        ("mistral", "mistral", "https://api.mistral.ai/v1", "canary-continue-mistral", "codestral-latest"),
        ("llm", "custom", "https://llm.example.com/v1", "canary-continue-gateway", "large-2026"),
        ("ollama", "ollama", "http://192.168.1.20:11434", "", "llama3.1:8b"),
    ]
    assert set(reasons(found)) == {"In the cloud", "Secret that nobody stored", "unnamed"}
    assert "cloud credentials" in reasons(found)["In the cloud"]


def test_continue_json_of_older_versions(home: Path) -> None:
    inhabit(home, "continue-json")
    found = continue_dev.find()
    assert told(found) == [
        ("openai", "openai", "https://api.openai.com/v1", "sk-proj-canary-continue-json", "gpt-5.6"),
        ("local-1234", "lmstudio", "http://localhost:1234/v1", "", "AUTODETECT"),
        ("azure", "azure", "https://res.openai.azure.com/openai/v1", "canary-continue-azure", ""),
    ]
    assert "trial" in reasons(found)["Trial"]


def test_litellm_services_and_the_proxy_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inhabit(home, "litellm")
    monkeypatch.setenv("CORP_LLM_KEY", "canary-corp")
    found = litellm.find()
    assert told(found) == [
        ("llm", "custom", "https://llm.example.com/v1", "canary-corp", "gpt-5.6"),
        (
            "anthropic",
            "anthropic",
            "https://api.anthropic.com",
            "sk-ant-api03-canary-litellm-anthropic",
            "claude-sonnet-5-5",
        ),
        ("azure", "azure", "https://my-endpoint.openai.azure.com/openai/v1", "canary-litellm-azure", ""),
        ("ollama", "ollama", "http://192.168.1.20:11434", "", "llama3.1"),
        ("litellm", "litellm", "http://127.0.0.1:4000/v1", "sk-canary-litellm-master", ""),
    ]
    assert set(reasons(found)) == {"aws", "unset", "odd"}


def test_a_config_file_of_another_program_is_not_taken_for_litellm(home: Path) -> None:
    (home / "config.yaml").write_text("models:\n  - name: x\n    apiKey: canary\n")
    assert litellm.find() == Found()


CC_SWITCH = (
    (
        "claude",
        "Gateway",
        {"env": {"ANTHROPIC_BASE_URL": "https://gw.example.com", "ANTHROPIC_API_KEY": "canary-1"}},
    ),
    ("claude", "Claude Official", {"env": {}}),
    (
        "codex",
        "Router",
        {
            "auth": {"OPENAI_API_KEY": "canary-2"},
            "config": 'model_provider = "r"\nmodel = "m"\n[model_providers.r]\nname = "R"\n'
            'base_url = "https://router.example.com/v1"\nrequires_openai_auth = true\n',
        },
    ),
    ("gemini", "Gemini", {"env": {"GEMINI_API_KEY": "canary-3"}, "config": {}}),
    (
        "opencode",
        "Open",
        {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": "https://oc.example.com/v1", "apiKey": "canary-4"},
            "models": {},
        },
    ),
    (
        "openclaw",
        "Claw",
        {"baseUrl": "https://claw.example.com/v1", "apiKey": "canary-5", "api": "openai-completions"},
    ),
    ("hermes", "New program", {"token": "canary-6"}),
)


def make_cc_switch(home: Path, *, wal: bool) -> sqlite3.Connection:
    path = home / ".cc-switch" / "cc-switch.db"
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    if wal:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        """
        CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL,
            settings_config TEXT NOT NULL, website_url TEXT, category TEXT, created_at INTEGER,
            sort_index INTEGER, notes TEXT, icon TEXT, icon_color TEXT, meta TEXT NOT NULL DEFAULT '{}',
            is_current BOOLEAN NOT NULL DEFAULT 0, in_failover_queue BOOLEAN NOT NULL DEFAULT 0,
            PRIMARY KEY (id, app_type));
        CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT);
        """
    )
    for number, (app, name, settings) in enumerate(CC_SWITCH):
        connection.execute(
            "INSERT INTO providers (id, app_type, name, settings_config, sort_index) VALUES (?, ?, ?, ?, ?)",
            (str(number), app, name, json.dumps(settings), number),
        )
    everywhere = {
        "id": "u",
        "name": "Everywhere",
        "providerType": "newapi",
        "apps": {"claude": False, "codex": True, "gemini": False},
        "baseUrl": "https://uni.example.com",
        "apiKey": "canary-7",
        "models": {},
    }
    connection.execute(
        "INSERT INTO settings VALUES ('universal_providers', ?)", (json.dumps({"u": everywhere}),)
    )
    connection.commit()
    return connection


@pytest.mark.parametrize("wal", [False, True], ids=["closed", "in use by the program"])
def test_cc_switch_database(home: Path, wal: bool) -> None:
    connection = make_cc_switch(home, wal=wal)
    if not wal:
        connection.close()
    before = state_of(home)
    found = cc_switch.find()
    assert state_of(home) == before
    connection.close()
    assert told(found) == [
        ("Gateway", "anthropic", "https://gw.example.com", "canary-1", ""),
        ("Router", "custom", "https://router.example.com/v1", "canary-2", "m"),
        ("Gemini", "google", "https://generativelanguage.googleapis.com", "canary-3", ""),
        ("Claw", "custom", "https://claw.example.com/v1", "canary-5", ""),
        ("Open", "custom", "https://oc.example.com/v1", "canary-4", ""),
        ("Everywhere", "custom", "https://uni.example.com/v1", "canary-7", ""),
    ]
    assert set(reasons(found)) == {"Claude Official", "New program"}


def test_cc_switch_file_of_older_versions(home: Path) -> None:
    inhabit(home, "cc-switch-json")
    found = cc_switch.find()
    assert told(found) == [
        ("Gateway", "anthropic", "https://gateway.example.com", "canary-ccs-claude", ""),
        ("Router", "custom", "https://router.example.com/v1", "canary-ccs-codex", "m"),
    ]
    assert "own login" in reasons(found)["Claude Official"]


# -- all of them together


def state_of(home: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its time, size and content, but for what SQLite itself maps into memory."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
        for path in home.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def test_a_full_home_is_read_without_a_trace_and_shows_no_key(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("claude-code", "codex", "llm", "aider", "continue", "litellm"):
        inhabit(home, name)
    make_cc_switch(home, wal=False).close()
    before = state_of(home)
    results = survey([source for source in SOURCES if source.name != "servers"])
    assert state_of(home) == before
    assert {source.name for source, _ in results} == {
        *("claude-code", "codex", "llm", "aider", "continue", "litellm", "cc-switch")
    }
    findings = [finding for _, found in results for finding in found.findings]
    assert len({finding.identity for finding in findings}) == len(findings)
    said = (
        repr(results) + "".join(repr(finding.draft()) for finding in findings) + "".join(capsys.readouterr())
    )
    assert "canary-" not in said.replace("~/canary", "")


BROKEN = {
    claude_code: ".claude/settings.json",
    codex: ".codex/config.toml",
    llm: ".config/io.datasette.llm/keys.json",
    aider: ".aider.conf.yml",
    continue_dev: ".continue/config.yaml",
    litellm: "litellm_config.yaml",
    cc_switch: ".cc-switch/cc-switch.db",
}


@pytest.mark.parametrize("module", BROKEN, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize(
    "content",
    [b'model_list: {"key": "canary-broken\n\t- [ = ', b"\xff\xfe canary-broken model_list", b"[" * 100_000],
    ids=["nonsense", "not text", "nested"],
)
def test_a_broken_file_is_named_and_never_quoted(home: Path, module: object, content: bytes) -> None:
    path = home / BROKEN[module]  # type: ignore[index]  # the keys are modules
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = module.find()  # type: ignore[attr-defined]  # every source has it
    assert not found.findings
    if content.startswith(b"[[") and module is litellm:
        # Nothing in it looks like LiteLLM's.
        assert found == Found()
        return
    assert [one.place.endswith(path.name) for one in found.skipped] == [True]
    assert "canary" not in repr(found)


def test_a_file_that_may_not_be_read_is_named(home: Path) -> None:
    path = home / ".codex" / "auth.json"
    path.mkdir(parents=True)
    assert "can't be read" in reasons(codex.find())["auth.json"]


def test_without_the_yaml_reader_one_sentence_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inhabit(home, "continue")
    monkeypatch.setitem(sys.modules, "yaml", None)
    found = continue_dev.find()
    assert reasons(found) == {
        "config.yaml": "reading YAML needs one more package: pip install 'nexo-connections[import]'"
    }
