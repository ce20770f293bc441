"""What `nexoctl --json` prints is what docs/nexoctl.schema.json says, field by field."""

import json
from typing import Any

import pytest

from json_schema import SCHEMA, problems
from nexo_client.demo.provider import BUSY, REVOKED, WORK, ExampleProvider
from nexo_client.terms import Provider
from surroundings import Nexod, Surroundings


def conforms(value: Any, name: str) -> None:
    assert not problems(value, name), json.dumps(value, indent=1)


@pytest.fixture
def url(provider: ExampleProvider) -> str:
    return provider.base_url(Provider.OPENAI)


def test_everything_that_nexoctl_prints(surroundings: Surroundings, nexod: Nexod, url: str) -> None:
    seen: set[str] = set()

    def say(name: str, *words: str, stdin: str = "", code: int = 0, many: bool = False) -> Any:
        value = surroundings.nexoctl("--json", *words, stdin=stdin, expect=code).json
        for item in value if many else [value]:
            conforms(item, name)
        assert value, words
        seen.add(name)
        return value

    flags = ["--provider", "openai", "--base-url", url, "--api-key-stdin"]
    say("saved", "add", "work", *flags, "--header", "X-A: 1", "--model", "example-small", stdin=WORK.key)
    say("saved", "add", "busy", *flags, "--save-anyway", stdin=BUSY.key)
    say("not_saved", "add", "former", *flags, stdin=REVOKED.key, code=6)
    say("saved", "edit", "busy", "--no-test", "--key-expires", "2030-01-31")
    say("connection", "list", many=True)
    say("connection", "show", "work")
    say("connection", "show", "work", "--reveal")
    say("connection", "default")
    say("test", "test", "work")
    say("test", "test", "work", "--completion")
    say("test", "test", "--all", many=True, code=6)
    results = surroundings.nexoctl("--json", "test", "work", "nobody", expect=6).json
    conforms(results[1], "untested")
    say("test", "test", "--draft", *flags, stdin=REVOKED.key, code=6)
    say("health", "health", "--check", "work")
    say("health", "health", many=True)
    say("models", "models", "work")
    say("provider", "providers", many=True)
    say("switch", "default", "busy")
    say("switch", "default", "--undo", "--wait", "1")
    say("binding", "workspace", "bind", ".", "work")
    say("binding", "workspace", "bind", "--workspace", "nightly", "busy")
    with nexod.client() as client, client.follow(workspace="nightly"):
        say("workspaces", "workspace", "list")
        say("status", "status")
    say("status", "daemon", "status")
    taken_over = surroundings.home / ".codex"
    taken_over.mkdir()
    for name, key in (("other", WORK.key), ("past", REVOKED.key)):
        with (taken_over / "config.toml").open("a") as file:
            file.write(f'[model_providers.{name}]\nbase_url = "{url}"\nexperimental_bearer_token = "{key}"\n')
    (taken_over / "auth.json").write_text('{"tokens": {"access_token": "x"}}')
    say("import", "import", "codex", "--dry-run")
    result = say("import", "import", "codex", "--all", code=6)
    assert [len(result[part]) for part in ("imported", "failed", "found", "skipped")] == [1, 1, 0, 1]
    say("explanation", "which")
    say("explanation", "which", "--connection", "nobody", code=5)
    say("resolved", "resolve")
    say("handout", "handouts", many=True)
    say("doctor", "doctor", code=0)
    watched = surroundings.nexoctl("--json", "watch", "--count", "1").out.splitlines()
    conforms(json.loads(watched[0]), "event")
    for words in (["show", "nobody"], ["lst"], ["remove", "work"], ["add", "x"]):
        conforms({"error": surroundings.nexoctl("--json", *words, expect=None).error}, "error")
    seen |= {"untested", "event", "error"}
    parts = {
        "network",
        "key",
        "layer",
        "suggestion",
        "client",
        "workspace",
        "follower",
        "transition",
        "finding",
    }
    parts.add("service")
    assert seen | parts == set(SCHEMA["$defs"])


def test_the_check_finds_what_is_wrong() -> None:
    good = {"error": {"reason": "R", "message": "m", "hint": ""}}
    assert problems(good, "error") == []
    assert problems({"error": {"reason": "R", "message": "m"}}, "error") == ["$.error.hint: is missing"]
    assert problems({"error": {**good["error"], "more": 1}}, "error") == ["$.error.more: is not documented"]
    assert problems({"error": {**good["error"], "hint": None}}, "error") == [
        "$.error.hint: None is not string"
    ]
