"""A program whose own settings lead it elsewhere is not started without a word."""

import json
import sys
from pathlib import Path

import pytest

from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings


@pytest.fixture
def programs(surroundings: Surroundings, nexod: Nexod) -> Path:
    """Programs of these names, which do nothing; and a connection."""
    directory = surroundings.home / "bin"
    directory.mkdir()
    for name in ("claude", "codex", "llm", "mods", "sgpt", "other"):
        path = directory / name
        path.write_text("#!/bin/sh\necho ran\n")
        path.chmod(0o755)
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name="work", provider="anthropic", base_url="http://127.0.0.1:9", api_key="sk-x")
        )
    return directory


def said(surroundings: Surroundings, program: Path) -> str:
    done = surroundings.run([sys.executable, "-m", "nexo_cli", "--no-start", "run", "--", str(program)])
    assert done.out == "ran\n"
    return done.err


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"env": {"ANTHROPIC_BASE_URL": "https://gw.example", "PAGER": "cat"}}, "ANTHROPIC_BASE_URL"),
        ({"env": {"ANTHROPIC_API_KEY": "sk-canary"}}, "ANTHROPIC_API_KEY"),
        ({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}, "CLAUDE_CODE_USE_BEDROCK"),
        ({"apiKeyHelper": "pass claude"}, "apiKeyHelper"),
    ],
)
def test_claude_codes_settings_that_win_are_named(
    surroundings: Surroundings, programs: Path, name: str, settings: dict[str, object], named: str
) -> None:
    write(surroundings.home / ".claude" / name, json.dumps(settings))
    warning = said(surroundings, programs / "claude")
    assert f"~/.claude/{name} sets {named}, which overrides" in warning
    assert "canary" not in warning
    assert "PAGER" not in warning
    assert said(surroundings, programs / "other") == ""


@pytest.mark.parametrize("text", ["", "{}", '{"env": {"PAGER": "cat"}}', "no json", '{"env": [1]}'])
def test_settings_that_do_not_win_are_not(surroundings: Surroundings, programs: Path, text: str) -> None:
    write(surroundings.home / ".claude" / "settings.json", text)
    assert said(surroundings, programs / "claude") == ""


@pytest.mark.parametrize("name", ["codex", "mods"])
def test_a_program_is_said_to_need_its_file_until_it_has_it(
    surroundings: Surroundings, programs: Path, name: str
) -> None:
    if name == "mods":
        pytest.importorskip("yaml")
    assert f"nexoctl gateway setup {name} --write" in said(surroundings, programs / name)
    surroundings.nexoctl("gateway", "setup", name, "--write")
    assert said(surroundings, programs / name) == ""


def test_claude_code_that_was_set_up_for_the_gateway_is_not_warned_of(
    surroundings: Surroundings, programs: Path
) -> None:
    surroundings.nexoctl("gateway", "setup", "claude-code", "--write")
    assert said(surroundings, programs / "claude") == ""


def test_an_address_of_shell_gpt_that_wins_is_named_until_it_is_the_gateway(
    surroundings: Surroundings, programs: Path
) -> None:
    path = surroundings.home / ".config/shell_gpt/.sgptrc"
    path.parent.mkdir(parents=True)
    write(path, "API_BASE_URL=default\n")
    assert said(surroundings, programs / "sgpt") == ""
    write(path, "API_BASE_URL=https://gw.example/v1\nOPENAI_API_KEY=sk-canary\n")
    warning = said(surroundings, programs / "sgpt")
    assert "~/.config/shell_gpt/.sgptrc sets API_BASE_URL, which overrides" in warning
    assert "canary" not in warning
    surroundings.nexoctl("gateway", "setup", "shell-gpt", "--write", "--model", "m-1")
    assert said(surroundings, programs / "sgpt") == ""


def test_a_stored_key_of_llm_is_named_unless_it_is_for_the_gateway(
    surroundings: Surroundings, programs: Path
) -> None:
    path = surroundings.home / ".config/io.datasette.llm/keys.json"
    path.parent.mkdir(parents=True)
    write(path, '{"openai": "sk-canary", "nexo": "nexo_token"}')
    warning = said(surroundings, programs / "llm")
    assert "~/.config/io.datasette.llm/keys.json holds openai, which overrides" in warning
    assert "canary" not in warning
    write(path, '{"nexo": "nexo_token"}')
    assert said(surroundings, programs / "llm") == ""
