"""Programs for one question in a shell: what is taken from their files, what is only named, and why."""

from pathlib import Path

import pytest

from nexo_sources import aichat, fabric, gptme, mods, shell_gpt
from sources_parts import KEY, OTHER, reasons, told, write

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
