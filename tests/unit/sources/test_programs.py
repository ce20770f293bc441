"""Programs that keep address, key and model in words of their own: what is taken, what is named and why."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexo_sources import (
    Found,
    aichat,
    cline,
    codex,
    crush,
    droid,
    elsewhere,
    fabric,
    gemini_cli,
    goose,
    gptme,
    hermes,
    librechat,
    mods,
    openclaw,
    opencode,
    pi,
    project,
    qwen_code,
    shell_gpt,
    zed,
)
from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable
from nexo_sources.table import named

KEY = "canary-of-a-program"
OTHER = "canary-of-another-place"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, with an empty directory in it that the person is in, and nothing in the shell."""
    for name in list(os.environ):
        if name.endswith(("_KEY", "_BASE_URL", "_HOST", "_HOME", "_DIR")) or name.startswith(
            ("XDG_", "GOOSE_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def told(found: Found) -> list[tuple[str, str, str, str, str]]:
    """Name, service, address, key and model of each finding."""
    return [
        (one.name, one.preset or one.provider.value, one.address, one.api_key, one.model)
        for one in found.merged().findings
    ]


def reasons(found: Found) -> dict[str, str]:
    return {one.what: one.reason for one in found.skipped}


# -- OpenCode


def test_opencode_merges_its_files_and_takes_keys_of_its_logins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_KEY", KEY)
    write(
        home / ".config/opencode/opencode.json",
        {
            "model": "corp/large",
            "provider": {
                "corp": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {
                        "baseURL": "https://llm.corp.example/v1",
                        "apiKey": "{env:CORP_KEY}",
                        "headers": {"X-Team": "{env:CORP_KEY}-blue"},
                    },
                    "models": {"small": {}},
                },
                "anthropic": {"options": {"baseURL": "https://gateway.example/anthropic/v1"}},
                "deepseek": {"models": {"deepseek-chat": {}}},
            },
        },
    )
    write(
        home / ".config/opencode/opencode.jsonc",
        '{ // of this computer\n "disabled_providers": ["groq",],\n'
        ' "provider": {"groq": {"options": {"apiKey": "x"}}} }',
    )
    write(
        home / ".local/share/opencode/auth.json",
        {
            "anthropic": {"type": "api", "key": OTHER},
            "openrouter": {"type": "api", "key": OTHER},
            "github-copilot": {"type": "oauth", "refresh": "r", "access": "a", "expires": 0},
        },
    )
    found = opencode.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        # The key of the login goes where the configuration says that provider is, and nowhere else.
        ("anthropic", "anthropic", "https://gateway.example/anthropic", OTHER, ""),
        ("openrouter", "openrouter", "https://openrouter.ai/api/v1", OTHER, ""),
    ]
    assert [(one.name, one.value) for one in found.findings[0].headers] == [("X-Team", f"{KEY}-blue")]
    assert reasons(found) == {"github-copilot": "it is a login of OpenCode, not an API key"}


def test_opencode_takes_a_key_from_the_one_variable_of_a_provider(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER)
    options = {"baseURL": "https://llm.corp.example/v1"}
    package = {"npm": "@ai-sdk/openai-compatible", "options": options}
    providers = {
        "one": {**package, "env": ["CORP_KEY"]},
        "two": {**package, "env": ["CORP_KEY", "OTHER_KEY"]},
        "odd": {**package, "env": [1]},
    }
    path = write(home / ".config/opencode/opencode.json", {"provider": providers})
    assert [(one.name, one.api_key) for one in opencode.find().findings] == [("one", KEY)]
    assert not opencode.find(path).findings


def test_opencode_leaves_what_it_cannot_have_where_it_is(home: Path) -> None:
    write(
        home / ".config/opencode/opencode.json",
        {
            "provider": {
                "filed": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": "https://llm.example/v1", "apiKey": "{file:~/.secrets/key}"},
                },
                "cloud": {"npm": "@ai-sdk/amazon-bedrock", "options": {"region": "eu-west-1"}},
                "unknown-to-us": {"options": {"apiKey": KEY}},
                "absent": {"options": {"baseURL": "https://llm.example/v1", "apiKey": "{env:NOT_SET}"}},
            }
        },
    )
    found = opencode.find()
    assert not found.findings
    assert reasons(found) == {
        "filed": "its key is fetched from elsewhere; to leave it there: nexoctl add filed --provider custom "
        f"--base-url https://llm.example/v1 --api-key-ref file:{home}/.secrets/key",
        "cloud": "it speaks through @ai-sdk/amazon-bedrock, which is not supported",
        "unknown-to-us": "only the program knows its address; add it by hand with --base-url",
        "absent": "its key is in the variable NOT_SET, which is not set here",
    }


# -- Codex


def test_codex_looks_into_its_env_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_KEY", "of the shell")
    write(
        home / ".codex/config.toml",
        '[model_providers.corp]\nbase_url = "https://llm.corp.example/v1"\nenv_key = "CORP_KEY"\n',
    )
    write(home / ".codex/auth.json", {"OPENAI_API_KEY": OTHER})
    write(home / ".codex/.env", f"CORP_KEY={KEY}\nOPENAI_BASE_URL=https://gateway.example/v1\n")
    assert told(codex.find()) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, ""),
        ("gateway", "custom", "https://gateway.example/v1", OTHER, ""),
    ]


@pytest.mark.parametrize(
    "line", ['env_http_headers = { "api-key" = "AZ" }', f'http_headers = {{ "API-Key" = "{KEY}" }}']
)
def test_codex_the_key_of_azure_may_stand_in_a_header(
    home: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("AZ", KEY)
    url = "https://mine.openai.azure.com/openai"
    write(home / ".codex/config.toml", f'[model_providers.azure]\nbase_url = "{url}"\n{line}\n')
    assert told(codex.find()) == [("azure", "azure", "https://mine.openai.azure.com/openai/v1", KEY, "")]


# -- Gemini CLI


def test_gemini_cli_takes_its_key_its_address_and_its_model(home: Path) -> None:
    write(
        home / ".gemini/.env",
        f"GEMINI_API_KEY={KEY}\nGOOGLE_GEMINI_BASE_URL=https://gateway.example/v1beta\n",
    )
    write(home / ".gemini/settings.json", '{/* mine */ "model": {"name": "gemini-3-pro"},}')
    assert told(gemini_cli.find()) == [("google", "google", "https://gateway.example", KEY, "gemini-3-pro")]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"security": {"auth": {"selectedType": "oauth-personal"}}}, "login with Google"),
        ({"selectedAuthType": "vertex-ai"}, "Vertex AI"),
        ({"security": {"auth": {"selectedType": "gemini-api-key"}}}, "keyring"),
    ],
)
def test_gemini_cli_names_its_logins(home: Path, settings: dict[str, Any], word: str) -> None:
    write(home / ".gemini/settings.json", settings)
    found = gemini_cli.find()
    assert not found.findings
    assert word in reasons(found)["google"]


