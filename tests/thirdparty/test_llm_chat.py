"""`llm chat` as its maker ships it, started by `nexoctl run`: two questions, a switch in between.

Without our plugin's model: it asks for a model of OpenAI's, and knows nothing of the gateway.
"""

import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for
from thirdparty import aimock

pytestmark = pytest.mark.needs("node")


def test_a_chat_follows_a_switch_without_a_restart(
    surroundings: Surroundings, nexod: Nexod, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(aimock.running()) for _ in range(2)]
        for name, server in zip(("first", "second"), servers, strict=True):
            flags = [
                "--provider",
                "openai",
                "--base-url",
                server.origin + "/v1",
                "--api-key-stdin",
                "--no-test",
            ]
            surroundings.nexoctl("add", name, *flags, "--model", "gpt-4o", stdin=server.key)
        surroundings.nexoctl("default", "first")
        chat = [sys.executable, "-u", "-m", "llm", "chat", "-m", "gpt-4o"]
        run = [sys.executable, "-m", "nexo_cli", "run", "--", *chat]
        process = surroundings.spawn(run, env={"LLM_USER_PATH": str(tmp_path)})
        assert process.stdin
        assert process.stdout
        output = process.stdout
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.extend(line.decode() for line in output), daemon=True)
        reader.start()
        for number, name in enumerate(("first", "second")):
            surroundings.nexoctl("default", name)
            process.stdin.write(b"a question\n")
            process.stdin.flush()
            wait_for(
                lambda wanted=number + 1: "".join(said).count(aimock.ANSWER) == wanted,
                f"an answer to question {number + 1}: {said}",
            )
        process.stdin.write(b"quit\n")
        process.stdin.close()
        process.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
        output.close()
        asked = [sum(1 for one in server.journal() if one["method"] == "POST") for server in servers]
        assert asked == [1, 1]
