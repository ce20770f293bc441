"""Half of a configuration, a word for a key, a moved file: nothing is completed with a public host."""

import json
import os
import sqlite3
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_client.sources import aider, cc_switch, claude_code, codex, keys, litellm, llm
from nexo_client.sources.table import SOURCES, survey

GATEWAY = "https://gw.example.com"
KEY = "canary-of-the-gateway"
OFFLINE = [source for source in SOURCES if source.name != "servers"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, and the person is elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    return tmp_path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    "address", ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", "ANTHROPIC_API_HOST", "ANTHROPIC_ENDPOINT"]
)
def test_a_key_of_claude_code_does_not_pass_by_an_address_of_the_shell(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    write(home / ".claude/settings.json", {"env": {"ANTHROPIC_AUTH_TOKEN": KEY}})
    monkeypatch.setenv(address, GATEWAY)
    found = claude_code.find()
    assert all(one.address == GATEWAY for one in found.findings)
    assert found


@pytest.mark.parametrize(
    "address", ["OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_HOST", "OPENAI_PROXY_URL"]
)
@pytest.mark.parametrize("source", ["aider", "litellm", "llm"])
def test_no_key_of_a_file_passes_by_an_address_of_the_shell(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str, address: str
) -> None:
    write(home / ".env", f"OPENAI_API_KEY={KEY}\n")
    write(
        home / "litellm_config.yaml", f"model_list:\n- litellm_params: {{model: openai/x, api_key: {KEY}}}\n"
    )
    write(home / ".config/io.datasette.llm/keys.json", {"openai": KEY})
    monkeypatch.setenv(address, f"{GATEWAY}/v1")
    found = {"aider": aider, "litellm": litellm, "llm": llm}[source].find()
    assert all(one.address == f"{GATEWAY}/v1" for one in found.findings)
    assert found


def test_an_address_of_the_file_wins_over_the_shell(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".env", f"OPENAI_API_KEY={KEY}\nOPENAI_API_BASE={GATEWAY}/v1\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://other.example.com/v1")
    assert [one.address for one in aider.find().findings] == [f"{GATEWAY}/v1"]


def test_an_address_of_another_service_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".env", f"MISTRAL_API_KEY={KEY}\n")
    monkeypatch.setenv("OPENAI_BASE_URL", GATEWAY)
    assert [one.address for one in aider.find().findings] == ["https://api.mistral.ai/v1"]


def test_the_profile_of_codex_says_which_provider_gets_the_key(home: Path) -> None:
    write(
        home / ".codex/config.toml",
        'profile = "work"\nmodel = "a"\n[profiles.work]\nmodel_provider = "gw"\nmodel = "b"\n'
        f'[model_providers.gw]\nbase_url = "{GATEWAY}/v1"\nrequires_openai_auth = true\n',
    )
    write(home / ".codex/auth.json", {"OPENAI_API_KEY": KEY})
    assert [(one.address, one.model) for one in codex.find().findings] == [(f"{GATEWAY}/v1", "b")]


NO_KEYS = """
    op://v/i/f encrypted:BDx ENC[AES256_GCM,data:x] ref+vault://s/k vault:secret/data/x bws:1 doppler:x
    infisical://a keyring:a/b $(pass_x) !op_read `x` arn:aws:secretsmanager:eu:1:secret:x
    projects/p/secrets/s/versions/1 /run/secrets/openai ~/.keys/openai ./key ../key env:NAME {{vault.x}}
    ${X:-} ${X:?no} {env:X-} <key> [key] xxx XXXX sk-xxxx sk-ant-api03-xxxxxxxx sk-or-v1-REPLACE_ME REPLACE_ME
    replace-with-yours sk-ant-... sk-… insert-key-here change-me CHANGE_ME changeme your_api_key_here
    sk-your-key YOUR-TOKEN 填入 sk-填入你的密钥 00000000 ******** paste_key placeholder redacted
""".split()  # noqa: SIM905 - a list of words reads better


@pytest.mark.parametrize("text", [*NO_KEYS, "your key goes here", "op read op://v/i/f"])
def test_what_is_no_key_is_named_and_never_sent(text: str) -> None:
    key = keys.read(text, {})
    assert not key.value
    assert key.problem


LETTERS = string.ascii_letters + string.digits
PREFIXES = (
    "",
    "sk-",
    "sk-proj-",
    "sk-ant-api03-",
    "sk-or-v1-",
    "gsk_",
    "xai-",
    "AIza",
    "AQ.",
    "hf_",
    "nvapi-",
    "r8_",
)