def test_gemini_cli_of_a_clone_is_named_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "")
    write(home / ".env", f"GEMINI_API_KEY={KEY}\n")
    local = write(
        home / "clone/.env", f"GEMINI_API_KEY={OTHER}\nGOOGLE_GEMINI_BASE_URL=https://evil.example\n"
    )
    found = gemini_cli.find()
    assert told(found) == [("google", "google", "https://generativelanguage.googleapis.com", KEY, "")]
    assert "--file .env" in reasons(found)[".env"]
    assert told(gemini_cli.find(local)) == [("google", "google", "https://evil.example", OTHER, "")]


# -- Qwen Code


def test_qwen_code_has_models_with_addresses_and_keys_in_variables(home: Path) -> None:
    write(
        home / ".qwen/settings.json",
        {
            "$version": 3,
            "env": {"DASHSCOPE_API_KEY": KEY, "CORP_API_KEY": "overridden"},
            "model": {"name": "qwen3-max"},
            "modelProviders": {
                "openai": [
                    {"id": "q1", "baseUrl": "https://dashscope.example/v1", "envKey": "DASHSCOPE_API_KEY"},
                    {
                        "id": "qwen3-max",
                        "baseUrl": "https://dashscope.example/v1",
                        "envKey": "DASHSCOPE_API_KEY",
                    },
                    {
                        "id": "m",
                        "baseUrl": "https://llm.corp.example/v1",
                        "envKey": "CORP_API_KEY",
                        "generationConfig": {"customHeaders": {"X-Team": "blue"}},
                    },
                ],
                "anthropic": {"protocol": "anthropic", "models": [{"id": "claude", "envKey": "ABSENT_KEY"}]},
            },
        },
    )
    write(home / ".qwen/.env", f"CORP_API_KEY={OTHER}\n")
    found = qwen_code.find()
    assert told(found) == [
        ("dashscope", "custom", "https://dashscope.example/v1", KEY, "qwen3-max"),
        ("corp", "custom", "https://llm.corp.example/v1", OTHER, "m"),
    ]
    assert found.findings[1].headers[0].value == "blue"
    assert reasons(found) == {"anthropic": "it has no key: ABSENT_KEY is not set here"}


def test_qwen_code_puts_an_address_and_a_key_of_two_places_together_as_it_does_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write(home / ".qwen/.env", "OPENAI_BASE_URL=https://llm.example/v1\nOPENAI_MODEL=m\n")
    assert told(qwen_code.find()) == [("openai", "custom", "https://llm.example/v1", KEY, "m")]


def test_qwen_code_half_of_an_account_is_none(home: Path) -> None:
    write(home / ".qwen/settings.json", {"security": {"auth": {"selectedType": "openai", "apiKey": KEY}}})
    found = qwen_code.find()
    assert not found.findings
    assert "without an address" in reasons(found)["openai"]
    write(home / ".qwen/settings.json", {"security": {"auth": {"selectedType": "qwen-oauth"}}})
    assert "OAuth" in reasons(qwen_code.find())["qwen"]


# -- Zed


def test_zed_has_addresses_and_its_keys_are_in_the_keyring(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_CORP_API_KEY", KEY)
    write(
        home / ".config/zed/settings.json",
        """// Zed settings
        {
          "language_models": {
            "anthropic": { "api_url": "https://gateway.example/anthropic" },
            "ollama": { "api_url": "http://192.168.1.20:11434", },
            "openai": { "version": "1" },
            "openai_compatible": {
              "My Corp": { "api_url": "https://llm.corp.example/v1", "available_models": [{"name": "m"}] },
              "Elsewhere": { "api_url": "https://llm.example/v1" },
            },
          },
        }""",
    )
    found = zed.find()
    assert told(found) == [
        ("ollama", "ollama", "http://192.168.1.20:11434", "", ""),
        ("my-corp", "custom", "https://llm.corp.example/v1", KEY, "m"),
    ]
    assert reasons(found) == {
        "anthropic": "its key is in the keyring, where Zed keeps it; add it with: nexoctl add anthropic "
        "--provider anthropic --base-url https://gateway.example/anthropic",
        "Elsewhere": "its key is in the keyring, where Zed keeps it; add it with: nexoctl add elsewhere "
        "--provider custom --base-url https://llm.example/v1",
    }


def test_zed_a_file_that_is_named_looks_nothing_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_KEY", KEY)
    theirs = write(
        home / "clone/settings.json",
        {"language_models": {"openai_compatible": {"github": {"api_url": "https://evil.example/v1"}}}},
    )
    assert not zed.find(theirs).findings


# -- OpenClaw


def test_openclaw_reads_json5_its_variables_and_its_profiles(home: Path) -> None:
    write(
        home / ".openclaw/openclaw.json",
        """{
          // the gateway of the office
          env: { vars: { CORP_KEY: 'canary-of-a-program' } },
          agents: { defaults: { model: { primary: 'corp/large' } } },
          models: { providers: {
            corp: { baseUrl: 'https://llm.corp.example/v1', apiKey: '${CORP_KEY}',
                    api: 'openai-completions', models: [{ id: 'small' }] },
            claude: { baseUrl: 'https://gateway.example/anthropic', api: 'anthropic-messages',
                      apiKey: { source: 'exec', command: 'pass', args: ['show', 'my key'] } },
            cloud: { baseUrl: 'https://bedrock.example', api: 'bedrock-converse-stream', apiKey: 'x' },
          } },
        }""",
    )
    write(
        home / ".openclaw/agents/main/agent/auth-profiles.json",
        {
            "version": 1,
            "profiles": {
                "openrouter:default": {"type": "api_key", "provider": "openrouter", "key": OTHER},
                "anthropic:default": {"type": "oauth", "provider": "anthropic", "access": "a"},
            },
        },
    )
    found = openclaw.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("openrouter", "openrouter", "https://openrouter.ai/api/v1", OTHER, ""),
    ]
    assert reasons(found) == {
        "claude": "its key is fetched from elsewhere; to leave it there: "
        "nexoctl add claude --provider anthropic --base-url https://gateway.example/anthropic "
        "--api-key-ref 'command:pass show '\"'\"'my key'\"'\"''",
        "cloud": "it speaks bedrock-converse-stream, which is not supported",
        "anthropic": "it is a login, not an API key",
    }


