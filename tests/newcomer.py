"""Writes docs/first-ten-minutes.md: a newcomer's first ten minutes at a real terminal.

`python tests/newcomer.py` writes the page again; a test compares the page with a new run. Times, pids and
ports, which differ between runs, are replaced in both.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, REVOKED, WORK, ExampleProvider
from surroundings import Surroundings
from typist import Typist, on_screen

PAGE = Path(__file__).parent.parent / "docs" / "first-ten-minutes.md"

_INTRODUCTION = """\
# The first ten minutes

This page shows a first session with `nexoctl` in a terminal. The user's answers are behind the questions;
keys are not shown while they are typed. The provider here is an example on this computer, so the user types
its base URL; for a real provider, press Enter. The output is that of the real commands:
`python tests/newcomer.py` writes this page, and a test checks it.
"""

Step = tuple[str, str]


class _Newcomer:
    def __init__(self, surroundings: Surroundings, url: str) -> None:
        self._surroundings = surroundings
        self._url = url
        self.page = [_INTRODUCTION]

    def says(self, text: str) -> None:
        self.page.append(f"{text}\n")

    def waits_for_health(self) -> None:
        """Wait until the background checks have run."""
        self._surroundings.nexoctl("health", "--check")

    def has_codex(self, settings: str, key: str) -> None:
        """Put a configuration of Codex CLI into the home directory."""
        directory = self._surroundings.home / ".codex"
        directory.mkdir()
        text = f'{settings}experimental_bearer_token = "{key}"\n'
        (directory / "config.toml").write_text(text, encoding="utf-8")

    def does(self, command: str, steps: Sequence[Step] = (), code: int = 0) -> None:
        """Type a command, answer its questions, keep what the terminal showed."""
        words = shlex.split(command)[1:]
        with Typist(
            [sys.executable, "-m", "nexo_cli", *words],
            env=self._surroundings.env,
            cwd=self._surroundings.home,
            columns=110,
        ) as person:
            for question, answer in steps:
                person.expect(question)
                person.type_in(f"{answer}\n")
            assert person.wait() == code, f"{command}\n{person.text}"
            shown = same(on_screen(person.raw), self._surroundings, self._url)
        status = f"[exit status {code}]\n" if code else ""
        self.page.append(
            f"```console\n$ {same(command, self._surroundings, self._url)}\n{shown}{status}```\n"
        )


def same(text: str, surroundings: Surroundings, url: str) -> str:
    """The text, with everything replaced that differs between runs."""
    port = url.partition("127.0.0.1:")[2].partition("/")[0]
    text = text.replace(str(surroundings.home), "/home/you").replace(port, "4010")
    # The gateway's port is chosen at random.
    text = re.sub(r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:21212", text)
    text = re.sub(r"pid \d+", "pid 4711", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "2026-11-23 12:00", text)
    text = re.sub(r"\((now|\d+ (s|min) ago)\)", "(5 s ago)", text)
    text = re.sub(r"CHECKED +", "CHECKED  ", text)
    text = re.sub(r"  (now|\d+ s ago) +", "  now      ", text)
    # Right-aligned numbers stay right-aligned.
    text = re.sub(r"( +)\d+(\.\d+)? (ms|s)\b", _five_ms, text)
    text = re.sub(r"Revision +\d+", "Revision     7", text)
    return re.sub(r"(grpcio|Python|nexoctl|version) \d[\w.]*", r"\1 1.0", text)


def _five_ms(found: re.Match[str]) -> str:
    return "5 ms".rjust(len(found[0])) if len(found[1]) > 1 else " 5 ms"


def tell() -> str:
    """The text of the page, from a new run."""
    with ExampleProvider() as provider, Surroundings() as surroundings:
        url = provider.base_url(Provider.OPENAI)
        person = _Newcomer(surroundings, url)
        try:
            _story(person, url, provider.origin)
        finally:
            surroundings.nexoctl("daemon", "stop", expect=None)
    return "\n".join(person.page)


def _story(person: _Newcomer, url: str, origin: str) -> None:
    person.says(
        "## A first connection\n\n"
        "`nexoctl add` starts the daemon, asks for the connection, tests it, and saves it."
    )
    person.does(
        "nexoctl add",
        [
            ("Name: ", "work"),
            ("Provider [openai]: ", "1"),
            ("API key (hidden): ", WORK.key),
            ("Base URL [https://api.openai.com/v1]: ", url),
            ("Custom headers as JSON (Enter for none): ", ""),
        ],
    )
    person.says(
        "## A second one, with two mistakes\n\n"
        "First mistake: an address without `/v1`. The daemon tests a suggestion before it shows it."
    )
    person.does(
        f"nexoctl add home --provider openai --base-url {origin} --model example-small",
        [
            ("API key (hidden): ", HOME.key),
            ("Custom headers as JSON (Enter for none): ", ""),
            ("[Y/n] ", "y"),
        ],
    )
    person.says("Second mistake: a key that was revoked.")
    person.does(
        f"nexoctl add old --provider openai --base-url {url}",
        [
            ("API key (hidden): ", REVOKED.key),
            ("Custom headers as JSON (Enter for none): ", ""),
            ("[y/N] ", ""),
        ],
        code=6,
    )
    person.says("## List and test the connections")
    person.waits_for_health()
    person.does("nexoctl list")
    person.does("nexoctl test --all")
    person.says("## Switch the default, and start a program")
    person.does("nexoctl default hmoe", code=5)
    person.does("nexoctl default home")
    person.does("nexoctl run -- sh -c 'echo $OPENAI_BASE_URL'")
    person.says("## Bind a directory to a connection")
    person.does("nexoctl workspace bind . work")
    person.does("nexoctl which --explain")
    person.says(
        "## Import from other programs\n\n"
        "Here Codex CLI has an account. `nexoctl` reads its files and does not change them."
    )
    person.has_codex(f'[model_providers.gateway]\nbase_url = "{origin}/v1"\n', HOME.key)
    person.does("nexoctl import codex", [("Import which?", "1")])
    person.says("## See the state of the daemon, and remove a connection")
    person.does("nexoctl status")
    person.does("nexoctl remove work", [("[y/N] ", "y")], code=7)


if __name__ == "__main__":
    PAGE.write_text(tell(), encoding="utf-8")
