"""Programs that are on this computer, have keys of their own, and are not read: each is named with one line.

Facts as data: where a program shows that somebody uses it, and where its keys are, to copy one by hand.
"""

from dataclasses import dataclass
from pathlib import Path

from nexo_client.sources.finding import Found, Skipped
from nexo_client.sources.reading import shown


@dataclass(frozen=True, slots=True)
class Program:
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
    Program("Cline", _extension("saoudrizwan.claude-dev"), _EDITOR),
    Program("Roo Code", _extension("rooveterinaryinc.roo-cline"), _EDITOR),
    Program("Kilo Code", _extension("kilocode.kilo-code"), _EDITOR),
    Program("Cursor", _app("Cursor/User"), _DATABASE),
    Program("GitHub Copilot", (".config/github-copilot",), "as a login, not as an API key"),
    Program("Jan", (*_app("Jan"), "jan/engines"), _SETTINGS),
    Program("Cherry Studio", _app("CherryStudio"), _DATABASE),
    Program("Chatbox", _app("xyz.chatboxapp.app"), _SETTINGS),
    Program("AnythingLLM", _app("anythingllm-desktop"), _DATABASE),
    Program("Open WebUI", (".open-webui", ".local/share/open-webui"), _DATABASE),
    Program("shell-gpt", (".config/shell_gpt/.sgptrc",), "in .sgptrc"),
    Program("Factory Droid", (".factory/config.json", ".factory/settings.json"), "in its config.json"),
    Program("gptme", (".config/gptme/config.toml",), "in its config.toml"),
    Program("fabric", (".config/fabric/.env",), "in its .env"),
)


def find() -> Found:
    """Those of which there is a trace."""
    home = Path.home()
    skipped = []
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
