"""Claude Code: the `env` of its settings files of this person; those of the present directory are named.

Source: its settings reference (`env`, `apiKeyHelper`; CLAUDE_CONFIG_DIR; 2026-10).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexo_client.sources import accounts, environment, reading
from nexo_client.sources.finding import Found, Skipped
from nexo_client.sources.reading import shown, table, word

_CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}
_NAMES = ("settings.json", "settings.local.json")
_OURS = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"}


def find(file: Path | None = None) -> Found:
    """Key and gateway, as far as they are in the settings."""
    if file is not None:
        # The two of a directory belong together: an address in the shared one, the token in the private one.
        beside = [file.parent / name for name in _NAMES]
        return _settings(beside if file in beside else [file])
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    project = reading.here() / ".claude"
    found = _settings([home / name for name in _NAMES])
    if project != home:
        of_project = (project / name for name in _NAMES)
        found += accounts.in_this_directory(filter(_decides, of_project), "claude-code")
    login = home / ".credentials.json"
    if login.exists() and not found.findings:
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        found += Found((), (Skipped("claude login", shown(login), reason),))
    return found


def _decides(path: Path) -> bool:
    settings, _ = accounts.settings_of(path, reading.json_of)
    return bool(_texts(settings.get("env")).keys() & _OURS) or bool(settings.get("apiKeyHelper"))


def _settings(paths: Sequence[Path]) -> Found:
    """What several files say together, later ones over earlier ones."""
    settings: dict[str, Any] = {}
    problems = Found()
    place = ""
    for path in paths:
        layer, problem = accounts.settings_of(path, reading.json_of)
        settings, problems = accounts.merged(settings, layer), problems + problem
        if _texts(layer.get("env")).keys() & _OURS or "apiKeyHelper" in layer or not place:
            place = shown(path)
    return problems + _account(settings, place)


def _account(settings: dict[str, Any], place: str) -> Found:
    variables = _texts(settings.get("env"))
    helper = word(settings.get("apiKeyHelper"))
    if helper and not variables.get("ANTHROPIC_API_KEY") and not variables.get("ANTHROPIC_AUTH_TOKEN"):
        reason = "its key comes from a command (apiKeyHelper); add it with --api-key-ref 'command:…'"
        return Found((), (Skipped("anthropic", place, reason),))
    for variable, cloud in _CLOUDS.items():
        if variables.get(variable, "").strip() in ("1", "true"):
            reason = f"{cloud} is reached with cloud credentials, not with an API key"
            return Found((), (Skipped("claude code", place, reason),))
    model = word(settings.get("model"))
    if model and variables:
        variables.setdefault("ANTHROPIC_MODEL", model)
    return environment.from_variables(variables, place)


def _texts(value: Any) -> dict[str, str]:
    # Numbers and booleans are written without quotes there.
    return {name: str(entry) for name, entry in table(value).items() if isinstance(entry, str | int)}
