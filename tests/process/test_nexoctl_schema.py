"""What `nexoctl --json` prints is what `nexoctl --json --help` says, field by field, for every command."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from json_schema import CONFORMED, SCHEMA, problems, problems_of
from nexo.connections.terms import Provider
from nexo_cli.commands import COMMANDS
from nexo_cli.demo.provider import BUSY, REVOKED, WORK, ExampleProvider
from nexo_cli.parser import command_parser, subparsers_of
from settings_parts import end_settings
from surroundings import Nexod, Surroundings

PRINTS_NO_JSON = {"run", "demo"}
"""The one becomes another program, the other tells a story. Their errors are JSON like all others."""


class Speaker:
    """Runs commands with --json, and holds what they print against the schema."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings, self.seen = surroundings, set[str]()

    def __call__(self, command: str, *words: str, stdin: str = "", code: int = 0, **env: str) -> Any:
        """Run `command` with these words and return what it printed; None for nothing."""
        name = [] if command == "overview" else command.split()
        done = self.surroundings.nexoctl("--json", *name, *words, stdin=stdin, expect=code, env=env)
        value = done.json
        assert problems_of(value, command) == [], done
        self.seen.add(command)
        return value


@pytest.fixture
def say(surroundings: Surroundings) -> Speaker:
    return Speaker(surroundings)


@pytest.fixture
def url(provider: ExampleProvider) -> str:
    return provider.base_url(Provider.OPENAI)


def commands() -> set[str]:
    """Every command that can be typed, verbs spelled out; `overview` is nexoctl alone."""
    names = {"overview"}
    for command in COMMANDS:
        verbs = subparsers_of(command_parser(command)[0])
        names |= {f"{command.name} {verb}" for verb in verbs} or {command.name}
    return names


def test_every_command_has_a_schema_or_a_reason_for_none() -> None:
    assert commands() - PRINTS_NO_JSON == set(SCHEMA["commands"])


def test_the_help_of_json_is_the_schema(surroundings: Surroundings) -> None:
    assert surroundings.nexoctl("--json", "--help").json == SCHEMA


def test_every_command_prints_what_the_schema_says(
    surroundings: Surroundings, nexod: Nexod, url: str, say: Speaker, tmp_path: Path
) -> None:
    CONFORMED.clear()
    _connections(say, url)
    _programs(say, nexod)
    _gateway(say, surroundings)
    _health(say)
    _import(say, surroundings, url)
    _vault_and_store(say, tmp_path)
    assert say("settings", "--no-browser")["opened"] is False
    end_settings(surroundings)
    say("remove", "busy", "--replace-with", "work")
    _errors(surroundings)
    _daemon(say, surroundings, nexod)
    assert say.seen == set(SCHEMA["commands"])
    assert set(SCHEMA["$defs"]) - CONFORMED == set()


def _connections(say: Speaker, url: str) -> None:
    assert say("default", code=5) is None
    flags = ["--provider", "openai", "--base-url", url, "--api-key-stdin"]
    say("add", "work", *flags, "--header", "X-A: 1", "--model", "example-small", stdin=WORK.key)
    say("add", "busy", *flags, "--save-anyway", stdin=BUSY.key)
    assert say("add", "former", *flags, stdin=REVOKED.key, code=6)["saved"] is False
    say("edit", "busy", "--no-test", "--key-expires", "2030-01-31", "--map", "gpt-5=m")
    assert len(say("list")) == 2
    say("show", "work")
    assert say("show", "work", "--reveal")["api_key"] == WORK.key
    say("default")
    assert say("test", "busy", "--last", code=6)["outcome"] == "rate_limited"
    say("test", "work")
    say("test", "work", "--completion")
    changed = say("edit", "work", "--header", "X-B: 2", "--keep-headers")
    assert changed["header_names"] == ["X-A", "X-B"]
    assert say("edit", "work", "--remove-header", "x-b")["header_names"] == ["X-A"]
    say("test", "work", "--completion")
    assert say("test", "work", "--last")["layers"][-1]["layer"] == "completion"
    say("test", "--all", code=6)
    assert say("test", "work", "nobody", code=6)[1]["outcome"] is None
    say("test", "--draft", *flags, stdin=REVOKED.key, code=6)
    misled = [word.removesuffix("/v1") for word in flags]
    assert say("test", "--draft", *misled, stdin=WORK.key, code=6)["suggestions"]
    assert say("models", "work")["models"]
    say("providers")
    say("default", "busy")
    say("default", "--undo", "--wait", "1")
    say("overview")


def _programs(say: Speaker, nexod: Nexod) -> None:
    say("workspace bind", ".", "work")
    say("workspace bind", "--workspace", "nightly", "busy")
    with nexod.client() as client, client.follow(workspace="nightly"):
        assert len(say("workspace list")["followers"]) == 1
        say("status")
    say("which")
    say("which", "--connection", "nobody", code=5)
    say("resolve")
    say("workspace unbind", ".")
    assert say("handouts")


