"""The official Node packages of the four dialects behind the gateway: one process, a switch in between.

`nexoctl run` starts them; they know nothing of us and read what their documentation says.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.faces import MODELS
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from surroundings import PATIENCE_S, Nexod, Surroundings

pytestmark = pytest.mark.needs("node")

PROGRAM = Path(__file__).parent / "ask.mjs"
PACKAGES = {
    "openai": Provider.OPENAI,
    "anthropic": Provider.ANTHROPIC,
    "google": Provider.GOOGLE,
    "ollama": Provider.OLLAMA,
}
CLASSES = {
    "openai": ("BadRequestError", "AuthenticationError"),
    "anthropic": ("BadRequestError", "AuthenticationError"),
    "google": ("ApiError", "ApiError"),
    "ollama": ("ResponseError", "ResponseError"),
}


class Program:
    """The running program; each question is a line."""

    def __init__(self, process: Any) -> None:
        self.process = process

    def ask(self, kind: str = "whole") -> dict[str, Any]:
        self.process.stdin.write(kind.encode() + b"\n")
        self.process.stdin.flush()
        # Some packages print a warning there as well.
        while not (line := self.process.stdout.readline()).startswith(b"{"):
            assert line, "the program ended"
        told = json.loads(line)
        assert isinstance(told, dict)
        return told


@contextmanager
def running(home: Surroundings, package: str, before: tuple[str, ...] = ()) -> Iterator[Program]:
    command = [sys.executable, "-m", "nexo_cli", "run", "--", *before, "node", str(PROGRAM), package]
    process = home.spawn(command, env={"ASKED_MODEL": MODELS[0]})
    try:
        yield Program(process)
    finally:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.wait(PATIENCE_S)
        process.stdout.close()


def connect(home: Surroundings, provider: ExampleProvider, kind: Provider) -> None:
    for name, account in (("work", WORK), ("home", HOME)):
        flags = ["--provider", kind.value, "--base-url", provider.base_url(kind), "--api-key-stdin"]
        home.nexoctl("add", name, *flags, "--no-test", "--model", MODELS[0], stdin=account.key)
    home.nexoctl("default", "work")


def billed(provider: ExampleProvider) -> list[str]:
    return [one.account for one in provider.requests() if one.request.method == "POST"]


@pytest.mark.parametrize("kind", ["whole", "stream"])
@pytest.mark.parametrize("package", PACKAGES)
def test_a_node_package_follows_a_switch_without_a_restart(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, package: str, kind: str
) -> None:
    connect(surroundings, provider, PACKAGES[package])
    with running(surroundings, package) as program:
        first = program.ask(kind)
        surroundings.nexoctl("default", "home")
        second = program.ask(kind)
    assert first.get("text"), first
    assert second.get("text"), second
    assert billed(provider) == ["work", "home"]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_person_has_to_mend_is_shown_after_one_request(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, package: str
) -> None:
    connect(surroundings, provider, PACKAGES[package])
    with running(surroundings, package) as program:
        assert program.ask()["text"]
        surroundings.nexoctl("edit", "work", "--disable")
        told = program.ask()
        assert (told["error"], told["requests"]) == (CLASSES[package][0], 1), told
        assert told["status"] == 400
        assert "disabled" in told["message"]
        surroundings.nexoctl("edit", "work", "--enable")
        assert program.ask("stream")["text"]


# Ollama's token stands in its address, because most of its programs send none.
@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "ollama"])
def test_a_token_that_is_not_good_is_tried_once(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, package: str
) -> None:
    connect(surroundings, provider, PACKAGES[package])
    names = ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY")
    with running(surroundings, package, ("env", *(f"{name}=nexo_wrong" for name in names))) as program:
        told = program.ask()
        assert (told["error"], told["requests"]) == (CLASSES[package][1], 1), told
        assert told["status"] == 401
        assert "does not know this token" in told["message"]
    assert billed(provider) == []
