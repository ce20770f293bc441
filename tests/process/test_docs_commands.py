"""Somebody types every command of every page: each line of a `sh` block runs, or a table says why it cannot.

Each page gets a fresh home, with the connections that it speaks of, and the bundled example in the place of
the providers. What docs/first-ten-minutes.md shows is typed at a terminal by test_first_ten_minutes.py.
"""

import json
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from surroundings import Surroundings

REPOSITORY = Path(__file__).parents[2]

# Why a command is not typed here. A reason must be one of these.
TERMINAL = "asks a person at a terminal: test_first_ten_minutes.py and test_nexoctl_terminal.py answer it"
PASSPHRASE = "asks for a passphrase at a terminal: test_keeping.py gives it by stdin"
ROOT = "changes the system, as root: make deb-test lives with the package"
SYSTEM = "needs a user session with systemd: make deb-test has one"
DESKTOP = "needs a desktop: tests/desktop and tests/browser have one"
DEVELOPER = "a command of a developer, which takes minutes: CI runs it"
PYTHON = "installs into a Python: tests/packaging does it"
ENDLESS = "goes on until Ctrl-C: test_nexoctl_terminal.py ends it"
OPTIONAL = "needs a program of somebody else: tests/unit and tests/thirdparty have it"
SHELL = "writes into the directory of a shell: test_completion.py loads what it prints"

# Page, beginning of the line.
NOT_TYPED: dict[tuple[str, str], str] = {
    ("README.md", "make "): DEVELOPER,
    ("README.md", "pip install"): PYTHON,
    ("README.md", "nexoctl add "): TERMINAL,
    ("README.md", "nexo-tray"): DESKTOP,
    ("README.md", "nexoctl settings"): DESKTOP,
    ("backup.md", "nexoctl export --with-secrets"): PASSPHRASE,
    ("backup.md", "nexoctl vault unlock"): TERMINAL,
    ("backup.md", "systemctl"): SYSTEM,
    ("backup.md", "nexoctl vault rekey"): SYSTEM,
    ("contributing.md", "make"): DEVELOPER,
    ("contributing.md", ".ci/run"): DEVELOPER,
    ("install.md", "git clone"): PYTHON,
    ("install.md", "pip "): PYTHON,
    ("install.md", "sudo "): ROOT,
    ("gateway.md", "nexoctl daemon install"): SYSTEM,
    ("gateway.md", "nexoctl daemon stop"): SYSTEM,
    ("gateway.md", "systemctl"): SYSTEM,
    ("health.md", "nexoctl health --watch"): ENDLESS,
    ("install.md", "nexoctl daemon install"): SYSTEM,
    ("install.md", "nexoctl daemon uninstall"): SYSTEM,
    ("install.md", "nexo-tray"): DESKTOP,
    ("nexoctl.md", "nexoctl vault rekey"): PASSPHRASE,
    ("nexoctl.md", "nexoctl export --with-secrets"): PASSPHRASE,
    ("nexoctl.md", "nexoctl completion"): SHELL,
    ("programs.md", "llm "): OPTIONAL,
    ("settings.md", "nexoctl settings"): DESKTOP,
    ("tray.md", "sudo "): ROOT,
    ("tray.md", "/usr/bin/python3 -m venv"): PYTHON,
    ("tray.md", "~/nexo/bin/"): PYTHON,
}

# What a page speaks of and does not make itself.
PRESENT: dict[str, tuple[str, ...]] = {
    "connections.md": (),
    "README.md": (),
    "nexoctl.md": ("home", "cheap", "acme-key", "backup"),
}
USUAL = ("home", "work", "cheap", "acme-key", "backup", "local")

# Programs of other people, which only have to be given a connection.
GIVEN = 'test -n "$OPENAI_BASE_URL$NEXO_SOCKET"\n'
PROGRAMS = {
    "aider": GIVEN,
    "pass": f"echo {HOME.key}\n",
    "jq": "cat\n",
}

_LITELLM = """\
model_list:
  - model_name: team
    litellm_params: {{model: openai/example-small, api_base: "{url}", api_key: os.environ/KEY}}
"""

# A provider that lacks its key, and a key that lacks its address.
_CODEX = """\
model_provider = "corp"
model_providers.corp = {{ name = "corp", base_url = "{url}", env_key = "NOT_SET_HERE" }}
"""
_AIDER = "OPENAI_API_KEY={key}\nOPENAI_API_HOST=https://somewhere.example\n"


def shown(page: Path) -> Iterator[str]:
    """Each line of the page's `sh` blocks, without its remark."""
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            command = re.sub(r"(^|\s)#( .*|$)", "", line).strip()
            if command:
                yield command


