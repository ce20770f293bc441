"""Clients of the official SDKs that follow switches without being recreated.

    with nexo_client.connect() as nexo, nexo.follow(workspace=".") as live:
        client = nexo_client.openai_client(live=live)
        client.chat.completions.create(model=live.current.model, messages=[...])

Each request goes to the current connection, with its base URL, key, headers, proxy and CA bundle. A request
in flight stays on the connection that it started with. The SDK has to be installed. A call raises the errors
of `LiveConnection.current`; some versions of an SDK wrap them (`__cause__`).
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nexo_client import switching
from nexo_client.adapters import NO_KEY, needed
from nexo_client.aio_follow import AsyncLiveConnection
from nexo_client.arguments import checked
from nexo_client.client import Client, connect
from nexo_client.errors import NexoError
from nexo_client.follow import LiveConnection
from nexo_client.workspace import WorkspaceLike

if TYPE_CHECKING:
    import anthropic
    import ollama
    import openai
    from google import genai

AnyLive = LiveConnection | AsyncLiveConnection

# The module in which each SDK imports its HTTP library: httpx2 in newer versions, httpx in older ones.
_HTTP_OF = {
    "openai": "openai._base_client",
    "anthropic": "anthropic._base_client",
    "google": "google.genai.types",
    "ollama": "ollama._client",
}


def _http(dialect: str) -> Any:
    home = sys.modules[_HTTP_OF[dialect]]
    found = getattr(home, "httpx2", None) or getattr(home, "httpx", None)
    if found is not None:
        return found
    import httpx

    return httpx


class _Followed:
    """A live connection, and the objects that have to be closed with it."""

    def __init__(
        self,
        live: AnyLive | None,
        connection: str | None,
        workspace: WorkspaceLike,
        client: Client | None,
    ) -> None:
        self._undo: list[Callable[[], None]] = []
        if live is not None:
            self.live: AnyLive = live
            return
        if client is None:
            client = connect()
            self._undo.append(client.close)
        try:
            self.live = own = client.follow(connection, workspace=workspace)
        except NexoError:
            self.close()
            raise
        self._undo.insert(0, own.close)

    def close(self) -> None:
        undo, self._undo = self._undo, []
        for step in undo:
            step()

    def http_client(self, dialect: str) -> Any:
        """An httpx client whose requests go to the live connection; closing it also calls `close`."""
        http = _http(dialect)
        return http.Client(
            transport=switching.transport(http, self.live, dialect, self.close),
            trust_env=False,
            follow_redirects=False,
        )

    def async_http_client(self, dialect: str, on_close: Callable[[], None]) -> Any:
        """As `http_client`, for asyncio."""
        http = _http(dialect)
        return http.AsyncClient(
            transport=switching.async_transport(http, self.live, dialect, on_close),
            trust_env=False,
            follow_redirects=False,
        )


@checked
def openai_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "openai.OpenAI":
    """An `openai.OpenAI` whose requests always go to the current connection.

    Args:
        connection, workspace: as for `Client.follow`.
        client: follow through this synchronous client; by default one is created, and closed with the SDK's
            client.
        live: use this live connection, which is not closed with the SDK's client; the arguments before are
            then ignored.
        options: further arguments of the SDK's client (`timeout`, `max_retries`, …).

    Raises:
        ImportError: the SDK is not installed.
        DaemonNotRunning, DaemonUnsafe, InvalidField: as for `connect` and `Client.follow`.
    """
    with needed("openai"):
        import openai

    followed = _Followed(live, connection, workspace, client)
    return openai.OpenAI(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.http_client("openai"),
        **options,
    )


@checked
def async_openai_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "openai.AsyncOpenAI":
    """As `openai_client`, for `openai.AsyncOpenAI`."""
    with needed("openai"):
        import openai

    followed = _Followed(live, connection, workspace, client)
    return openai.AsyncOpenAI(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.async_http_client("openai", followed.close),
        **options,
    )


@checked
def anthropic_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "anthropic.Anthropic":
    """As `openai_client`, for `anthropic.Anthropic`."""
    with needed("anthropic"):
        import anthropic

    followed = _Followed(live, connection, workspace, client)
    return anthropic.Anthropic(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.http_client("anthropic"),
        **options,
    )


@checked
def async_anthropic_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "anthropic.AsyncAnthropic":
    """As `openai_client`, for `anthropic.AsyncAnthropic`."""
    with needed("anthropic"):
        import anthropic

    followed = _Followed(live, connection, workspace, client)
    return anthropic.AsyncAnthropic(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.async_http_client("anthropic", followed.close),
        **options,
    )


@checked
def google_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "genai.Client":
    """As `openai_client`, for `google.genai.Client` and its `.aio`."""
    with needed("google.genai"):
        import google.genai as genai
        from google.genai import types as genai_types

    followed = _Followed(live, connection, workspace, client)

    class FollowingGenai(genai.Client):
        # The SDK does not close an HTTP client that it was given. It also calls close() when it is garbage
        # collected, on any thread and with any lock held; only an explicit close() may end the follower.
        def close(self) -> None:
            super().close()
            followed.close()

        def __del__(self) -> None:
            with suppress(Exception):
                super().close()

    return FollowingGenai(
        api_key=NO_KEY,
        vertexai=False,
        http_options=genai_types.HttpOptions(
            base_url=switching.FOLLOWED,
            api_version="v1beta",
            httpx_client=followed.http_client("google"),
            # Closing the asyncio client must not close the synchronous one.
            httpx_async_client=followed.async_http_client("google", lambda: None),
        ),
        **options,
    )


@checked
def ollama_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "ollama.Client":
    """As `openai_client`, for `ollama.Client`."""
    with needed("ollama"):
        import ollama

    followed = _Followed(live, connection, workspace, client)
    return ollama.Client(
        host=switching.FOLLOWED,
        follow_redirects=False,
        trust_env=False,
        transport=switching.transport(_http("ollama"), followed.live, "ollama", followed.close),
        **options,
    )


@checked
def async_ollama_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: AnyLive | None = None,
    **options: Any,
) -> "ollama.AsyncClient":
    """As `openai_client`, for `ollama.AsyncClient`."""
    with needed("ollama"):
        import ollama

    followed = _Followed(live, connection, workspace, client)
    return ollama.AsyncClient(
        host=switching.FOLLOWED,
        follow_redirects=False,
        trust_env=False,
        transport=switching.async_transport(_http("ollama"), followed.live, "ollama", followed.close),
        **options,
    )
