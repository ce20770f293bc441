"""The settings for key-helper commands in the README: taken from the page, run as those programs run them.

How each program runs its command: Claude Code by /bin/sh (its settings reference); Codex without a shell,
white space at the ends removed (openai/codex pull request 16267); mods without a shell, standard error taken
together with standard output (`ensureKey` in its mods.go); CodeCompanion by a shell (its guide to adapters).
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from surroundings import PATIENCE_S, Surroundings

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Programs that fetch their key")[2].partition("\n## ")[0]


def block(program: str) -> str:
    """The setting of a program."""
    found = re.search(rf"^\*\*{re.escape(program)}\*\*.*?```\w+\n(.*?)```", SECTION, re.DOTALL | re.MULTILINE)
    assert found, f"the README has no setting of {program}"
    return found[1]


def claude_code() -> tuple[list[str], bool]:
    return ["/bin/sh", "-c", json.loads(block("Claude Code"))["apiKeyHelper"]], False


def codex() -> tuple[list[str], bool]:
    settings = tomllib.loads(block("Codex"))
    auth = settings["model_providers"][settings["model_provider"]]["auth"]
    return [auth["command"], *auth["args"]], False


def mods() -> tuple[list[str], bool]:
    return shlex.split(yaml.safe_load(block("mods"))["apis"]["openai"]["api-key-cmd"]), True


def code_companion() -> tuple[list[str], bool]:
    found = re.search(r'api_key = "cmd:([^"]+)"', block("CodeCompanion.nvim"))
    assert found
    return ["/bin/sh", "-c", found[1]], False


PROGRAMS: dict[str, Callable[[], tuple[list[str], bool]]] = {
    "Claude Code": claude_code,
    "Codex": codex,
    "mods": mods,
    "CodeCompanion.nvim": code_companion,
}


@pytest.fixture
def home(surroundings: Surroundings, provider: ExampleProvider) -> Iterator[Surroundings]:
    """A home with nexoctl in its PATH, two connections, and no daemon that runs."""
    program = surroundings.home / "bin" / "nexoctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nexo_cli "$@"\n')
    program.chmod(0o755)
    daemon = surroundings.start_nexod()
    for name, account in (("home", HOME), ("work", WORK)):
        url = provider.base_url(Provider.OPENAI)
        flags = ["--provider", "openai", "--base-url", url, "--api-key-stdin", "--no-test"]
        surroundings.nexoctl("add", name, *flags, stdin=account.key)
    surroundings.nexoctl("default", "work")
    daemon.stop()
    yield surroundings
    surroundings.nexoctl("daemon", "stop")


def test_every_setting_of_the_page_is_tried() -> None:
    assert re.findall(r"^\*\*(.+?)\*\*", SECTION, re.MULTILINE) == list(PROGRAMS)
    assert SECTION.count("```") == 2 * len(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_command_gives_the_key_and_nothing_else(
    name: str, home: Surroundings, provider: ExampleProvider
) -> None:
    command, with_stderr = PROGRAMS[name]()
    # The page names the vendors' addresses; the provider of the test is on this computer.
    command = [re.sub(r"https://api\.\w+\.com", provider.origin, word) for word in command]
    env = home.env
    env["PATH"] = f"{home.home / 'bin'}:{env['PATH']}"

    def ask() -> str:
        done = subprocess.run(
            command,
            env=env,
            cwd=home.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_stderr else subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout.strip()

    first = ask()
    assert first == WORK.key, "while the daemon had to be started"
    assert ask() == WORK.key, "while it runs"
    anthropic = name == "Claude Code"
    header = {"x-api-key": first} if anthropic else {"authorization": f"Bearer {first}"}
    url = f"{provider.origin}/v1/models"
    answer = httpx.get(url, headers=header | ({"anthropic-version": "2023-06-01"} if anthropic else {}))
    assert answer.status_code == 200


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_command_gives_no_key_for_another_address_than_that_of_the_settings(
    name: str, home: Surroundings
) -> None:
    command, _ = PROGRAMS[name]()
    env = home.env
    env["PATH"] = f"{home.home / 'bin'}:{env['PATH']}"
    done = subprocess.run(command, env=env, cwd=home.home, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert WORK.key not in done.stdout + done.stderr
    assert "its key is not printed for that address" in done.stderr
    assert done.stdout == ""
