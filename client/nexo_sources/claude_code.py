"""Claude Code: `env` in the user's settings files; those in the current directory are only reported.

Source: its settings reference (`env`, `apiKeyHelper`, managed settings, CLAUDE_CONFIG_DIR; 2026-11). Settings
win over the shell, the project's settings over the user's, managed settings over all others. `primaryApiKey`
in ~/.claude.json is a key that was created by a login at the Console.
"""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nexo.connections.terms import Provider
from nexo_sources import accounts, environment, reading
from nexo_sources.finding import Found, Incomplete, Part, Skipped
from nexo_sources.reading import shown, table, word

CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_MANTLE": "Amazon Bedrock",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS": "Claude Platform on AWS",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}
"""Variables that make Claude Code use another service, whatever else it is told."""
_NAMES = ("settings.json", "settings.local.json")
_OURS = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"}
_MANAGED = (
    Path("/Library/Application Support/ClaudeCode") if sys.platform == "darwin" else Path("/etc/claude-code")
) / "managed-settings.json"
_STAND_IN = "the-key-that-the-command-prints"
# Aliases for models; a variable such as ANTHROPIC_DEFAULT_OPUS_MODEL says which model is meant.
_ALIAS = re.compile(r"(opus|sonnet|haiku)(plan)?(\[[^\]]*\])?", re.IGNORECASE)


def home() -> Path:
    """The directory with the user's settings."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


def files() -> list[Path]:
    """All settings files that Claude Code reads in the current directory."""
    own, project = (home() / name for name in _NAMES), (reading.here() / ".claude" / name for name in _NAMES)
    return list(dict.fromkeys([*own, *project, _MANAGED]))


def find(file: Path | None = None) -> Found:
    """The key and the address that the settings contain."""
    own = home()
    user = [*(own / name for name in _NAMES), _MANAGED]
    if file is not None:
        # Both files in a directory are read: the shared one often has the address, the private one the token.
        beside = [file.parent / name for name in _NAMES]
        paths = beside if file in beside else [file]
        return _settings(paths, _merged(user)[0] if file.parent != own else {})
    found = _settings(
        user, {}, own.parent / ".claude.json" if own.name == ".claude" else own / ".claude.json"
    )
    project = reading.here() / ".claude"
    if project != own:
        theirs = [path for path in (project / name for name in _NAMES) if _decides(path)]
        claims = environment.claims(_texts(_merged(theirs)[0].get("env")))
        found = environment.claimed(found, claims, "a file of this directory")
        found += accounts.in_this_directory(theirs, "claude-code")
    login = own / ".credentials.json"
    if login.exists() and not found.findings:
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        found += Found((), (Skipped("claude login", shown(login), reason),))
    return found


def _decides(path: Path) -> bool:
    settings, _ = accounts.settings_of(path, reading.json_of)
    return bool(_texts(settings.get("env")).keys() & _OURS) or bool(settings.get("apiKeyHelper"))


def _merged(paths: Sequence[Path]) -> tuple[dict[str, Any], Found, str]:
    """The merged settings (later files win), the problems, and the last file that sets a key or address."""
    settings: dict[str, Any] = {}
    problems, place = Found(), ""
    for path in paths:
        layer, problem = accounts.settings_of(path, reading.json_of)
        settings, problems = accounts.merged(settings, layer), problems + problem
        if _texts(layer.get("env")).keys() & _OURS or "apiKeyHelper" in layer or not place:
            place = shown(path)
    return settings, problems, place


def _settings(paths: Sequence[Path], around: dict[str, Any], console: Path | None = None) -> Found:
    """The account in these files.

    Args:
        around: other settings; only the addresses among them are used.
        console: the file with the key that a login at the Console created.
    """
    settings, problems, place = _merged(paths)
    variables = _texts(settings.get("env"))
    outer = _texts(around.get("env"))
    for variable, cloud in CLOUDS.items():
        if variables.get(variable, "").strip() in ("1", "true"):
            reason = f"{cloud} is reached with cloud credentials, not with an API key"
            return problems + Found((), (Skipped("claude code", place, reason),))
    has_key = variables.get("ANTHROPIC_API_KEY") or variables.get("ANTHROPIC_AUTH_TOKEN")
    helper = word(settings.get("apiKeyHelper"))
    if not has_key and not helper and console is not None:
        login, problem = accounts.settings_of(console, reading.json_of)
        problems += problem
        # Some users write an arbitrary word there to skip the login prompt.
        if word(login.get("primaryApiKey")).startswith("sk-ant-"):
            variables["ANTHROPIC_API_KEY"] = word(login["primaryApiKey"])
            place = shown(console)
    model = word(settings.get("model")) or variables.get("ANTHROPIC_MODEL", "")
    if model and variables:
        variables["ANTHROPIC_MODEL"] = _translated(variables.get("ANTHROPIC_MODEL") or model, variables)
    if helper and not has_key:
        return problems + _from_helper(helper, variables, outer, place)
    return problems + environment.from_variables(variables, place, around=outer)


def _translated(model: str, variables: dict[str, str]) -> str:
    """The model for an alias, if the settings define it."""
    alias = _ALIAS.fullmatch(model.strip())
    return variables.get(f"ANTHROPIC_DEFAULT_{alias[1].upper()}_MODEL", "") if alias else model


def _from_helper(helper: str, variables: dict[str, str], outer: dict[str, str], place: str) -> Found:
    """Report an account whose key is printed by a command, because the user has to approve the command."""
    # A placeholder for the key makes the usual code read the rest of the account.
    rest = environment.from_variables({**variables, "ANTHROPIC_API_KEY": _STAND_IN}, place, around=outer)
    reason = "its key comes from a command (apiKeyHelper); add it with --api-key-ref 'command:…'"
    incomplete = [
        Incomplete(lacks=Part.KEY, rest=replace(one, api_key="", place=place))
        for one in rest.findings
        if one.provider is Provider.ANTHROPIC
    ]
    return Found((), (Skipped("anthropic", place, reason, incomplete[0] if incomplete else None),))


def _texts(value: Any) -> dict[str, str]:
    # Numbers and booleans may stand there without quotes.
    return {name: str(entry) for name, entry in table(value).items() if isinstance(entry, str | int)}
