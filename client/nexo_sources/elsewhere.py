"""Programs that are on this computer, have keys of their own, and are not read: each is named with one line.

Facts as data: where a program shows that somebody uses it, and where its keys are, to copy one by hand.
"""

from pathlib import Path

from nexo.connections.values import frozen
from nexo_sources.finding import Found, Skipped
from nexo_sources.reading import shown


@frozen
class UnreadProgram:
    """One that is not read.

    Attributes:
        places: below the home directory; `*` stands for any name.
        keeps: where its keys are.
    """

    title: str
    places: tuple[str, ...]
    keeps: str


_CODE = (".config/*/User/globalStorage/", "Library/Application Support/*/User/globalStorage/")
_EDITOR = "in the secret storage of the editor"
_DATABASE = "in a database of its own"
_SETTINGS = "in its settings"


def _extension(name: str) -> tuple[str, ...]:
    return tuple(place + name for place in _CODE)


def _app(name: str) -> tuple[str, ...]:
    return (f".config/{name}", f"Library/Application Support/{name}")


PROGRAMS = (
    UnreadProgram("Cline", _extension("saoudrizwan.claude-dev"), _EDITOR),
    UnreadProgram("Roo Code", _extension("rooveterinaryinc.roo-cline"), _EDITOR),
    UnreadProgram("Kilo Code", _extension("kilocode.kilo-code"), _EDITOR),
    UnreadProgram("Cursor", _app("Cursor/User"), _DATABASE),
    UnreadProgram("GitHub Copilot", (".config/github-copilot",), "as a login, not as an API key"),
    UnreadProgram("Jan", (*_app("Jan"), "jan/engines"), _SETTINGS),
    UnreadProgram("Cherry Studio", _app("CherryStudio"), _DATABASE),
    UnreadProgram("Chatbox", _app("xyz.chatboxapp.app"), _SETTINGS),
    UnreadProgram("AnythingLLM", _app("anythingllm-desktop"), _DATABASE),
    UnreadProgram("Open WebUI", (".open-webui", ".local/share/open-webui"), _DATABASE),
    UnreadProgram("shell-gpt", (".config/shell_gpt/.sgptrc",), "in .sgptrc"),
    UnreadProgram("Factory Droid", (".factory/config.json", ".factory/settings.json"), "in its config.json"),
    UnreadProgram("gptme", (".config/gptme/config.toml",), "in its config.toml"),
    UnreadProgram("fabric", (".config/fabric/.env",), "in its .env"),
)


# Where programs keep their files, in a home: people link these to a disk, a repository, a cloud.
_LINKED = (
    *(
        ".config",
        ".local",
        ".local/share",
        ".claude",
        ".codex",
        ".cc-switch",
        ".gemini",
        ".qwen",
        ".continue",
    ),
    *(".openclaw", ".hermes", ".env", ".aider.conf.yml", "Library/Application Support", "LibreChat"),
)


def find() -> Found:
    """Those of which there is a trace, and links that lead to nothing, behind which there may be more."""
    home = Path.home()
    skipped = [
        Skipped(name, shown(home / name), f"it is a link to {(home / name).readlink()}, which is not there")
        for name in _LINKED
        if (home / name).is_symlink() and not (home / name).exists()
    ]
    for program in PROGRAMS:
        place = next((path for pattern in program.places for path in _there(home, pattern)), None)
        if place is not None:
            reason = f"it is not read; its keys are {program.keeps}. Add one with: nexoctl add"
            skipped.append(Skipped(program.title, shown(place), reason))
    return Found((), tuple(skipped))


def _there(home: Path, pattern: str) -> list[Path]:
    try:
        if "*" in pattern:
            return sorted(home.glob(pattern))
        return [home / pattern] if (home / pattern).exists() else []
    except OSError:
        return []
