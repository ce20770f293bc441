"""Compares LiteLLM's proxy with the gateway and its floor in one run: `python litellm_proxy.py`.

It installs `litellm[proxy]` into a temporary environment. Run it by hand; it is not part of `make bench`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_gateway import Line, first_bytes, printing_its_port, three
from measure import RUNS, Row, report

VERSION = "1.108.0"
PATIENCE_S = 120.0
KEY = "sk-of-the-proxy"


def installed(directory: Path) -> Path:
    """The command."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    pip = [str(directory / "bin" / "pip"), "install", "--quiet", f"litellm[proxy]=={VERSION}"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIP_CONS")}
    subprocess.run(pip, check=True, env=own)
    return directory / "bin" / "litellm"


@contextmanager
def litellm(command: Path, directory: Path, provider: int) -> Iterator[int]:
    """Run the proxy, and give its port. Its only model is the provider that the gateway has as well."""
    with printing_its_port("gateway_upstream.py") as free:
        port = free.port
    settings = directory / "litellm.yaml"
    route = {"model": "openai/m", "api_base": f"http://127.0.0.1:{provider}/v1", "api_key": "sk-x"}
    models = [{"model_name": "m", "litellm_params": route}]
    # JSON is YAML.
    settings.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
    words = [str(command), "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, cwd=directory)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                Line(port, "", "").close()
                break
            except OSError:
                assert process.poll() is None, (directory / "output").read_text()[-2000:]
                assert time.monotonic() < give_up
                time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def rows(command: Path, directory: Path) -> Iterator[Row]:
    with (
        three() as (_, _, gateway, floor, provider, token),
        litellm(command, directory, provider.port) as port,
    ):
        lines = (
            Line(port, "/v1/chat/completions?", KEY),
            Line(gateway, "/openai/v1", token),
            Line(floor.port, "/v1", ""),
        )
        figures: list[list[float]] = [[], [], []]
        for line in lines:
            first_bytes(line)
        for _ in range(RUNS):
            for line, found in zip(lines, figures, strict=True):
                found.append(first_bytes(line))
        theirs, ours, bare = figures
    yield Row(f"first byte, p50: LiteLLM {VERSION}", "ms", theirs, ours, "the gateway", ">= 15 x")
    yield Row("first byte, p50: the gateway", "ms", ours, bare, "bare uvicorn + httpcore2", "<= 1.3 x")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nexo-litellm-") as name:
        report("litellm", rows(installed(Path(name) / "venv"), Path(name)))
