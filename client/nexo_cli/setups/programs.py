"""The table of programs: which settings make each of them use the gateway.

The files are those that `nexoctl import` reads. docs/gateway.md says which programs were seen to use these
settings; the others follow their documentation or source of November 2026.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nexo.connections.values import frozen
from nexo_cli.setups.edits import FileForm, PlacedValue
from nexo_cli.setups.place import ABSENT, ListEntry, Place
from nexo_cli.setups.templates import ANTHROPIC, GOOGLE, MODEL, OPENAI, TOKEN, filled
from nexo_sources import (
    aichat,
    claude_code,
    codex,
    continue_dev,
    crush,
    fabric,
    gemini_cli,
    gptme,
    llm,
    mods,
    opencode,
    pi,
    shell_gpt,
    zed,
)


@frozen
class Setting:
    """The settings of one file.

    Attributes:
        file: its path on this computer.
        entries: places and templates.
        strict: the program ignores a file with comments or trailing commas.
        start: the text of a new file, if the program refuses one without it.
    """

    file: Callable[[], Path]
    form: FileForm
    entries: tuple[tuple[Place, Any], ...]
    strict: bool = False
    start: str = ""

    @property
    def templates(self) -> list[PlacedValue]:
        """The entries, not filled in."""
        return [PlacedValue(place, template) for place, template in self.entries]

    def changes(self, words: Mapping[str, str]) -> list[PlacedValue]:
        """The entries with the words filled in."""
        return [PlacedValue(place, filled(template, words)) for place, template in self.entries]


@frozen
class Program:
    """One program.

    Attributes:
        name: what people type.
        settings: its files; without any, `by_hand` holds all instructions.
        by_hand: further steps for the person, with the same words in braces.
    """

    name: str
    title: str
    settings: tuple[Setting, ...] = ()
    by_hand: tuple[str, ...] = ()

    @property
    def needs_model(self) -> bool:
        """Whether its settings name a model."""
        texts = [str(value) for setting in self.settings for _, value in setting.entries]
        return any(MODEL in text for text in (*texts, *self.by_hand))


def _provider(url: str) -> dict[str, str]:
    return {"baseUrl": url, "apiKey": TOKEN}


# The table may be one of its own, or in braces.
_CODEX_AUTH = ("command", "args", "timeout_ms", "refresh_interval_ms", "cwd")
_LLM_MODEL = {"model_id": "gateway", "model_name": MODEL, "api_base": OPENAI, "api_key_name": "nexo"}
# aichat does not start with a client of which it knows no model; it knows those of this type.
_AICHAT_CLIENT = {"type": "openai", "name": "nexo", "api_base": OPENAI, "api_key": TOKEN}
_CONTINUE_MODEL = {
    "name": "Nexo",
    "provider": "openai",
    "model": MODEL,
    "apiBase": OPENAI,
    "apiKey": TOKEN,
}

PROGRAMS = (
    Program(
        "claude-code",
        "Claude Code",
        (
            Setting(
                lambda: claude_code.home() / "settings.json",
                FileForm.JSON,
                (
                    (("env", "ANTHROPIC_BASE_URL"), ANTHROPIC),
                    # The program asks the person about an unknown key, but not about a token.
                    (("env", "ANTHROPIC_AUTH_TOKEN"), TOKEN),
                    (("env", "ANTHROPIC_API_KEY"), ABSENT),
                    (("env", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1"),
                    # Otherwise its own key would be sent.
                    (("apiKeyHelper",), ABSENT),
                    # Otherwise it would not use the address.
                    *((("env", name), ABSENT) for name in (*claude_code.CLOUDS, "ANTHROPIC_UNIX_SOCKET")),
                ),
                strict=True,
            ),
        ),
    ),
    Program(
        "codex",
        "Codex CLI",
        (
            Setting(
                lambda: codex.home() / "config.toml",
                FileForm.TOML,
                (
                    (("model_provider",), "nexo"),
                    (("model_providers", "nexo", "name"), "Nexo"),
                    (("model_providers", "nexo", "base_url"), OPENAI),
                    (("model_providers", "nexo", "wire_api"), "responses"),
                    (("model_providers", "nexo", "experimental_bearer_token"), TOKEN),
                    # Codex prefers the variable, and does not start with a command beside the token.
                    (("model_providers", "nexo", "env_key"), ABSENT),
                    *((("model_providers", "nexo", "auth", name), ABSENT) for name in _CODEX_AUTH),
                    (("model_providers", "nexo", "auth"), ABSENT),
                ),
            ),
        ),
        ("A running `codex app-server` keeps its old settings: end it, or restart Codex.",),
    ),
    Program(
        "gemini-cli",
        "Gemini CLI",
        (
            Setting(
                lambda: gemini_cli.home() / ".env",
                FileForm.ENV,
                ((("GEMINI_API_KEY",), TOKEN), (("GOOGLE_GEMINI_BASE_URL",), GOOGLE)),
            ),
            # It refuses to start with another address unless this is set.
            Setting(
                lambda: gemini_cli.home() / "settings.json",
                FileForm.JSON,
                ((("security", "auth", "selectedType"), "gemini-api-key"),),
            ),
        ),
    ),
    Program(
        "opencode",
        "OpenCode",
        (
            Setting(
                opencode.own_file,
                FileForm.JSON,
                (
                    (("provider", "openai", "options", "baseURL"), OPENAI),
                    (("provider", "openai", "options", "apiKey"), TOKEN),
                    (("provider", "anthropic", "options", "baseURL"), ANTHROPIC + "/v1"),
                    (("provider", "anthropic", "options", "apiKey"), TOKEN),
                    (("provider", "google", "options", "baseURL"), GOOGLE + "/v1beta"),
                    (("provider", "google", "options", "apiKey"), TOKEN),
                ),
            ),
        ),
    ),
    Program(
        "continue",
        "Continue",
        (
            Setting(
                continue_dev.own_file,
                FileForm.YAML,
                ((("models", ListEntry("name", "Nexo")), _CONTINUE_MODEL),),
                start="name: Nexo\nversion: 1.0.0\nschema: v1\n",
            ),
        ),
        ("Then choose the model Nexo in Continue; otherwise it uses the first one of the file.",),
    ),
    Program(
        "pi",
        "pi",
        (
            Setting(
                lambda: pi.home() / "models.json",
                FileForm.JSON,
                (
                    (("providers", "openai"), _provider(OPENAI)),
                    (("providers", "anthropic"), _provider(ANTHROPIC)),
                ),
            ),
        ),
        ("A key that /login stored overrides it: remove that one with /logout.",),
    ),
    Program(
        "llm",
        "the llm command",
        (
            Setting(
                lambda: llm.directory() / "extra-openai-models.yaml",
                FileForm.YAML,
                (((ListEntry("model_id", "gateway"),), _LLM_MODEL),),
            ),
            Setting(lambda: llm.directory() / "keys.json", FileForm.JSON, ((("nexo",), TOKEN),), strict=True),
        ),
        ("Then: llm -m gateway 'a question'",),
    ),
    Program(
        "aider",
        "aider",
        (
            Setting(
                lambda: Path.home() / ".aider.conf.yml",
                FileForm.YAML,
                ((("openai-api-base",), OPENAI), (("openai-api-key",), TOKEN)),
            ),
        ),
        ("A key in the .env file of a directory overrides it.", "Then: aider --model openai/{model}"),
    ),
    Program(
        "crush",
        "Crush",
        (
            Setting(
                lambda: crush.home() / "crush.json",
                FileForm.JSON,
                (
                    (("providers", "openai", "base_url"), OPENAI),
                    (("providers", "openai", "api_key"), TOKEN),
                    (("providers", "anthropic", "base_url"), ANTHROPIC),
                    (("providers", "anthropic", "api_key"), TOKEN),
                ),
            ),
        ),
        ("A key that Crush stored in ~/.local/share/crush/crush.json overrides it: remove that one.",),
    ),
    Program(
        "mods",
        "mods",
        (
            Setting(
                mods.own_file,
                FileForm.YAML,
                (
                    (("apis", "openai", "base-url"), OPENAI),
                    (("apis", "openai", "api-key"), TOKEN),
                    (("apis", "openai", "api-key-cmd"), ABSENT),
                    # It uses only models of its file; for this one the gateway uses the default model.
                    (("apis", "openai", "models", "nexo", "max-input-chars"), 392_000),
                ),
            ),
        ),
        ("Then: mods --api openai --model nexo 'a question'",),
    ),
    Program(
        "aichat",
        "aichat",
        (
            Setting(
                aichat.own_file,
                FileForm.YAML,
                ((("clients", ListEntry("name", "nexo")), _AICHAT_CLIENT),),
            ),
        ),
        ("Then: aichat --model nexo:{model}",),
    ),
    Program(
        "shell-gpt",
        "shell-gpt",
        (
            Setting(
                shell_gpt.own_file,
                FileForm.ENV,
                (
                    (("API_BASE_URL",), OPENAI),
                    (("OPENAI_API_KEY",), TOKEN),
                    # LiteLLM would choose another API by the name of the model.
                    (("USE_LITELLM",), "false"),
                ),
            ),
        ),
        (
            "A variable OPENAI_API_KEY or API_BASE_URL of the shell overrides it.",
            "Then: sgpt --model {model} 'a question'",
        ),
    ),
    Program(
        "gptme",
        "gptme",
        (
            Setting(
                gptme.own_file,
                FileForm.TOML,
                (
                    (("env", "OPENAI_BASE_URL"), OPENAI),
                    (("env", "OPENAI_API_KEY"), TOKEN),
                    # It would be preferred to the address.
                    (("env", "OPENAI_API_BASE"), ABSENT),
                ),
            ),
        ),
        ("Variables of the same names in the shell override it.", "Then: gptme --model local/{model}"),
    ),
    Program(
        "fabric",
        "fabric",
        (
            Setting(
                fabric.own_file,
                FileForm.ENV,
                (
                    (("OPENAI_API_BASE_URL",), OPENAI),
                    (("OPENAI_API_KEY",), TOKEN),
                    (("ANTHROPIC_API_BASE_URL",), ANTHROPIC),
                    (("ANTHROPIC_API_KEY",), TOKEN),
                ),
            ),
        ),
        (
            "Variables of the same names in the shell override it.",
            "Then: fabric --vendor OpenAI --model {model}",
        ),
    ),
    Program(
        "zed",
        "Zed",
        (
            Setting(
                zed.own_file,
                FileForm.JSON,
                (
                    (("language_models", "openai", "api_url"), OPENAI),
                    (("language_models", "anthropic", "api_url"), ANTHROPIC),
                ),
            ),
        ),
        ("It keeps keys in the keyring: enter this one in its provider settings: {token}",),
    ),
    Program(
        "cline",
        "Cline",
        by_hand=(
            "The command line: cline auth -p openai -k {token} -b {openai} -m {model}",
            "In the editor: provider 'OpenAI Compatible', base URL {openai}, API key {token}",
        ),
    ),
    Program(
        "goose",
        "goose",
        by_hand=(
            "goose configure, Custom Providers, Add A Custom Provider, OpenAI Compatible:"
            " API URL {openai}, API key {token}, model {model}",
        ),
    ),
    Program(
        "droid",
        "Factory Droid",
        by_hand=(
            "In ~/.factory/settings.json, in the list customModels:",
            '  {"model": "{model}", "displayName": "Nexo", "baseUrl": "{openai}", "apiKey": "{token}",'
            ' "provider": "generic-chat-completion-api"}',
            "Then choose the model Nexo with /model.",
        ),
    ),
    Program(
        "open-webui",
        "Open WebUI",
        by_hand=("Admin settings, Connections, OpenAI: URL {openai}, key {token}",),
    ),
    Program(
        "devcontainer",
        "the development container",
        by_hand=(
            "In .devcontainer/devcontainer.json, where no token belongs, because it is shared:",
            '  "mounts": ["source={socket_directory},target=/run/nexo,type=bind"],',
            '  "containerEnv": {"OPENAI_BASE_URL": "{openai}", "ANTHROPIC_BASE_URL": "{anthropic}"},',
            '  "remoteEnv": {"OPENAI_API_KEY": "${localEnv:NEXO_TOKEN}",'
            ' "ANTHROPIC_AUTH_TOKEN": "${localEnv:NEXO_TOKEN}"},',
            '  "postStartCommand": "nohup socat TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr'
            ' UNIX-CONNECT:/run/nexo/gateway.sock >/dev/null 2>&1 &"',
            "The image needs socat. Before you start the editor: export NEXO_TOKEN={token}",
            "What the container sees, and Docker, podman and ssh without an editor: docs/containers.md",
        ),
    ),
    Program(
        "other",
        "any other program",
        by_hand=(
            "OpenAI and compatible: {openai}",
            "Anthropic: {anthropic} (with /v1 at its end if a program needs that)",
            "Gemini: {google}",
            "Ollama: {ollama}",
            "The key: {token}",
        ),
    ),
)


def named(name: str) -> Program | None:
    """The program of that name."""
    return next((program for program in PROGRAMS if program.name == name.casefold()), None)
