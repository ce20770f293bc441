"""Assistants and chat servers: what is taken from their files, what is only named, and why."""

from pathlib import Path

import pytest

from nexo_sources import goose, hermes, librechat, openclaw
from sources_parts import KEY, OTHER, reasons, told, write

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
