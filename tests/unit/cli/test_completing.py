"""Tab completes commands, options, choices and names of connections; tried in the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexo_cli.cmds.completion import SCRIPTS
from nexo_cli.completing import CONNECTION, FILES, TOKEN, candidates
from typist import Typist

NAMES = ["work", "home", "Acme key"]
TOKENS = ["cursor", "ci"]


def complete(*words: str) -> list[str]:
    return candidates(list(words), {CONNECTION: NAMES, TOKEN: TOKENS}.__getitem__)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["li"], ["list"]),
        (["--js"], ["--json"]),
        (["--json", "sho"], ["show"]),
        (["--socket", "/x", "stat"], ["status"]),
        (["show", "w"], ["work"]),
        (["show", "a"], ["Acme key"]),
        (["default", ""], NAMES),
        (["remove", "work", "--replace-with", "h"], ["home"]),
        (["resolve", "--connection", ""], NAMES),
        (["resolve", "--format", ""], ["json", "env", "key"]),
        (["add", "x", "--provider", "an"], ["anthropic"]),
        (["add", "x", "--api-key-s"], ["--api-key-stdin"]),
        (["workspace", "b"], ["bind"]),
        (["workspace", "bind", "w"], ["work", FILES]),
        (["workspace", "bind", "--allow"], ["--allow-fallback"]),
        (["run", "--", "py"], [FILES]),
        (["completion", "f"], ["fish"]),
        (["token", "revoke", ""], TOKENS),
        (["token", "revoke", "cu"], ["cursor"]),
        (["token", "add", ""], []),
        (["token", "add", "x", "--connection", "w"], ["work"]),
        (["nonsense", ""], []),
        (["add", "x", "--base-url", ""], []),
    ],
)
def test_what_can_come_next(words: list[str], wanted: list[str]) -> None:
    assert complete(*words) == wanted


def test_names_are_asked_for_only_when_wanted() -> None:
    def never(_: str) -> list[str]:
        raise AssertionError("asked the daemon")

    assert candidates(["li"], never) == ["list"]
    assert set(candidates(["add", "--he"], never)) == {"--header", "--headers-json", "--help"}


@pytest.fixture
def nexoctl_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "nexoctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nexo_cli "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
@pytest.mark.usefixtures("nexoctl_on_path")
def test_bash_completes() -> None:
    ask = SCRIPTS["bash"] + (
        "\ndeclare -F _nexoctl >/dev/null || exit 9\n"
        'COMP_WORDS=(nexoctl resolve --format ""); COMP_CWORD=3; _nexoctl; printf "%s\\n" "${COMPREPLY[@]}"\n'
        'COMP_WORDS=(nexoctl daem); COMP_CWORD=1; _nexoctl; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == (["json", "env", "key", "daemon"], 0), done.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish on this machine")
@pytest.mark.usefixtures("nexoctl_on_path")
def test_fish_completes(tmp_path: Path) -> None:
    script = tmp_path / "nexoctl.fish"
    script.write_text(SCRIPTS["fish"])
    for line, wanted in (("nexoctl resolve --format ", ["env", "json", "key"]), ("nexoctl daem", ["daemon"])):
        ask = f'source "{script}"; complete -C "{line}"'
        done = subprocess.run(["fish", "--no-config", "-c", ask], capture_output=True, text=True, check=False)
        assert sorted(done.stdout.split()) == wanted, done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh on this machine")
@pytest.mark.usefixtures("nexoctl_on_path")
def test_zsh_completes(tmp_path: Path) -> None:
    script = tmp_path / "_nexoctl"
    script.write_text(SCRIPTS["zsh"])
    with Typist(["zsh", "-f", "-i"], env=dict(os.environ), cwd=tmp_path) as person:
        person.type_in(f"autoload -U compinit; compinit -u; source {script}; print rea''dy\n")
        person.expect("ready\n")
        person.type_in("print -r -- nexo''ctl; : nexoctl; nexoctl completion ba\t >&-; print do''ne\n")
        person.expect("nexoctl completion bash")
        person.expect("done\n")
        person.type_in("exit\n")
        person.wait()
