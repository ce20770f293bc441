"""A press of Tab in the shells themselves: the line after it, beside a daemon with connections and tokens."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from surroundings import Nexod, Surroundings, wait_for
from typist import Typist

# How each shell is started without anybody's settings, and told to write its line to a file at Ctrl-G.
SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        """bind -x '"\\C-g": printf "%s\\n" "$READLINE_LINE" >> {line}'""",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "tell() {{ print -r -- $BUFFER >> {line} }}; zle -N tell; bindkey '^G' tell",
    ),
    "fish": (["fish", "--no-config", "-i"], "bind \\cg 'commandline >> {line}'"),
}
PRESSED = {
    "nexoctl daem": "nexoctl daemon ",
    "nexoctl --js": "nexoctl --json ",
    "true && nexoctl show wo": "true && nexoctl show work ",
    "nexoctl show Ac": "nexoctl show Acme\\ key ",
    "nexoctl show 'Ac": "nexoctl show 'Acme key' ",
    "nexoctl token revoke cu": "nexoctl token revoke cursor ",
    "nexoctl resolve --format=k": "nexoctl resolve --format=key ",
    "nexoctl which ~/my": "nexoctl which ~/my\\ folder/",
}


@pytest.fixture
def path(surroundings: Surroundings, nexod: Nexod) -> str:
    """A PATH with nexoctl in it; the daemon has connections and a token, the home has a directory."""
    for name in ("work", "home", "Acme key"):
        surroundings.nexoctl(
            "add", name, "--provider", "ollama", "--base-url", "http://127.0.0.1:9", "--no-test"
        )
    surroundings.nexoctl("token", "add", "cursor")
    (surroundings.home / "my folder").mkdir()
    program = surroundings.home / "bin" / "nexoctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nexo_cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes(surroundings: Surroundings, path: str, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    script = surroundings.home / f"completion.{shell}"
    script.write_text(surroundings.nexoctl("completion", shell).out)
    command, binding = SHELLS[shell]
    ready = "autoload -U compinit; compinit -u; " if shell == "zsh" else ""
    got: dict[str, str] = {}
    with Typist(command, env=surroundings.env | {"PATH": path}, cwd=surroundings.home) as person:
        line = surroundings.home / "line"
        person.type_in(f"{ready}source {script}; {binding.format(line=line)}; echo rea''dy\n")
        person.expect("ready\n")
        for typed in PRESSED:
            person.type_in(f"{typed}\t\x07")
            wait_for(lambda: _whole(line, person), f"{shell} tells its line")
            got[typed] = line.read_text().removesuffix("\n")
            line.unlink()
            person.type_in("\x15")
        person.type_in("exit\n")
        person.wait()
    assert got == PRESSED


def _whole(line: Path, person: Typist) -> bool:
    # A shell whose output nobody reads would stop.
    person.shows("")
    return line.exists() and line.read_text().endswith("\n")