def test_openclaw_keys_of_its_env_file(home: Path) -> None:
    write(home / ".openclaw/.env", f"GROQ_API_KEY={KEY}\nTELEGRAM_TOKEN=other\n")
    assert told(openclaw.find()) == [("groq", "groq", "https://api.groq.com/openai/v1", KEY, "")]


# -- Hermes


def test_hermes_has_a_model_in_use_and_others(home: Path) -> None:
    pytest.importorskip("yaml")
    write(
        home / ".hermes/config.yaml",
        """
model: {default: large, provider: "custom:corp", base_url: "https://llm.corp.example/v1"}
custom_providers:
  - {name: corp, base_url: "https://llm.corp.example/v1", key_env: CORP_API_KEY}
  - {name: mac, base_url: "http://studio.local:8080/v1", api_key: local, model: qwen}
providers:
  gate: {base_url: "${GATE_URL}", api_key: "${CORP_API_KEY}", api_mode: anthropic_messages}
""",
    )
    write(home / ".hermes/.env", f"CORP_API_KEY={KEY}\nOPENROUTER_API_KEY={OTHER}\nOPENAI_API_KEY=sk-half\n")
    found = hermes.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("mac", "custom", "http://studio.local:8080/v1", "", "qwen"),
        ("openrouter", "openrouter", "https://openrouter.ai/api/v1", OTHER, ""),
    ]
    assert reasons(found) == {
        "gate": "its address needs the variable GATE_URL, which is not set here",
        "openai": "it is a key without an address; add it with --base-url",
    }


def test_hermes_the_key_of_openai_goes_to_the_address_beside_it(home: Path) -> None:
    write(home / ".hermes/.env", f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://llm.example/v1\n")
    assert told(hermes.find()) == [("openai", "custom", "https://llm.example/v1", KEY, "")]


@pytest.mark.parametrize("provider", ["openai-codex", "xai-oauth", "nous"])
def test_hermes_logins_are_named(home: Path, provider: str) -> None:
    pytest.importorskip("yaml")
    text = f"model: {{default: m, provider: {provider}, base_url: 'https://api.x.ai/v1'}}\n"
    write(home / ".hermes/config.yaml", text)
    write(home / ".hermes/.env", f"XAI_API_KEY={KEY}\n")
    assert reasons(hermes.find())[provider] == "it is a login of Hermes, not an API key"


@pytest.mark.parametrize(
    ("model", "env", "expected"),
    [
        (
            "provider: openrouter, base_url: 'https://openrouter.ai/api/v1'",
            "OPENROUTER_API_KEY",
            ("openrouter", "openrouter", "https://openrouter.ai/api/v1", KEY, "m-1"),
        ),
        (
            "provider: custom, base_url: 'https://llm.example/v1'",
            "OPENAI_API_KEY",
            ("hermes", "custom", "https://llm.example/v1", KEY, "m-1"),
        ),
    ],
)
def test_hermes_the_model_in_use_takes_the_key_of_its_provider(
    home: Path, model: str, env: str, expected: tuple[str, ...]
) -> None:
    pytest.importorskip("yaml")
    write(home / ".hermes/config.yaml", f"model: {{default: m-1, {model}}}\n")
    write(home / ".hermes/.env", f"{env}={KEY}\n")
    assert told(hermes.find()) == [expected]
    assert reasons(hermes.find()) == {}


# -- LibreChat


def test_librechat_and_the_env_file_beside_it(home: Path) -> None:
    pytest.importorskip("yaml")
    write(
        home / "LibreChat/librechat.yaml",
        """
endpoints:
  custom:
    - {name: Mistral, apiKey: "${MISTRAL_API_KEY}", baseURL: "https://api.mistral.ai/v1",
       models: {default: [mistral-large-latest]}}
    - {name: Users, apiKey: user_provided, baseURL: "https://llm.example/v1"}
    - {name: Agent, apiKey: "${MISTRAL_API_KEY}", baseURL: "https://agent.example/v1",
       headers: {X-User: "{{LIBRECHAT_USER_ID}}"}}
""",
    )
    write(
        home / "LibreChat/.env",
        f"MISTRAL_API_KEY={KEY}\nOPENAI_API_KEY={OTHER}\nOPENAI_REVERSE_PROXY=https://llm.example/v1\n"
        "ANTHROPIC_API_KEY=user_provided\n",
    )
    found = librechat.find()
    assert told(found) == [
        ("mistral", "mistral", "https://api.mistral.ai/v1", KEY, "mistral-large-latest"),
        ("openai", "custom", "https://llm.example/v1", OTHER, ""),
    ]
    assert reasons(found) == {
        "Users": "each person types the key (user_provided)",
        "Agent": "its header X-User needs a value from the program itself",
    }


def test_librechat_of_a_clone_is_named_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("GITHUB_TOKEN", KEY)
    theirs = write(
        home / "clone/librechat.yaml",
        'endpoints: {custom: [{name: x, apiKey: "${GITHUB_TOKEN}", baseURL: "https://evil.example/v1"}]}',
    )
    assert list(reasons(librechat.find())) == ["librechat.yaml"]
    assert reasons(librechat.find(theirs)) == {
        "x": "its key is in the variable GITHUB_TOKEN, which is not set here"
    }


# -- Crush


def test_crush_puts_its_state_over_its_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_KEY", KEY)
    write(
        home / ".config/crush/crush.json",
        {
            "models": {"large": {"model": "large", "provider": "corp"}},
            "providers": {
                "corp": {
                    "type": "openai-compat",
                    "base_url": "https://llm.corp.example/v1/",
                    "api_key": "$CORP_KEY",
                },
                "safe": {
                    "type": "anthropic",
                    "base_url": "https://gateway.example/anthropic",
                    "api_key": "$(op read 'op://a/b')",
                },
                "cloud": {"type": "bedrock"},
                "off": {"disable": True, "api_key": KEY, "base_url": "https://llm.example/v1"},
            },
        },
    )
    write(home / ".local/share/crush/crush.json", {"providers": {"gemini": {"api_key": OTHER}}})
    write(home / ".config/crush/crushrc", 'provider add x --api-key "$(id)"')
    found = crush.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("google", "google", "https://generativelanguage.googleapis.com", OTHER, ""),
    ]
    named = reasons(found)
    assert "command:sh -c" in named["safe"]
    assert "op://a/b" in named["safe"]
    assert named["cloud"] == "it is reached as bedrock, which is not supported"
    assert "not run" in named["crushrc"]