def reason(page: Path, command: str) -> str:
    found = [
        why
        for (name, begin), why in NOT_TYPED.items()
        if name == page.name and f"{command} ".startswith(begin)
    ]
    return found[0] if found else ""


PAGES = [
    page
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
    if any(True for _ in shown(page))
]


def test_only_the_first_ten_minutes_are_shown_as_a_console() -> None:
    pages = (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md"))
    assert [page.name for page in pages if "```console" in page.read_text("utf-8")] == [
        "first-ten-minutes.md"
    ]


def test_each_reason_is_that_of_a_command() -> None:
    used = {
        (name, begin)
        for page in PAGES
        for command in shown(page)
        for name, begin in NOT_TYPED
        if name == page.name and f"{command} ".startswith(begin)
    }
    assert used == NOT_TYPED.keys()


class Reader:
    """Who types, and what lies in the home already."""

    def __init__(self, surroundings: Surroundings, provider: ExampleProvider) -> None:
        self._surroundings = surroundings
        self._provider = provider
        self.env = {
            "PATH": f"{surroundings.home / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "KEY": WORK.key,
            "MY_KEY": HOME.key,
            "CORP_KEY": HOME.key,
        }
        home = surroundings.home
        for directory in ("bin", "clients/acme", "proxy"):
            (home / directory).mkdir(parents=True)
        for name, text in PROGRAMS.items():
            self._program(home / "bin" / name, text)
        self._program(home / "nightly-job", "true\n")
        self._program(home / "own-client", GIVEN)
        self._program(home / "bin" / "python", f'exec {sys.executable} "$@"\n')
        self._program(home / "bin" / "nexoctl", f'exec {sys.executable} -m nexo_cli --no-start "$@"\n')
        (home / "agent.py").write_text('import os\nos.environ["OPENAI_BASE_URL"]\n')
        (home / "proxy" / "config.yaml").write_text(_LITELLM.format(url=provider.base_url(Provider.OPENAI)))
        (home / "headers.json").write_text(json.dumps({"Authorization": f"Bearer {WORK.key}"}))
        (home / ".codex").mkdir()
        (home / ".codex" / "config.toml").write_text(_CODEX.format(url=provider.base_url(Provider.CUSTOM)))
        (home / ".env").write_text(_AIDER.format(key=WORK.key))

    def _program(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def has(self, *names: str) -> None:
        url = self._provider.base_url(Provider.OPENAI)
        for name in names:
            self._surroundings.nexoctl(
                *("add", name, "--provider", "openai", "--base-url", url, "--api-key-env", "KEY"),
                env=self.env,
            )

    def types(self, command: str) -> str:
        """What went wrong; empty if nothing."""
        done = self._surroundings.run(
            ["bash", "-o", "pipefail", "-c", self._here(command)], env=self.env, expect=None
        )
        return f"{command}\n{done!r}" if done.code else ""

    def _here(self, command: str) -> str:
        """The command with what stands here for the providers, hosts and directories of the page."""
        url = self._provider.base_url(Provider.OPENAI)
        for provider in (Provider.OPENAI, Provider.ANTHROPIC):
            address = self._provider.base_url(provider)
            command = re.sub(rf"--provider {provider.value}\b", rf"\g<0> --base-url {address}", command)
        command = re.sub(r"--provider (groq|openrouter)\b", rf"\g<0> --base-url {url}", command)
        # The example knows no server that wants no key.
        ollama = f"--api-key-env KEY --base-url {self._provider.base_url(Provider.OLLAMA)}"
        command = re.sub(r"--provider ollama\b", rf"\g<0> {ollama}", command)
        for shown, here in {
            "https://llm.example.com/v1": url,
            "https://api.openai.com/v1": url,
            "https://gw.example.com/v1": url,
            "--model gpt-example": "--model example-small",
            "--api-key-env GROQ_API_KEY": "--api-key-env KEY",
            "~/.local/share/nexo": "data",
            "~/.local/state/nexo": "state",
            "~/.config/nexo": "config",
        }.items():
            command = command.replace(shown, here)
        return command


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_command_of_a_page_does_what_it_says(page: Path) -> None:
    commands = [command for command in shown(page) if not reason(page, command)]
    if not commands:
        return
    with ExampleProvider() as provider, Surroundings() as surroundings:
        reader = Reader(surroundings, provider)
        surroundings.start_nexod(env=reader.env)
        reader.has(*PRESENT.get(page.name, USUAL))
        if page.name == "README.md":
            # After a stranger's first page, everything is in order.
            commands.append("nexoctl doctor")
        problems = [problem for command in commands if (problem := reader.types(command))]
    assert not problems, "\n\n".join(problems)
