"""Runs aimock, a server from another project that speaks the providers' dialects."""

import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port
from surroundings import PATIENCE_S, wait_for

KEY = "key-that-aimock-knows"
ANSWER = "The answer of a server that somebody else wrote."

_AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
_PROGRAM = Path(__file__).parent / "node_modules" / ".bin" / "aimock"


@dataclass(frozen=True)
class Aimock:
    """A running aimock."""

    origin: str
    key: str = field(default=KEY, repr=False)

    def journal(self) -> list[dict[str, Any]]:
        """The requests that it has received, from its own journal."""
        request = urllib.request.Request(f"{self.origin}/__aimock/journal", headers=_AUTHORIZED)
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
        entries = told if isinstance(told, list) else told["entries"]
        assert isinstance(entries, list)
        return entries


@contextmanager
def running() -> Iterator[Aimock]:
    """Serves on loopback until the block ends; knows one key and one answer."""
    with tempfile.TemporaryDirectory(prefix="nexo-aimock-") as name:
        directory, port = Path(name), free_port()
        (directory / "fixtures").mkdir()
        fixture = {"match": {"userMessage": "question"}, "response": {"content": ANSWER}}
        (directory / "fixtures" / "answers.json").write_text(json.dumps({"fixtures": [fixture]}))
        config = {
            "port": port,
            "host": "127.0.0.1",
            "llm": {"fixtures": str(directory / "fixtures")},
            "auth": {"apiKeys": [KEY]},
        }
        (directory / "aimock.json").write_text(json.dumps(config))
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(
                [_PROGRAM, "--config", str(directory / "aimock.json")],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            server = Aimock(f"http://127.0.0.1:{port}")

            def answers() -> bool:
                assert process.poll() is None, (directory / "output").read_text()
                request = urllib.request.Request(f"{server.origin}/v1/models", headers=_AUTHORIZED)
                try:
                    with urllib.request.urlopen(request, timeout=5):
                        return True
                except OSError:
                    return False

            wait_for(answers, "aimock answers")
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