def test_crush_a_file_that_is_named_looks_nothing_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", KEY)
    entry = {"type": "openai", "base_url": "https://evil.example/v1", "api_key": "$GITHUB_TOKEN"}
    theirs = write(home / "clone/crush.json", {"providers": {"x": entry}})
    assert list(reasons(crush.find())) == ["crush.json"]
    assert not crush.find(theirs).findings


# -- aichat


def test_aichat_clients(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("GROQ_API_KEY", OTHER)
    write(
        home / ".config/aichat/config.yaml",
        f"""
model: corp:large
clients:
- {{type: openai-compatible, name: corp, api_base: "https://llm.corp.example/v1", api_key: {KEY}}}
- {{type: openai-compatible, name: groq}}
- {{type: claude}}
- {{type: openai-compatible, name: ollama, api_base: "http://localhost:11434/v1", api_key: xxx,
   models: [{{name: llama3}}]}}
- {{type: bedrock}}
- {{type: ollama, api_base: "http://box:11434", api_auth: Basic abc}}
""",
    )
    found = aichat.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("groq", "groq", "https://api.groq.com/openai/v1", OTHER, ""),
        ("ollama", "custom", "http://localhost:11434/v1", "", "llama3"),
        ("ollama-2", "ollama", "http://box:11434", "", ""),
    ]
    assert reasons(found) == {
        "anthropic": "it has no key: CLAUDE_API_KEY is not set here",
        "bedrock": "it is reached as bedrock, which is not supported",
    }


def test_aichat_address_in_a_variable_and_a_directory_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("AICHAT_CONFIG_DIR", str(home / "elsewhere"))
    write(home / "elsewhere/config.yaml", "clients: [{type: openai}]")
    write(home / "elsewhere/.env", f"OPENAI_API_KEY={KEY}\nOPENAI_API_BASE=https://llm.example/v1\n")
    assert told(aichat.find()) == [("openai", "custom", "https://llm.example/v1", KEY, "")]


@pytest.mark.parametrize("by_name", [False, True], ids=["home", "file"])
def test_aichat_prefers_a_variable_to_the_address_of_a_client(
    home: Path, monkeypatch: pytest.MonkeyPatch, by_name: bool
) -> None:
    pytest.importorskip("yaml")
    path = write(
        home / ".config/aichat/config.yaml",
        f"clients: [{{type: claude, api_base: 'https://api.anthropic.com/v1', api_key: {KEY}}}]",
    )
    monkeypatch.setenv("CLAUDE_API_BASE", "https://of-the-shell.example/v1")
    found = aichat.find(path if by_name else None)
    assert [one.address for one in found.findings] == ["https://of-the-shell.example"]
    write(home / ".config/aichat/.env", "CLAUDE_API_BASE=https://of-the-file.example/v1\n")
    found = aichat.find(path if by_name else None)
    assert [one.address for one in found.findings] == ["https://of-the-file.example"]


# -- shell-gpt


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("API_BASE_URL=default\nDEFAULT_MODEL=gpt-x-1\n", ("openai", "https://api.openai.com/v1", "gpt-x-1")),
        (
            "API_BASE_URL=https://llm.example/v1\nDEFAULT_MODEL=large\n",
            ("custom", "https://llm.example/v1", "large"),
        ),
        (
            "API_BASE_URL=default\nUSE_LITELLM=true\nDEFAULT_MODEL=anthropic/claude-x-1\n",
            ("anthropic", "https://api.anthropic.com", "claude-x-1"),
        ),
    ],
)
def test_shell_gpt_has_one_account(home: Path, lines: str, expected: tuple[str, str, str]) -> None:
    write(home / ".config/shell_gpt/.sgptrc", f"CACHE_PATH=/tmp/cache\n{lines}OPENAI_API_KEY={KEY}$x\n")
    ((_, *rest),) = told(shell_gpt.find())
    assert rest == [expected[0], expected[1], KEY + "$x", expected[2]]


def test_shell_gpt_without_a_key_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".config/shell_gpt/.sgptrc", "API_BASE_URL=default\nUSE_LITELLM=false\n")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert not shell_gpt.find()
    write(home / ".config/shell_gpt/.sgptrc", "API_BASE_URL=http://localhost:8080/v1\n")
    assert [row[2:4] for row in told(shell_gpt.find())] == [("http://localhost:8080/v1", KEY)]
    write(
        home / ".config/shell_gpt/.sgptrc",
        f"USE_LITELLM=true\nDEFAULT_MODEL=nobody/m-1\nOPENAI_API_KEY={OTHER}",
    )
    (one,) = shell_gpt.find().incomplete
    assert one.rest.base_url == ""


# -- gptme


def test_gptme_variables_providers_and_stored_keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", OTHER)
    write(
        home / ".config/gptme/config.toml",
        '[models]\ndefault = "anthropic/claude-x-1"\n'
        '[env]\nANTHROPIC_API_KEY = "of-the-main-file"\nTOKENS = 3\n'
        f'[[providers]]\nname = "groq"\nbase_url = "https://llm.example/v1"\napi_key = "{KEY}"\n'
        'default_model = "large"\n'
        '[[providers]]\nname = "b"\nbase_url = "https://b.example/v1"\napi_key_env = "OTHER_API_KEY"\n'
        '[[providers]]\nname = "near"\nbase_url = "http://127.0.0.1:8000/v1"\n',
    )
    write(home / ".config/gptme/config.local.toml", f'[env]\nANTHROPIC_API_KEY = "{KEY}"\n')
    write(home / ".config/gptme/credentials.toml", f'[providers]\nxai = "{OTHER}"\ngptme = "{KEY}"\n')
    found = gptme.find()
    assert told(found) == [
        ("anthropic", "anthropic", "https://api.anthropic.com", KEY, "claude-x-1"),
        ("groq", "custom", "https://llm.example/v1", KEY, "large"),
        ("b", "custom", "https://b.example/v1", OTHER, ""),
        ("near", "custom", "http://127.0.0.1:8000/v1", "", ""),
        ("xai", "xai", "https://api.x.ai/v1", OTHER, ""),
    ]
    assert "only the program knows" in reasons(found)["gptme"]


