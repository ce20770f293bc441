"""Coding agents: what is taken from their files, what is only named, and why."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from nexo_sources import (
    cline,
    codex,
    crush,
    droid,
    gemini_cli,
    opencode,
    pi,
    qwen_code,
    zed,
)
from nexo_sources.table import named
from sources_parts import KEY, OTHER, reasons, told, write

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
