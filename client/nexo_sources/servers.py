"""Finds model servers that are running on this computer, on their usual ports.

Sends requests to loopback addresses only. They use no tokens, load no model, carry no key, bypass proxies and
follow no redirects. A server is identified by its responses; an open port alone proves nothing.
"""

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.reading import environment, table, tables, word

HOST = "127.0.0.1"
_DEADLINE_S = 0.8
_LIMIT = 1 << 20


@frozen
class _Answer:
    status: int
    body: Any


_Ask = Callable[[str], "_Answer | None"]


def find() -> Found:
    """The servers that answer on the usual ports."""
    return ask_ports(_usual())


def _usual() -> dict[str, int]:
    ports = {"ollama": 11434, "lmstudio": 1234, "vllm": 8000, "llamacpp": 8080, "litellm": 4000}
    # The Ollama server and its clients read the address from the same variable.
    port = environment().get("OLLAMA_HOST", "").rpartition(":")[2].strip("/")
    if port.isdecimal() and 0 < int(port) < 65536:
        ports["ollama"] = int(port)
    return ports


def ask_ports(ports: dict[str, int]) -> Found:
    """Query all ports at the same time.

    Args:
        ports: service name -> its usual port.
    """
    found = Found()
    with ThreadPoolExecutor(max_workers=len(ports) or 1, thread_name_prefix="nexo-import") as pool:
        for one in pool.map(lambda usual: _identify(*usual), ports.items()):
            found += one
    return found


def _identify(usual: str, port: int) -> Found:
    def ask(path: str) -> _Answer | None:
        return _get(port, path)

    place = f"http://{HOST}:{port}"
    # Ollama's own API is tried first: Ollama also has an OpenAI API, which does not list installed models.
    version = ask("/api/version")
    if version is None:
        return Found()
    tags = ask("/api/tags") if word(table(version.body).get("version")) else None
    if tags is not None and isinstance(table(tags.body).get("models"), list):
        models = [word(entry.get("name")) for entry in tables(table(tags.body)["models"])]
        finding = Finding(
            name="ollama",
            place=place,
            provider=Provider.OLLAMA,
            base_url="" if port == 11434 else place,
            model=models[0] if len(models) == 1 else "",
        )
        return Found((finding,))
    return _openai_like(usual, port, place, ask)


def _openai_like(usual: str, port: int, place: str, ask: _Ask) -> Found:
    listing = ask("/v1/models")
    if listing is None:
        return Found()
    if listing.status in (401, 403):
        how = f"nexoctl add {usual} --provider {usual} --base-url {place}/v1"
        return Found((), (Skipped(usual, place, f"the server needs a key; add it with: {how}"),))
    entries = list(tables(table(listing.body).get("data")))
    if listing.status != 200 or not isinstance(table(listing.body).get("data"), list):
        return Found()
    if any("id" not in entry for entry in entries):
        return Found()
    name = _kind(usual, entries, ask)
    models = [word(entry.get("id")) for entry in entries]
    finding = Finding(
        name=name or f"local-{port}",
        place=place,
        provider=Provider.CUSTOM,
        preset=name,
        base_url=f"{place}/v1",
        model=models[0] if len(models) == 1 else "",
    )
    return Found((finding,))


def _kind(usual: str, entries: list[dict[str, Any]], ask: _Ask) -> str:
    """The service that the responses identify; empty if they do not."""
    owners = {word(entry.get("owned_by")) for entry in entries}
    if "vllm" in owners:
        return "vllm"
    if "llamacpp" in owners:
        return "llamacpp"
    if usual == "lmstudio":
        # LM Studio's own API lists the states of models. It answers unknown paths with 200 as well.
        own = ask("/api/v0/models")
        if own is not None and any("state" in entry for entry in tables(table(own.body).get("data"))):
            return "lmstudio"
        return "lmstudio" if owners == {"organization_owner"} else ""
    if usual == "litellm":
        alive = ask("/health/liveliness")
        return "litellm" if alive is not None and alive.body == "I'm alive!" else ""
    return ""


def _get(port: int, path: str) -> _Answer | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=_DEADLINE_S)
    try:
        connection.request("GET", path, headers={"User-Agent": "nexoctl", "Accept": "application/json"})
        response = connection.getresponse()
        text = response.read(_LIMIT)
        status = response.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        return _Answer(status, json.loads(text))
    except (ValueError, RecursionError):
        return _Answer(status, None)