@pytest.mark.parametrize("place", ["shell", "file", "directory"])
def test_gptme_a_proxy_takes_the_place_of_addresses(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    lines = f'[env]\nOPENAI_API_KEY = "{KEY}"\nGROQ_API_KEY = "{OTHER}"\n'
    proxy = 'LLM_PROXY_URL = "https://proxy.example"\n'
    write(home / ".config/gptme/config.toml", lines + (proxy if place == "file" else ""))
    if place == "shell":
        monkeypatch.setenv("LLM_PROXY_URL", "https://proxy.example")
    if place == "directory":
        write(home / "clone/gptme.toml", f"[env]\n{proxy}")
    found = gptme.find()
    assert [one.name for one in found.findings] == ["groq"]
    assert [(one.lacks, one.rest.api_key) for one in found.incomplete] == [("base_url", KEY)]


# -- fabric


def test_fabric_services_with_the_addresses_that_its_setup_writes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        home / ".config/fabric/.env",
        f"DEFAULT_VENDOR=Z AI\nDEFAULT_MODEL=glm-x-1\n"
        f"OPENAI_API_KEY={KEY}\nOPENAI_API_BASE_URL=https://api.openai.com/v1\n"
        f"ANTHROPIC_API_BASE_URL=https://llm.example/\nANTHROPIC_API_KEY={KEY}\n"
        f"GEMINI_API_KEY={KEY}\nGROKAI_API_KEY={KEY}\nGROKAI_API_BASE_URL=https://api.x.ai/v1\n"
        f"Z_AI_API_KEY={OTHER}\nZ_AI_API_BASE_URL=https://api.z.ai/api/paas/v4\n"
        f"YOUTUBE_API_KEY={OTHER}\nJINA_AI_API_KEY={OTHER}\n"
        "OLLAMA_API_URL=http://box:11434\nLM_STUDIO_API_URL=http://localhost:1234/v1\n"
        "GROQ_API_BASE_URL=https://api.groq.com/openai/v1\n",
    )
    expected = [
        ("openai", "openai", "https://api.openai.com/v1", KEY, ""),
        ("anthropic", "anthropic", "https://llm.example", KEY, ""),
        ("google", "google", "https://generativelanguage.googleapis.com", KEY, ""),
        ("xai", "xai", "https://api.x.ai/v1", KEY, ""),
        ("z-ai", "custom", "https://api.z.ai/api/paas/v4", OTHER, "glm-x-1"),
        ("ollama", "ollama", "http://box:11434", "", ""),
        ("lmstudio", "custom", "http://localhost:1234/v1", "", ""),
    ]
    assert [(name.replace("gemini", "google"), *rest) for name, *rest in told(fabric.find())] == expected
    assert not fabric.find().skipped
    monkeypatch.setenv("Z_AI_API_BASE_URL", "https://of-the-shell.example/v1")
    assert ("https://of-the-shell.example/v1", OTHER) in [row[2:4] for row in told(fabric.find(path))]


# -- Cline


def test_cline_providers_as_its_command_writes_them(home: Path) -> None:
    def entry(**settings: Any) -> dict[str, Any]:
        return {"settings": settings, "updatedAt": "2026-11-28T08:46:44.355Z", "tokenSource": "manual"}

    providers = {
        "openai-compatible": entry(
            apiKey=KEY, model="large", baseUrl="https://llm.example/v1", headers={"A": "b"}
        ),
        "openai-native": entry(apiKey=OTHER, model="gpt-x-1"),
        "gemini": entry(apiKey=KEY, model="gemini-x-1"),
        "anthropic": entry(auth={"apiKey": KEY}),
        "ollama": entry(baseUrl="http://box:11434", model="llama-3"),
        "openai": entry(apiKey=OTHER),
        "cline": entry(auth={"accessToken": OTHER}),
        "bedrock": entry(apiKey=OTHER, aws={"region": "x"}),
        "qwen": entry(apiKey=OTHER, apiLine="china"),
    }
    write(home / ".cline/data/settings/providers.json", {"version": 1, "providers": providers})
    found = cline.find()
    assert told(found) == [
        ("llm", "custom", "https://llm.example/v1", KEY, "large"),
        ("openai", "openai", "https://api.openai.com/v1", OTHER, "gpt-x-1"),
        ("google", "google", "https://generativelanguage.googleapis.com", KEY, "gemini-x-1"),
        ("anthropic", "anthropic", "https://api.anthropic.com", KEY, ""),
        ("ollama", "ollama", "http://box:11434", "", "llama-3"),
    ]
    assert {one.what: one.incomplete is not None for one in found.skipped} == {
        "openai": True,
        "cline": False,
        "bedrock": False,
        "qwen": True,
    }


# -- directories that a variable names


@pytest.mark.parametrize(
    ("source", "variable", "name", "content"),
    [
        ("gemini-cli", "GEMINI_CLI_HOME", ".gemini/.env", f"GEMINI_API_KEY={KEY}\n"),
        ("gemini-cli", "GEMINI_CLI_HOME", ".env", f"GEMINI_API_KEY={KEY}\n"),
        ("qwen-code", "QWEN_HOME", "settings.json", {"env": {"ANTHROPIC_API_KEY": KEY}}),
        (
            "continue",
            "CONTINUE_GLOBAL_DIR",
            "config.yaml",
            {"models": [{"name": "a", "provider": "openai", "model": "m-1", "apiKey": KEY}]},
        ),
        ("crush", "CRUSH_GLOBAL_CONFIG", "crush.json", {"providers": {"openai": {"api_key": KEY}}}),
        ("crush", "CRUSH_GLOBAL_DATA", "crush.json", {"providers": {"openai": {"api_key": KEY}}}),
        ("goose", "GOOSE_PATH_ROOT", "config/secrets.yaml", {"ANTHROPIC_API_KEY": KEY}),
        (
            "opencode",
            "OPENCODE_CONFIG_DIR",
            "opencode.json",
            {"provider": {"openai": {"options": {"apiKey": KEY}}}},
        ),
        (
            "cline",
            "CLINE_DIR",
            "data/settings/providers.json",
            {"providers": {"anthropic": {"settings": {"apiKey": KEY}}}},
        ),
        (
            "cline",
            "CLINE_DATA_DIR",
            "settings/providers.json",
            {"providers": {"anthropic": {"settings": {"apiKey": KEY}}}},
        ),
    ],
)
def test_a_program_is_read_where_its_variable_has_its_files(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: str, variable: str, name: str, content: Any
) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv(variable, str(home / "elsewhere"))
    write(home / "elsewhere" / name, content)
    one = named(source)
    assert one is not None
    assert [finding.api_key for finding in one.read().findings] == [KEY]


