"""The SDK of Nexo Connections: resolve a connection, use it, follow switches.

    import nexo_client

    with nexo_client.connect() as client:
        conn = client.resolve(workspace=".")

`nexo_client.aio` is the same API on asyncio. Names are imported when they are first used, so that modules
that do not need grpc do not import it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexo_client import aio
    from nexo_client.client import Client, connect
    from nexo_client.errors import *
    from nexo_client.factories import (
        anthropic_client,
        async_anthropic_client,
        async_ollama_client,
        async_openai_client,
        google_client,
        ollama_client,
        openai_client,
    )
    from nexo_client.follow import LiveConnection
    from nexo_client.switching import FOLLOWED, FollowingAuth
    from nexo_client.types import *
    from nexo_client.types import OnStale

from nexo.connections.version import __version__

_HOMES = {
    "Client": "nexo_client.client",
    "connect": "nexo_client.client",
    "FOLLOWED": "nexo_client.switching",
    "FollowingAuth": "nexo_client.switching",
    "LiveConnection": "nexo_client.follow",
    "anthropic_client": "nexo_client.factories",
    "async_anthropic_client": "nexo_client.factories",
    "async_ollama_client": "nexo_client.factories",
    "async_openai_client": "nexo_client.factories",
    "google_client": "nexo_client.factories",
    "ollama_client": "nexo_client.factories",
    "openai_client": "nexo_client.factories",
}

__all__ = [
    "FOLLOWED",
    "Client",
    "FollowingAuth",
    "LiveConnection",
    "OnStale",
    "__version__",
    "aio",
    "anthropic_client",
    "async_anthropic_client",
    "async_ollama_client",
    "async_openai_client",
    "connect",
    "google_client",
    "ollama_client",
    "openai_client",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "aio":
        return importlib.import_module("nexo_client.aio")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    for home in ("nexo_client.errors", "nexo_client.types", "nexo.connections.terms"):
        module = importlib.import_module(home)
        if not name.startswith("_") and hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module 'nexo_client' has no attribute {name!r}")
