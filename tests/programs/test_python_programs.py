"""LangChain and aider follow a switch: one process, made once, two questions, a switch in between.

`make test-programs` makes an environment for each, because they have many packages of their own.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from programs.test_agents import PROMPT, asked, connect, servers
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for
from thirdparty import aimock
from thirdparty.aimock import Aimock

__all__ = ["servers"]

HERE = Path(__file__).parent
LANGCHAIN = {
    "openai": ("openai", "/v1", "gpt-4o"),
    "anthropic": ("anthropic", "", "claude-3-5-sonnet-20241022"),
    "google": ("google", "", "gemini-2.0-flash"),
    "ollama": ("ollama", "", "llama3"),
}


@contextmanager
def started(home: Surroundings, command: list[str], env: dict[str, str]) -> Iterator[tuple[Any, list[str]]]:
    """The program under `nexoctl run`, and what it has said."""
    process = home.spawn([sys.executable, "-m", "nexo_cli", "run", "--", *command], env=env)
    output = process.stdout
    assert output
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(line.decode() for line in output), daemon=True)
    reader.start()
    try:
        yield process, said
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
        output.close()


def follows(
    home: Surroundings, servers: tuple[Aimock, Aimock], command: list[str], env: dict[str, str]
) -> None:
    """Two questions in one process; each is answered by the server of its moment."""
    with started(home, command, env) as (process, said):
        for number, name in enumerate(("first", "second")):
            home.nexoctl("default", name)
            before = [asked(server) for server in servers]
            process.stdin.write(PROMPT.encode() + b"\n")
            process.stdin.flush()
            wait_for(
                lambda wanted=number + 1: "".join(said).count(aimock.ANSWER) >= wanted,
                f"an answer to question {number + 1}: {said}",
                patience_s=150,
            )
            arrived = [asked(server) - count for server, count in zip(servers, before, strict=True)]
            assert (arrived[number] > 0, arrived[1 - number]) == (True, 0), said


def with_its_key(provider: str, command: list[str]) -> list[str]:
    """The command as docs/known-issues.md has it for those that read ANTHROPIC_API_KEY alone."""
    if provider != "anthropic":
        return command
    return ["sh", "-c", 'ANTHROPIC_API_KEY=$ANTHROPIC_AUTH_TOKEN exec "$@"', "sh", *command]


@pytest.mark.parametrize("package", LANGCHAIN)
def test_langchain_in_one_process(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock], package: str
) -> None:
    provider, path, model = LANGCHAIN[package]
    connect(surroundings, servers, provider, path, model)
    python = str(HERE / ".venv-langchain" / "bin" / "python")
    command = [python, str(HERE / "langchain_asks.py"), package]
    follows(surroundings, servers, with_its_key(provider, command), {"ASKED_MODEL": model})


AIDER = {
    "openai": ("openai", "/v1", "gpt-4o"),
    "anthropic": ("anthropic", "", "claude-3-5-sonnet-20241022"),
}
# Lines of standard input are what a person types, and nothing but the model is asked.
AIDER_FLAGS = [
    "--no-fancy-input",
    "--no-pretty",
    "--yes-always",
    "--no-git",
    "--map-tokens=0",
    "--chat-mode=ask",
    "--no-check-update",
    "--no-show-release-notes",
    "--no-show-model-warnings",
    "--no-analytics",
]


@pytest.mark.parametrize("provider", AIDER)
def test_aider_in_one_process(
    surroundings: Surroundings, nexod: Nexod, servers: tuple[Aimock, Aimock], provider: str
) -> None:
    kind, path, model = AIDER[provider]
    connect(surroundings, servers, kind, path, model)
    aider = str(HERE / ".venv-aider" / "bin" / "aider")
    # The prices of models come with it; else it asks GitHub for them first.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUNBUFFERED": "1"}
    follows(surroundings, servers, with_its_key(kind, [aider, *AIDER_FLAGS]), env)