@pytest.mark.parametrize("place", [".opencode/opencode.json", "named/opencode.jsonc"])
@pytest.mark.parametrize("at_home", [False, True])
def test_opencode_sends_the_key_of_one_file_to_the_address_of_a_later_one(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: str, at_home: bool
) -> None:
    monkeypatch.setenv("OPENCODE_CONFIG_DIR", str(home / "named"))
    write(home / ".config/opencode/opencode.json", {"provider": {"openai": {"options": {"apiKey": KEY}}}})
    write(home / place, {"provider": {"openai": {"options": {"baseURL": "https://llm.example/v1"}}}})
    if at_home:
        monkeypatch.chdir(home)
    found = opencode.find()
    assert [(one.address, one.api_key) for one in found.findings] == [("https://llm.example/v1", KEY)]
    assert not found.skipped


# -- Factory Droid


def test_droid_custom_models_of_both_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORP_KEY", KEY)
    corp = {"baseUrl": "https://llm.corp.example/v1", "provider": "openai", "apiKey": "${CORP_KEY}"}
    write(
        home / ".factory/settings.json",
        {
            "customModels": [
                corp | {"model": "large"},
                corp | {"model": "small"},
                {
                    "model": "x",
                    "baseUrl": "https://h.example",
                    "provider": "anthropic",
                    "apiKeyHelper": "op read x",
                },
                {"model": "y", "baseUrl": "https://g.example", "provider": "vertex", "apiKey": KEY},
                {"model": "z", "provider": "openai", "apiKey": OTHER},
            ]
        },
    )
    old = {
        "model": "claude-x-1",
        "base_url": "https://api.anthropic.com",
        "provider": "anthropic",
        "api_key": "${CORP_KEY}",
    }
    write(home / ".factory/config.json", {"custom_models": [old, old | {"api_key": OTHER}]})
    found = droid.find()
    assert told(found) == [
        ("llm", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("anthropic", "anthropic", "https://api.anthropic.com", OTHER, "claude-x-1"),
    ]
    texts = [one.reason for one in found.skipped]
    assert any("--api-key-ref 'command:sh -c" in text for text in texts)
    assert any("reached as vertex" in text for text in texts)
    assert [one.rest.api_key for one in found.incomplete if one.lacks == "base_url"] == [OTHER]
    named_file = droid.find(home / ".factory/settings.json")
    assert not named_file.findings


# -- goose


def test_goose_hosts_and_custom_providers(home: Path) -> None:
    pytest.importorskip("yaml")
    write(
        home / ".config/goose/config.yaml",
        "GOOSE_PROVIDER: openai\nGOOSE_MODEL: large\nOPENAI_HOST: https://llm.example\n"
        "OPENAI_BASE_PATH: api/v1/chat/completions\n",
    )
    write(home / ".config/goose/secrets.yaml", f"OPENAI_API_KEY: {KEY}\nCORP_KEY: {OTHER}\n")
    write(
        home / ".config/goose/custom_providers/corp.json",
        {
            "name": "custom_corp",
            "display_name": "Corp",
            "engine": "openai",
            "api_key_env": "CORP_KEY",
            "base_url": "https://llm.corp.example/v1/chat/completions",
            "models": [{"name": "m"}],
        },
    )
    assert told(goose.find()) == [
        ("openai", "custom", "https://llm.example/api/v1", KEY, "large"),
        ("corp", "custom", "https://llm.corp.example/v1", OTHER, "m"),
    ]


@pytest.mark.parametrize(
    ("shell", "address"),
    [
        ({}, "https://llm.corp.example/team"),
        ({"OPENAI_BASE_URL": "https://of-the-shell.example/v1"}, "https://of-the-shell.example/v1"),
        ({"OPENAI_HOST": "https://of-the-shell.example"}, "https://of-the-shell.example/v1"),
    ],
)
@pytest.mark.parametrize("by_name", [False, True], ids=["home", "file"])
def test_goose_prefers_a_base_url_to_the_host_that_its_desktop_writes(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell: dict[str, str], address: str, by_name: bool
) -> None:
    pytest.importorskip("yaml")
    path = write(
        home / ".config/goose/config.yaml",
        "GOOSE_PROVIDER: openai\nOPENAI_HOST: https://api.openai.com\n"
        "OPENAI_BASE_URL: https://llm.corp.example/team\n",
    )
    write(home / ".config/goose/secrets.yaml", f"OPENAI_API_KEY: {KEY}\n")
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    found = goose.find(path if by_name else None)
    assert [(one.address, one.api_key) for one in found.findings] == [(address, KEY)]


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [
        ("https://llm.example", "", "https://llm.example/v1"),
        ("https://llm.example/zen/go", "", "https://llm.example/zen/go/v1"),
        ("https://llm.example/v4/", "", "https://llm.example/v4"),
        ("https://llm.example/x", "api/v1/chat/completions", "https://llm.example/api/v1"),
    ],
)
def test_goose_completes_the_address_of_a_custom_provider(
    home: Path, base: str, path: str, whole: str
) -> None:
    pytest.importorskip("yaml")
    custom = {
        "name": "c",
        "engine": "openai",
        "base_url": base,
        "requires_auth": False,
        "headers": {"A": "b"},
    }
    write(home / ".config/goose/custom_providers/c.json", custom | ({"base_path": path} if path else {}))
    assert [one.address for one in goose.find().findings] == [whole]


def test_goose_keys_in_the_keyring_and_hosts_without_a_scheme(home: Path) -> None:
    pytest.importorskip("yaml")
    write(home / ".config/goose/config.yaml", "GOOSE_PROVIDER: google\nGOOSE_MODEL: gemini-3-pro\n")
    assert "where goose keeps it" in reasons(goose.find())["google"]
    write(
        home / ".config/goose/config.yaml", "GOOSE_PROVIDER: ollama\nOLLAMA_HOST: box\nGOOSE_MODEL: qwen3\n"
    )
    assert told(goose.find()) == [("ollama", "ollama", "http://box:11434", "", "qwen3")]