def _gateway(say: Speaker, surroundings: Surroundings) -> None:
    say("gateway status")
    say("gateway setup", "codex")
    assert say("gateway setup", "codex", "--write")["files"][0]["changed"]
    assert say("gateway setup", "codex", "--undo")["undone"]
    say("token add", "mine", "--expires", "1d")
    say("token add", "theirs", "--workspace", "nightly")
    ask = (
        "import os, urllib.request as u; u.urlopen(u.Request(os.environ['OPENAI_BASE_URL'] + '/models',"
        "headers={'Authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']})).read();"
        "import subprocess as s, sys;"
        "s.run([sys.executable, '-m', 'nexo_cli', '--json', 'gateway', 'status'])"
    )
    told = surroundings.nexoctl("run", "--", sys.executable, "-c", ask).json
    assert told["programs"]
    assert problems(told, "gateway") == []
    assert len(say("token list")) == 2
    say("token revoke", "mine")
    assert say("usage")
    say("usage", "--by", "day", "--by", "program", "--since", "1d")
    assert say("status")["gateway"]["listening"]
    say("gateway off")
    say("gateway on")


def _health(say: Speaker) -> None:
    say("health", "--check", "work")
    say("health")
    say("wait", "work", "--healthy")
    history = say("history", "work")
    assert history["samples"], history
    assert history["transitions"], history
    say("fallback set", "busy")
    say("fallback show")
    say("fallback off")
    say("pause")
    say("pause", "busy")
    assert say("resume") == {"paused": False, "paused_connections": ["busy"]}
    assert say("watch", "--count", "1")["event"] == "snapshot"
    say("doctor")
    for command, shell in (("completion", "bash"), ("completion", "fish")):
        say(command, shell)


def _import(say: Speaker, surroundings: Surroundings, url: str) -> None:
    taken_over = surroundings.home / ".codex"
    taken_over.mkdir(exist_ok=True)
    for name, key in (("other", WORK.key), ("past", REVOKED.key)):
        with (taken_over / "config.toml").open("a") as file:
            file.write(f'[model_providers.{name}]\nbase_url = "{url}"\nexperimental_bearer_token = "{key}"\n')
    (taken_over / "auth.json").write_text('{"tokens": {"access_token": "x"}}')
    say("import")
    say("import", "codex", "--dry-run")
    result = say("import", "codex", "--all", code=6)
    assert [len(result[part]) for part in ("imported", "failed", "found", "skipped")] == [1, 1, 0, 1]


def _vault_and_store(say: Speaker, directory: Path) -> None:
    file = directory / "all.json"
    words = "a passphrase of some words"
    written = say("export", "--with-secrets", "--passphrase-stdin", "--output", str(file), stdin=words)
    assert written["path"] == str(file)
    assert problems_of(json.loads(file.read_text()), "export") == []
    assert say("import", str(file), "--passphrase-stdin", "--dry-run", stdin=words)["steps"]
    document = say("export")
    first = document["connections"][0]["name"]
    binding = {"kind": "name", "value": "elsewhere", "connection": first, "allow_fallback": False}
    edited = directory / "edited.json"
    edited.write_text(json.dumps(document | {"workspaces": [binding]}))
    steps = say("import", str(edited), "--dry-run")["steps"]
    assert [need["kind"] for step in steps for need in step["needs"]] == ["binding"]
    say("vault status")
    assert say("vault auto-lock", "--idle", "30", "--suspend", "on")["idle_s"] == 1800
    say("vault auto-lock", "--idle", "off", "--suspend", "off")
    say("vault recovery")
    assert say("vault rotate")["recovery_code"]
    say("vault rekey", "--to", "passphrase", "--stdin", stdin=words)
    say("vault lock")
    say("vault status", code=4)
    say("store check")
    say("vault unlock", "--stdin", stdin=words)
    made = say("store backup")
    assert made in say("store backups")
    say("store restore", made["name"], "--dry-run")
    say("store restore", made["name"])


def _errors(surroundings: Surroundings) -> None:
    for words in (["show", "nobody"], ["lst"], ["remove", "work"], ["add", "x"], ["run", "--", "/no/such"]):
        error = surroundings.nexoctl("--json", *words, expect=None).error
        assert problems({"error": error}, "error") == []


def _daemon(say: Speaker, surroundings: Surroundings, nexod: Nexod) -> None:
    assert say("daemon logs", "--lines", "1")["line"]
    systemctl = surroundings.home / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text("#!/bin/sh\nexit 0\n")
    systemctl.chmod(0o755)
    path = f"{systemctl.parent}:/usr/bin:/bin"
    say("daemon install", "--no-now", PATH=path, XDG_RUNTIME_DIR=str(surroundings.home))
    assert say("daemon status", PATH=path, XDG_RUNTIME_DIR=str(surroundings.home))["service"]
    say("daemon uninstall", PATH=path, XDG_RUNTIME_DIR=str(surroundings.home))
    assert say("daemon stop")["stopped"]
    nexod.wait()
    say("status", code=3)
    say("daemon status", code=3)
    assert say("overview")["connections"] is None
    try:
        assert say("daemon start")["started"]
        assert say("daemon restart")["previous_pid"]
    finally:
        say("daemon stop")


def test_the_check_finds_what_is_wrong() -> None:
    good: dict[str, dict[str, object]]
    good = {"error": {"reason": "R", "message": "m", "hint": "", "action": None}}
    assert problems(good, "error") == []
    short = {name: value for name, value in good["error"].items() if name != "hint"}
    assert problems({"error": short}, "error") == ["$.error.hint: is missing"]
    assert problems({"error": {**good["error"], "more": 1}}, "error") == ["$.error.more: is not documented"]
    assert problems({"error": {**good["error"], "hint": None}}, "error") == [
        "$.error.hint: None is not string"
    ]
    assert problems_of([], "daemon stop") == ["$: [] is not object"]
