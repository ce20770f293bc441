"""Agents as their makers ship them go through the gateway and follow a switch, with settings that stay.

`make test-programs` downloads the pinned versions. Behind the daemon are two servers that this project did
not write, each with its own journal, so that a request is seen where it arrived. Claude Code answers two
prompts in one process with a switch between them. The others end after a prompt when no person sits before
them: they are started twice with the same settings and the same token, with a switch between.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for
from thirdparty import aimock
from thirdparty.aimock import Aimock

BIN = Path(__file__).parent / "node_modules" / ".bin"
PROMPT = "a question"


@pytest.fixture
def servers() -> Iterator[tuple[Aimock, Aimock]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(aimock.running()),
            stack.enter_context(aimock.running()),
        )


def asked(server: Aimock) -> int:
    """How many questions for a model have arrived; our own checks are GET requests."""
    return sum(1 for one in server.journal() if one["method"] == "POST")


def connect(home: Surroundings, servers: tuple[Aimock, Aimock], provider: str, path: str, model: str) -> None:
    for name, server in zip(("first", "second"), servers, strict=True):
        flags = ["--provider", provider, "--base-url", server.origin + path, "--api-key-stdin", "--no-test"]
        home.nexoctl("add", name, *flags, "--model", model, stdin=server.key)
    home.nexoctl("default", "first")


ENVIRONMENT = {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "CI": "true",
    "NO_COLOR": "1",
    "TERM": "dumb",
    # It reads its .env where it trusts the directory, for which it asks a person once.
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
}


def twice(home: Surroundings, servers: tuple[Aimock, Aimock], command: list[str]) -> None:
    """Starts the program before and after a switch; each answer comes from the server of its moment."""
    for number, name in enumerate(("first", "second")):
        home.nexoctl("default", name)
        before = [asked(server) for server in servers]
        done = home.run(command, env=ENVIRONMENT, patience_s=120)
        assert aimock.ANSWER in done.out, done
        arrived = [asked(server) - count for server, count in zip(servers, before, strict=True)]
        assert (arrived[number] > 0, arrived[1 - number]) == (True, 0), done


def test_codex_with_its_settings(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock]
) -> None:
    connect(surroundings, servers, "openai", "/v1", "gpt-4o")
    surroundings.nexoctl("gateway", "setup", "codex", "--write")
    codex = ["codex", "exec", "--skip-git-repo-check", "--model", "gpt-4o", PROMPT]
    twice(surroundings, servers, codex)


def test_opencode_with_its_settings(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock]
) -> None:
    connect(surroundings, servers, "openai", "/v1", "gpt-4o")
    surroundings.nexoctl("gateway", "setup", "opencode", "--write")
    twice(surroundings, servers, ["opencode", "run", "--model", "openai/gpt-4o", PROMPT])


def test_gemini_cli_with_its_settings(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock]
) -> None:
    connect(surroundings, servers, "google", "", "gemini-2.0-flash")
    surroundings.nexoctl("gateway", "setup", "gemini-cli", "--write")
    twice(surroundings, servers, ["gemini", "--model", "gemini-2.0-flash", "--prompt", PROMPT])


def test_claude_code_in_one_process(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock]
) -> None:
    connect(surroundings, servers, "anthropic", "", "claude-3-5-sonnet-20241022")
    claude = ["claude", "-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"]
    run = [sys.executable, "-m", "nexo_cli", "run", "--", *claude]
    process = surroundings.spawn(run, env=ENVIRONMENT)
    assert process.stdin
    assert process.stdout
    lines: list[str] = []
    output = process.stdout
    reader = threading.Thread(target=lambda: lines.extend(line.decode() for line in output), daemon=True)
    reader.start()
    for number, name in enumerate(("first", "second")):
        surroundings.nexoctl("default", name)
        before = [asked(server) for server in servers]
        message = {"type": "user", "message": {"role": "user", "content": PROMPT}}
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        wait_for(
            lambda wanted=number + 1: sum('"type":"result"' in line for line in lines) >= wanted,
            f"an answer to prompt {number + 1}: {lines}",
        )
        arrived = [asked(server) - count for server, count in zip(servers, before, strict=True)]
        assert (arrived[number] > 0, arrived[1 - number]) == (True, 0), lines
    assert aimock.ANSWER in "".join(lines)
    process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
