"""The programs in docs/examples do what they say, against the real daemon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from surroundings import PATIENCE_S, Nexod, Surroundings

REPOSITORY = Path(__file__).parent.parent.parent
EXAMPLES = REPOSITORY / "docs" / "examples"


@pytest.fixture
def filled(nexod: Nexod, provider: ExampleProvider) -> Nexod:
    with nexod.client() as client:
        for account in (WORK, HOME):
            client.create_connection(
                ConnectionDraft(
                    name=account.name,
                    provider="openai",
                    base_url=provider.base_url(Provider.OPENAI),
                    api_key=account.key,
                    default_model="example-large",
                )
            )
    return nexod


class Conversation:
    """A program that answers lines with lines."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def until(self, text: str) -> str:
        """The first line that it prints with `text` in it; what else it prints before is skipped."""
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line.decode())
            if text in said[-1]:
                return said[-1]
        raise AssertionError(f"it ended without {text!r}: {''.join(said)}")

    def ask(self, question: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n".encode())
        self._process.stdin.flush()

    def end(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE_S)


@pytest.mark.parametrize("example", ["follow.py", "follow_async.py"])
def test_python_programs_follow_a_switch(filled: Nexod, surroundings: Surroundings, example: str) -> None:
    talk = Conversation(surroundings.spawn([sys.executable, str(EXAMPLES / example)]))
    talk.until("work")
    talk.ask("Who pays?")
    talk.until("billed to the account 'work'")
    with filled.client() as client:
        client.set_default("home", wait_s=30)
    talk.until("[now home]")
    talk.ask("Who pays?")
    talk.until("billed to the account 'home'")
    assert talk.end() == 0


@pytest.mark.needs("node")
def test_a_node_program_with_only_the_contract_follows_a_switch(
    filled: Nexod, surroundings: Surroundings
) -> None:
    # ES modules are looked up beside the file, so the example is run from where its packages are.
    home = surroundings.home / "program"
    home.mkdir()
    (home / "follow.mjs").write_bytes((EXAMPLES / "follow.mjs").read_bytes())
    (home / "node_modules").symlink_to(REPOSITORY / "tests" / "thirdparty" / "node_modules")
    command = ["node", str(home / "follow.mjs"), str(REPOSITORY / "protos")]
    talk = Conversation(surroundings.spawn(command))
    talk.until("[now work]")
    talk.ask("Who pays?")
    talk.until("billed to the account 'work'")
    with filled.client() as client:
        assert client.set_default("home", wait_s=30).pending_followers == ()
    talk.until("[now home]")
    talk.ask("Who pays?")
    talk.until("billed to the account 'home'")
    assert talk.end() == 0


@pytest.mark.needs("shell")
def test_a_shell_script_gets_an_answer(filled: Nexod, surroundings: Surroundings) -> None:
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    answer = surroundings.run([str(EXAMPLES / "ask.sh"), "Who pays?"], env=path)
    assert "billed to the account 'work'" in answer.out
