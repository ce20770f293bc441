"""What in a program's own settings wins over the variables that `nexoctl run` sets?

Source: the settings reference of Claude Code (`env` and `apiKeyHelper` win over the shell); what Codex does
(its address and key come from config.toml alone); November 2026.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nexo.connections.terms import TOKEN_PREFIX
from nexo_client.variables import RIVALS


def _of_claude_code() -> Iterator[str]:
    from nexo_sources import accounts, claude_code, reading
    from nexo_sources.reading import shown, table

    for path in claude_code.files():
        settings, _ = accounts.settings_of(path, reading.json_of)
        variables = table(settings.get("env"))
        if any(str(value).startswith(TOKEN_PREFIX) for value in variables.values()):
            # Written by `nexoctl gateway setup`.
            continue
        names = [name for name in variables if name in RIVALS]
        names += ["apiKeyHelper"] if settings.get("apiKeyHelper") else []
        if names:
            yield (
                f"{shown(path)} sets {', '.join(names)}, which wins over what `nexoctl run` sets: remove it"
                " there, or let it lead to the gateway: nexoctl gateway setup claude-code --write"
            )


def _of_codex() -> Iterator[str]:
    from nexo_sources import accounts, codex, reading
    from nexo_sources.reading import shown, table

    path = codex.home() / "config.toml"
    settings, _ = accounts.settings_of(path, reading.toml_of)
    chosen = settings.get("model_provider")
    provider = table(table(settings.get("model_providers")).get(str(chosen)))
    if not str(provider.get("experimental_bearer_token", "")).startswith(TOKEN_PREFIX):
        yield (
            f"codex takes its address and key from {shown(path)}, not from what `nexoctl run` sets:"
            " nexoctl gateway setup codex --write"
        )


_PROGRAMS: Mapping[str, Callable[[], Iterator[str]]] = {"claude": _of_claude_code, "codex": _of_codex}


def winning(program: str) -> tuple[str, ...]:
    """A sentence for each file that leads this program elsewhere; nothing for programs that are not known."""
    found = _PROGRAMS.get(Path(program).stem)
    return tuple(found()) if found is not None else ()
