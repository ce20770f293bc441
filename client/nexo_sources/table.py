"""The table of sources that `nexoctl import` offers, in the order in which they are searched."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from nexo.connections.terms import TOKEN_PREFIX
from nexo.connections.values import frozen
from nexo_sources import (
    aichat,
    aider,
    cc_switch,
    claude_code,
    cline,
    codex,
    continue_dev,
    crush,
    droid,
    elsewhere,
    environment,
    fabric,
    gemini_cli,
    goose,
    gptme,
    hermes,
    librechat,
    litellm,
    llm,
    mods,
    openclaw,
    opencode,
    pi,
    project,
    qwen_code,
    servers,
    shell_gpt,
    zed,
)
from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.reading import closed_shell


@frozen
class Source:
    """A program or place that may contain connections.

    Attributes:
        name: the name that users type.
        title: the name that users see.
        places: the files or variables that it reads, for the help.
        read: searches the usual places.
        read_file: reads one file; None if the source has no files.
        of_shell: the result depends on the environment or directory of the shell that started the program.
    """

    name: str
    title: str
    places: str
    read: Callable[[], Found]
    read_file: Callable[[Path], Found] | None = None
    of_shell: bool = False

    def of_file(self, path: Path) -> "Source":
        """A source that reads the file that the user named. It is not trusted: it may be in a clone."""
        read = self.read_file
        assert read is not None  # noqa: S101 - asked by the caller

        def closed() -> Found:
            with closed_shell():
                return read(path)

        return Source(self.name, self.title, self.places, closed)


SOURCES: tuple[Source, ...] = (
    Source(
        "env",
        "variables of this shell",
        "OPENAI_API_KEY, ANTHROPIC_API_KEY, …",
        environment.find,
        of_shell=True,
    ),
    Source(
        "servers",
        "servers on this computer",
        "Ollama, LM Studio, vLLM, llama.cpp, LiteLLM on their usual ports",
        servers.find,
    ),
    Source("cc-switch", "CC Switch", "~/.cc-switch", cc_switch.find, cc_switch.find),
    Source("claude-code", "Claude Code", "~/.claude", claude_code.find, claude_code.find),
    Source("codex", "Codex CLI", "~/.codex", codex.find, codex.find),
    Source("llm", "the llm command", "keys.json, extra-openai-models.yaml", llm.find, llm.find),
    Source("aider", "aider", ".env, .aider.conf.yml", aider.find, aider.find),
    Source("continue", "Continue", "~/.continue", continue_dev.find, continue_dev.find),
    Source("litellm", "LiteLLM", "litellm_config.yaml", litellm.find, litellm.find),
    Source("opencode", "OpenCode", "~/.config/opencode, auth.json", opencode.find, opencode.find),
    Source("pi", "pi", "~/.pi/agent", pi.find, pi.find),
    Source("gemini-cli", "Gemini CLI", "~/.gemini", gemini_cli.find, gemini_cli.find),
    Source("qwen-code", "Qwen Code", "~/.qwen", qwen_code.find, qwen_code.find),
    Source("zed", "Zed", "~/.config/zed/settings.json", zed.find, zed.find),
    Source("openclaw", "OpenClaw", "~/.openclaw", openclaw.find, openclaw.find),
    Source("hermes", "Hermes Agent", "~/.hermes", hermes.find, hermes.find),
    Source("crush", "Crush", "crush.json", crush.find, crush.find),
    Source("librechat", "LibreChat", "librechat.yaml, .env", librechat.find, librechat.find),
    Source("goose", "goose", "~/.config/goose", goose.find, goose.find),
    Source("aichat", "aichat", "~/.config/aichat", aichat.find, aichat.find),
    Source("mods", "mods", "~/.config/mods/mods.yml", mods.find, mods.find),
    Source("shell-gpt", "shell-gpt", "~/.config/shell_gpt/.sgptrc", shell_gpt.find, shell_gpt.find),
    Source("gptme", "gptme", "~/.config/gptme", gptme.find, gptme.find),
    Source("fabric", "fabric", "~/.config/fabric/.env", fabric.find, fabric.find),
    Source("cline", "Cline", "~/.cline/data/settings/providers.json", cline.find, cline.find),
    Source("droid", "Factory Droid", "~/.factory", droid.find, droid.find),
    Source(
        "project",
        "this directory",
        ".env.local, .envrc, compose files",
        project.find,
        project.find,
        of_shell=True,
    ),
    Source("others", "programs that are not read", "Cursor, Jan, Open WebUI, Roo Code, …", elsewhere.find),
)


def named(name: str) -> Source | None:
    """The source with this name; None if there is none."""
    return next((source for source in SOURCES if source.name == name.casefold()), None)


def _read(source: Source) -> Found:
    try:
        return _without_keys_in_texts(_without_gateway_tokens(source.read()))
    except OSError as error:
        # For example another user's directory or a dead mount. The other sources are still searched.
        reason = f"it can't be read: {(error.strerror or 'unknown').lower()}"
    except Exception as error:  # noqa: BLE001 - files of other programs hold anything; its text may be a key
        reason = f"nexoctl cannot interpret its content ({type(error).__name__}); please report this"
    return Found((), (Skipped(source.title, source.places, reason),))


def _without_gateway_tokens(found: Found) -> Found:
    """Skip accounts with a token of our gateway: such a connection would lead the gateway to itself."""
    ours = [finding for finding in found.findings if finding.api_key.startswith(TOKEN_PREFIX)]
    reason = "it goes through the gateway of Nexo"
    skipped = tuple(Skipped(finding.name, finding.place, reason) for finding in ours)
    kept = tuple(finding for finding in found.findings if finding not in ours)
    return Found(kept, found.skipped + skipped)


_SHORTEST_KEY = 16
"""Shorter keys are words for local servers, such as "ollama", and may also be part of a name."""


def _without_keys_in_texts(found: Found) -> Found:
    """Remove keys from texts that are shown; a file may contain its key anywhere, even in a name."""
    kept: list[Finding] = []
    left_out: list[Skipped] = []
    for finding in found.findings:
        if len(finding.api_key) < _SHORTEST_KEY:
            kept.append(finding)
            continue
        key = re.compile(re.escape(finding.api_key), re.IGNORECASE)
        shown = replace(finding, name=key.sub("…", finding.name), place=key.sub("…", finding.place))
        if key.search(finding.base_url) or any(key.search(header.name) for header in finding.headers):
            reason = "its key is also in its address or in a header name, where it would be shown"
            left_out.append(Skipped(shown.name, shown.place, reason))
        else:
            kept.append(replace(shown, model="" if key.search(finding.model) else finding.model))
    return Found(tuple(kept), found.skipped + tuple(left_out))


def survey(sources: Iterable[Source] = SOURCES) -> list[tuple[Source, Found]]:
    """The result of each source without duplicates; sources with an empty result are left out."""
    results = []
    seen: set[object] = set()
    for source in sources:
        found = _read(source).merged()
        fresh = tuple(finding for finding in found.findings if finding.identity not in seen)
        seen.update(finding.identity for finding in fresh)
        if fresh or found.skipped:
            results.append((source, Found(fresh, found.skipped)))
    return results
