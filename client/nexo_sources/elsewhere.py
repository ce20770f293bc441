"""Reports programs on this computer that have API keys but cannot be imported.

The table says which files show that a program is in use, and where the user finds its keys.
"""

from pathlib import Path

from nexo.connections.values import frozen
from nexo_sources.finding import Found, Skipped
from nexo_sources.reading import shown


@frozen
class UnreadProgram:
    """A program whose keys are not read.

    Attributes:
        places: paths that exist if the program is in use, relative to the home directory; `*` is any name.
        keeps: where its keys are, as part of a sentence.
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
)


# Directories that contain files of programs. Users replace them by links to a disk, a repository or a cloud.
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
    """The programs that are in use, and dangling links, behind which there may be more."""
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