def test_goose_names_each_provider_that_was_set_up(home: Path) -> None:
    pytest.importorskip("yaml")
    write(
        home / ".config/goose/config.yaml",
        "active_provider: openrouter\nOPENROUTER_HOST: https://openrouter.ai\nOLLAMA_HOST: localhost\n"
        "providers:\n"
        "  local: {enabled: true, model: x, configured: true}\n"
        "  openrouter: {enabled: true, model: vendor/m-1, configured: true}\n"
        "  ollama: {enabled: true, model: 'm:12b', configured: true}\n"
        "  anthropic: {enabled: true, model: claude-x-1, configured: false}\n",
    )
    found = goose.find()
    assert told(found) == [("ollama", "ollama", "http://localhost:11434", "", "m:12b")]
    assert list(reasons(found)) == ["openrouter"]
    assert [one.rest.model for one in found.incomplete] == ["vendor/m-1"]


def test_goose_a_provider_that_is_not_described_is_named(home: Path) -> None:
    pytest.importorskip("yaml")
    write(home / ".config/goose/config.yaml", "GOOSE_PROVIDER: databricks\nGOOSE_MODEL: m\n")
    assert list(reasons(goose.find())) == ["databricks"]
    custom = {"engine": "openai", "base_url": "https://llm.example/v1", "requires_auth": False}
    write(home / ".config/goose/config.yaml", "GOOSE_PROVIDER: custom_corp\n")
    write(home / ".config/goose/custom_providers/custom_corp.json", custom)
    assert "not in its files" not in repr(goose.find())


# -- mods


def test_mods_keys_commands_and_the_template(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("GROQ_API_KEY", OTHER)
    write(
        home / ".config/mods/mods.yml",
        f"""
default-api: corp
default-model: large
apis:
  corp: {{base-url: "https://llm.corp.example/v1", api-key: {KEY}}}
  openai: {{base-url: "https://api.openai.com/v1", api-key: , api-key-cmd: rbw get -f OPENAI_API_KEY chat}}
  groq: {{base-url: "https://api.groq.com/openai/v1", api-key-env: GROQ_API_KEY}}
  mistral: {{base-url: "https://api.mistral.ai/v1", api-key-env: MISTRAL_API_KEY}}
  azure: {{base-url: "https://YOUR_RESOURCE_NAME.openai.azure.com", api-key-env: AZURE_OPENAI_KEY}}
  ollama: {{base-url: "http://localhost:11434/api"}}
""",
    )
    found = mods.find()
    assert told(found) == [
        ("corp", "custom", "https://llm.corp.example/v1", KEY, "large"),
        ("groq", "groq", "https://api.groq.com/openai/v1", OTHER, ""),
    ]
    assert reasons(found) == {
        "openai": "its key is fetched from elsewhere; to leave it there: "
        "nexoctl add openai --provider openai --api-key-ref 'command:rbw get -f OPENAI_API_KEY chat'"
    }


def test_mods_placeholders_and_references_are_not_keys(home: Path) -> None:
    pytest.importorskip("yaml")
    write(
        home / ".config/mods/mods.yml",
        "apis:\n"
        '  a: {base-url: "https://a.example/v1", api-key: "sk-..."}\n'
        '  b: {base-url: "https://b.example/v1", api-key: "<your key here>"}\n',
    )
    found = mods.find()
    assert not found.findings
    assert set(reasons(found)) == {"a", "b"}


# -- this directory


def test_files_of_this_directory_are_named_and_read_only_when_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("SHELL_KEY", OTHER)
    local = write(
        home / "clone/.env.local", f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://llm.example/v1\n"
    )
    envrc = write(
        home / "clone/.envrc",
        'export ANTHROPIC_API_KEY="$(pass show x)"\n'
        f"export GROQ_API_KEY={KEY}\nexport XAI_API_KEY=$SHELL_KEY\n",
    )
    compose = write(
        home / "clone/compose.yaml",
        "services:\n"
        f"  web: {{environment: [MISTRAL_API_KEY={KEY}, 'DEEPSEEK_API_KEY=${{SHELL_KEY}}']}}\n"
        f"  api: {{environment: {{CEREBRAS_API_KEY: {KEY}}}}}\n",
    )
    write(home / "clone/docker-compose.yml", "services: {db: {image: postgres}}")
    named = project.find()
    assert not named.findings
    assert list(reasons(named)) == [".env.local", ".envrc", "compose.yaml"]
    assert all("if you trust it: nexoctl import project --file" in text for text in reasons(named).values())
    assert told(project.find(local)) == [("llm", "custom", "https://llm.example/v1", KEY, "")]
    assert [name for name, *_ in told(project.find(envrc))] == ["groq"]
    assert {name for name, *_ in told(project.find(compose))} == {"mistral", "cerebras"}


@pytest.mark.parametrize(
    ("name", "line", "kept"),
    [
        ("BASE_URL", "OPENAI_API_KEY", []),
        ("GOOGLE_URL", "GOOGLE_API_KEY", []),
        ("GOOGLE_PROXY_URL", "GOOGLE_API_KEY", []),
        ("BASE_URL", "GROQ_API_KEY", ["groq"]),
    ],
)
@pytest.mark.parametrize("file", [".env.local", "compose.yaml"])
def test_a_key_of_nextchat_and_lobechat_is_not_for_the_public_host_beside_its_address(
    home: Path, file: str, name: str, line: str, kept: list[str]
) -> None:
    pytest.importorskip("yaml")
    variables = {line: KEY, name: "https://llm.example"}
    dotenv = "".join(f"{one}={value}\n" for one, value in variables.items())
    content = dotenv if file == ".env.local" else {"services": {"chat": {"environment": variables}}}
    found = project.find(write(home / "clone" / file, content))
    assert [one.name for one in found.findings] == kept
    assert len(found.findings) + len(found.incomplete) == 1


# -- programs that are not read


def test_programs_that_are_here_and_not_read_are_named_with_the_way_to_take_them_over(home: Path) -> None:
    assert not elsewhere.find()
    (home / ".config/VSCodium/User/globalStorage/saoudrizwan.claude-dev").mkdir(parents=True)
    (home / ".open-webui").mkdir()
    found = elsewhere.find()
    assert reasons(found) == {
        "Cline": "it is not read; its keys are in the secret storage of the editor. "
        "Add one with: nexoctl add",
        "Open WebUI": "it is not read; its keys are in a database of its own. Add one with: nexoctl add",
    }


@pytest.mark.parametrize("program", elsewhere.PROGRAMS, ids=lambda program: program.title)
def test_each_of_them_is_found_by_each_of_its_places(home: Path, program: elsewhere.UnreadProgram) -> None:
    for place in program.places:
        path = home / place.replace("*", "Code")
        path.mkdir(parents=True)
        assert [one.what for one in elsewhere.find().skipped if one.place.endswith(place.split("*")[-1])] == [
            program.title
        ]
        path.rmdir()


# -- JSON as people write it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "// no comment", /* one */ "b": [1, 2,],}', {"a": "// no comment", "b": [1, 2]}),
        ("{a: 'it\\'s', $b: -1.5e3, c: true,}", {"a": "it's", "$b": -1500.0, "c": True}),
        ('{"url": "https://x/*y*/"}', {"url": "https://x/*y*/"}),
        ('["\\",", "},"]', ['",', "},"]),
        ("// only\n{}\n", {}),
        ('{"a": 1// one\n, b/* name */: true/* yes */}', {"a": 1, "b": True}),
        ("{a: x/y}", {"a": "x/y"}),
    ],
)
def test_loose_json_is_read(text: str, value: Any) -> None:
    assert loose_json_of(text) == value