@given(
    prefix=st.sampled_from(PREFIXES),
    body=st.text(LETTERS, min_size=24, max_size=80).filter(lambda body: len(set(body)) > 8),
    tail=st.sampled_from(["", "-_", "==", "+/", ".Ab1"]),
)
def test_a_key_that_a_machine_made_is_a_key(prefix: str, body: str, tail: str) -> None:
    # What a random source makes does not end in four equal letters; hypothesis does.
    body = body.rstrip(body[-1]) + "Zq" + tail
    assert keys.read(prefix + body, {}) == keys.Key(prefix + body)


@pytest.mark.parametrize("source", OFFLINE, ids=lambda source: source.name)
def test_a_removed_directory_hides_nothing_of_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, source: object
) -> None:
    write(home / ".claude/settings.json", {"env": {"ANTHROPIC_API_KEY": KEY}})
    write(home / ".env", f"MISTRAL_API_KEY={KEY}\n")
    before = survey([source])  # type: ignore[list-item]  # one of SOURCES
    gone = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert survey([source]) == before  # type: ignore[list-item]
    os.chdir("/")


# -- CC Switch in the forms that its versions wrote


def switch_database(path: Path, meta: object, settings: object, universal: object = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE providers (id, app_type, name, settings_config, meta)")
    connection.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT)")
    row = ("1", "claude", "One", json.dumps(settings), json.dumps(meta))
    connection.execute("INSERT INTO providers VALUES (?, ?, ?, ?, ?)", row)
    if universal is not None:
        connection.execute("INSERT INTO settings VALUES ('universal_providers', ?)", (json.dumps(universal),))
    connection.commit()
    connection.close()


ENV = {"ANTHROPIC_BASE_URL": GATEWAY, "ANTHROPIC_AUTH_TOKEN": KEY}


@pytest.mark.parametrize(
    ("meta", "settings", "provider", "address"),
    [
        ({}, {"env": ENV}, "anthropic", GATEWAY),
        ({"apiFormat": "anthropic"}, {"env": ENV}, "anthropic", GATEWAY),
        ({"apiFormat": "openai_chat"}, {"env": ENV}, "custom", f"{GATEWAY}/v1"),
        ({"apiFormat": "openai_responses"}, {"env": ENV}, "custom", f"{GATEWAY}/v1"),
        ({"apiFormat": "gemini_native"}, {"env": ENV}, "google", GATEWAY),
        ({}, {"env": ENV, "api_format": "openai_chat"}, "custom", f"{GATEWAY}/v1"),
        ({}, {"env": ENV, "openrouter_compat_mode": True}, "custom", f"{GATEWAY}/v1"),
    ],
)
def test_cc_switch_says_what_an_address_speaks(
    home: Path, meta: object, settings: object, provider: str, address: str
) -> None:
    switch_database(home / ".cc-switch/cc-switch.db", meta, settings)
    assert [(one.provider.value, one.address) for one in cc_switch.find().findings] == [(provider, address)]


@pytest.mark.parametrize("app", ["claude", "codex", "gemini"])
@pytest.mark.parametrize("half", ["baseUrl", "apiKey", ""])
def test_a_universal_provider_is_whole_or_named(home: Path, app: str, half: str) -> None:
    entry = {"name": "Uni", "apps": {app: True}, "baseUrl": GATEWAY, "apiKey": KEY} | (
        {half: ""} if half else {}
    )
    switch_database(home / ".cc-switch/cc-switch.db", {}, {"env": {}}, {"u": entry})
    found = cc_switch.find()
    assert [one.address.removesuffix("/v1") for one in found.findings] == ([] if half else [GATEWAY])
    assert ("Uni" in {one.what for one in found.skipped}) == bool(half)


def test_config_json_of_version_1_is_read(home: Path) -> None:
    provider = {"id": "1", "name": "First", "settingsConfig": {"env": ENV}}
    write(home / ".cc-switch/config.json", {"providers": {"1": provider}, "current": "1"})
    assert [(one.name, one.address) for one in cc_switch.find().findings] == [("First", GATEWAY)]


def test_a_moved_directory_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    write(
        home / ".local/share/com.ccswitch.desktop/app_paths.json",
        {"app_config_dir_override": "~/sync/switch"},
    )
    switch_database(home / "sync/switch/cc-switch.db", {}, {"env": ENV})
    assert [one.address for one in cc_switch.find().findings] == [GATEWAY]
