"""Which settings of a program override the variables that `nexoctl run` sets?

Source: the settings reference of Claude Code (`env` and `apiKeyHelper` override the shell); tests with Codex
(it reads its address and key only from config.toml), shell-gpt (API_BASE_URL) and llm (keys.json); the source
of mods (it has no variable for the address); November 2026.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nexo.connections.terms import TOKEN_PREFIX
from nexo_client.variables import RIVALS


def _reads_none(program: str, what: str, file: str) -> str:
    return (
        f"{program} takes its {what} from {file}, not from the variables of `nexoctl run`:"
        f" nexoctl gateway setup {program} --write"
    )


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
                f"{shown(path)} sets {', '.join(names)}, which overrides the variables of `nexoctl run`:"
                " remove it there, or point it at the gateway: nexoctl gateway setup claude-code --write"
            )


def _of_codex() -> Iterator[str]:
    from nexo_sources import accounts, codex, reading
    from nexo_sources.reading import shown, table

    path = codex.home() / "config.toml"
    settings, _ = accounts.settings_of(path, reading.toml_of)
    chosen = settings.get("model_provider")
    provider = table(table(settings.get("model_providers")).get(str(chosen)))
    if not str(provider.get("experimental_bearer_token", "")).startswith(TOKEN_PREFIX):
        yield _reads_none("codex", "address and key", shown(path))


def _of_shell_gpt() -> Iterator[str]:
    from nexo_sources import accounts, shell_gpt
    from nexo_sources.reading import shown

    path = shell_gpt.own_file()
    settings, _ = accounts.variables_in(path)
    if settings.get("OPENAI_API_KEY", "").startswith(TOKEN_PREFIX):
        return
    # Too common a name to be removed from the environment of every program.
    of_shell = os.environ.get("API_BASE_URL")
    if shell_gpt.address({"API_BASE_URL": of_shell} if of_shell else settings):
        yield (
            f"{'the shell' if of_shell else shown(path)} sets API_BASE_URL, which overrides the variables of"
            " `nexoctl run`: remove it there, or point it at the gateway:"
            " nexoctl gateway setup shell-gpt --write"
        )


def _of_mods() -> Iterator[str]:
    from nexo_sources import accounts, mods, reading
    from nexo_sources.reading import shown, table, word

    path = mods.own_file()
    settings, _ = accounts.settings_of(path, reading.yaml_of)
    openai = table(table(settings.get("apis")).get("openai"))
    if not word(openai.get("api-key")).startswith(TOKEN_PREFIX):
        yield _reads_none("mods", "address", shown(path))


def _of_llm() -> Iterator[str]:
    from nexo_sources import accounts, llm, reading
    from nexo_sources.reading import shown

    path = llm.directory() / "keys.json"
    stored, _ = accounts.settings_of(path, reading.json_of)
    names = [name for name in ("openai", "anthropic", "gemini") if stored.get(name)]
    if names:
        yield (
            f"{shown(path)} holds {', '.join(names)}, which overrides the key of `nexoctl run`:"
            " remove it there, or use the gateway's own model: nexoctl gateway setup llm --write"
        )


_PROGRAMS: Mapping[str, Callable[[], Iterator[str]]] = {
    "claude": _of_claude_code,
    "codex": _of_codex,
    "llm": _of_llm,
    "mods": _of_mods,
    "sgpt": _of_shell_gpt,
}


def winning(program: str) -> tuple[str, ...]:
    """A sentence for each file that overrides the variables for this program; empty for unknown programs."""
    found = _PROGRAMS.get(Path(program).stem)
    return tuple(found()) if found is not None else ()