@pytest.mark.parametrize("text", ["{'a' 1}", '{"a": "\n"}', "{/* open", "", "[1 2]", "/* " * 1_000_000])
def test_what_is_no_json_either_is_named_by_its_line(text: str) -> None:
    with pytest.raises(Unreadable, match=r"line \d"):
        loose_json_of(text)


# -- pi


def test_pi_puts_its_stored_keys_over_its_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_KEY", KEY)
    models = {
        # A built-in provider behind a proxy, whose key is in auth.json.
        "anthropic": {"baseUrl": "https://proxy.example/v1"},
        "vllm-box": {
            "baseUrl": "https://llm.example/v1",
            "api": "openai-completions",
            "apiKey": "$PROXY_KEY",
            "headers": {"X-Team": "a"},
            "models": [{"id": "model-a"}],
        },
        "older": {"baseUrl": "https://old.example/v1", "api": "openai-completions", "apiKey": "PROXY_KEY"},
        "command": {
            "baseUrl": "https://c.example/v1",
            "api": "openai-responses",
            "apiKey": "!pass show 'a b'",
        },
        "per-model": {
            "apiKey": f"{KEY}-2",
            "models": [{"id": "g", "api": "google-generative-ai", "baseUrl": "https://g.example/v1beta"}],
        },
        "strange": {"baseUrl": "https://s.example", "api": "bedrock-converse-stream", "apiKey": KEY},
        "mistral": {"modelOverrides": {"m": {"name": "M"}}},
    }
    logins = {
        "anthropic": {"type": "api_key", "key": f"{KEY}-own"},
        "groq": {"type": "api_key", "key": f"{KEY}-groq"},
        "openai-codex": {"type": "oauth", "access": KEY},
    }
    write(home / ".pi/agent/models.json", "// mine\n" + json.dumps({"providers": models}))
    write(home / ".pi/agent/auth.json", json.dumps(logins))
    write(
        home / ".pi/agent/settings.json", json.dumps({"defaultProvider": "groq", "defaultModel": "llama-4"})
    )
    found = pi.find()
    assert told(found) == [
        ("anthropic", "anthropic", "https://proxy.example", f"{KEY}-own", ""),
        ("vllm-box", "custom", "https://llm.example/v1", KEY, "model-a"),
        ("older", "custom", "https://old.example/v1", KEY, ""),
        ("per-model", "google", "https://g.example", f"{KEY}-2", "g"),
        ("groq", "groq", "https://api.groq.com/openai/v1", f"{KEY}-groq", "llama-4"),
    ]
    assert [header.name for header in found.findings[1].headers] == ["X-Team"]
    told_why = reasons(found)
    reference = shlex.split(told_why.pop("command"))[-1]
    assert shlex.split(reference.removeprefix("command:")) == ["sh", "-c", "pass show 'a b'"]
    assert told_why == {
        "strange": "it speaks bedrock-converse-stream, which is not supported",
        "openai-codex": "it is a login of pi, not an API key",
    }


def test_pi_a_file_that_is_named_looks_nothing_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = write(
        home / "clone/models.json",
        json.dumps(
            {"providers": {"openai": {"baseUrl": "https://evil.example/v1", "apiKey": "$OPENAI_API_KEY"}}}
        ),
    )
    assert not pi.find(path).findings


# -- files hold anything

NAMES = st.sampled_from(
    """
    provider options apiKey baseURL headers npm models model security auth selectedType env modelProviders
    openai envKey baseUrl generationConfig customHeaders language_models openai_compatible
    api_url available_models
    name providers api source id agents defaults primary profiles type key custom_providers base_url key_env
    api_mode endpoints custom default api_key extra_headers clients api_base GOOSE_PROVIDER OPENAI_HOST apis
    api-key api-key-cmd api-key-env base-url services environment large customModels apiKeyHelper base_path
    """.split()  # noqa: SIM905 - a list of words reads better
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 99999),
    st.text(max_size=8),
    st.sampled_from(
        [
            KEY,
            "http://[::1",
            "https://x.example/v1",
            "${HOME}",
            "{file:~/x}",
            "$(id)",
            "openai",
            "bedrock",
            "a/b",
        ]
    ),
)
CONTENT = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
PLACES = (
    (opencode, ".config/opencode/opencode.json"),
    (qwen_code, ".qwen/settings.json"),
    (gemini_cli, ".gemini/settings.json"),
    (pi, ".pi/agent/models.json"),
    (pi, ".pi/agent/auth.json"),
    (zed, ".config/zed/settings.json"),
    (openclaw, ".openclaw/openclaw.json"),
    (openclaw, ".openclaw/agents/main/agent/auth-profiles.json"),
    (hermes, ".hermes/config.yaml"),
    (librechat, "LibreChat/librechat.yaml"),
    (crush, ".config/crush/crush.json"),
    (aichat, ".config/aichat/config.yaml"),
    (goose, ".config/goose/config.yaml"),
    (goose, ".config/goose/custom_providers/x.json"),
    (mods, ".config/mods/mods.yml"),
    (cline, ".cline/data/settings/providers.json"),
    (droid, ".factory/settings.json"),
    (fabric, ".config/fabric/.env"),
    (gptme, ".config/gptme/config.toml"),
    (shell_gpt, ".config/shell_gpt/.sgptrc"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(content=CONTENT)
def test_no_content_makes_a_source_fail_and_no_complaint_quotes_it(home: Path, content: object) -> None:
    for source, place in PLACES:
        path = write(home / place, content)
        for found in (source.find(), source.find(path), project.find(path)):
            assert all(KEY not in skipped.reason for skipped in found.skipped)
            for finding in found.findings:
                finding.draft()
        path.unlink()
