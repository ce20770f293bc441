"""Claude Code: the `env` of its settings files, for this person and for the directory that they are in.

Source: its settings reference (`env`, `apiKeyHelper`; CLAUDE_CONFIG_DIR; 2026-10).
"""

import os
from pathlib import Path
from typing import Any

from nexo_client.sources import environment, reading
from nexo_client.sources.finding import Found, Skipped
from nexo_client.sources.reading import Unreadable, shown, table, word

_CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}


def find(file: Path | None = None) -> Found:
    """Key and gateway, as far as they are in the settings."""
    if file is not None:
        return _settings(file)
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    project = Path.cwd() / ".claude"
    found = Found()
    for directory in dict.fromkeys((home, project)):
        for name in ("settings.json", "settings.local.json"):
            found += _settings(directory / name)
    login = home / ".credentials.json"
    if login.exists() and not found.findings:
        reason = "it is the login of a Claude subscription (OAuth), not an API key"
        found += Found((), (Skipped("claude login", shown(login), reason),))
    return found


def _settings(path: Path) -> Found:
    try:
        text = reading.text_of(path)
        settings = table(reading.json_of(text)) if text is not None else {}
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))
    place = shown(path)
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
