"""Ready-made clients of the official SDKs that follow a switch without being rebuilt.

    with nexo_client.connect() as nexo, nexo.follow(workspace=".") as live:
        client = nexo_client.openai_client(live=live)
        client.chat.completions.create(model=live.current.model, messages=[...])

Each request goes to the connection of the moment, with its base URL, key, headers, proxy and CA bundle; one
that is in flight ends where it began. The SDK has to be installed; nothing else of this package needs it.
What `LiveConnection.current` raises comes out of a call; some versions of an SDK wrap it (`__cause__`).
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nexo_client import switching
from nexo_client.adapters import NO_KEY
from nexo_client.client import Client, connect
from nexo_client.errors import NexoError
from nexo_client.follow import LiveConnection
from nexo_client.workspace import WorkspaceLike

if TYPE_CHECKING:
    import anthropic
    import ollama
    import openai
    from google import genai

# Where each SDK keeps the HTTP library that it stands on: httpx2 in its newer versions, httpx before.
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
    """A live connection, and the closing of what was made for it. Once, however often it is asked for."""

    def __init__(
        self,
        live: LiveConnection | None,
        connection: str | None,
        workspace: WorkspaceLike,
        client: Client | None,
    ) -> None:
        self._undo: list[Callable[[], None]] = []
        if live is not None:
            self.live = live
            return
        if client is None:
            client = connect()
            self._undo.append(client.close)
        try:
            self.live = client.follow(connection, workspace=workspace)
        except NexoError:
            self.close()
            raise
        self._undo.insert(0, self.live.close)

    def close(self) -> None:
        undo, self._undo = self._undo, []
        for step in undo:
            step()

    def http_client(self, dialect: str) -> Any:
        """An httpx client whose requests follow; closing it closes what was made for it."""
        http = _http(dialect)
        return http.Client(
            transport=switching.transport(http, self.live, dialect, self.close),
            trust_env=False,
            follow_redirects=False,
        )

    def async_http_client(self, dialect: str, on_close: Callable[[], None]) -> Any:
        """The same for asyncio."""
        http = _http(dialect)
        return http.AsyncClient(
            transport=switching.async_transport(http, self.live, dialect, on_close),
            trust_env=False,
            follow_redirects=False,
        )


def openai_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "openai.OpenAI":
    """An `openai.OpenAI` that follows.

    Args:
        connection, workspace: as `Client.follow`.
        client: follow through this client, instead of one that is made and closed with the SDK's.
        live: use this follower, which stays yours; the first three are not used then.
        options: further arguments of the SDK's client (`timeout`, `max_retries`, …).

    Raises:
        ImportError: the SDK is not installed.
        DaemonNotRunning, DaemonUnsafe, InvalidField: as `connect` and `Client.follow`.
    """
    import openai

    followed = _Followed(live, connection, workspace, client)
    return openai.OpenAI(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.http_client("openai"),
        **options,
    )


def async_openai_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "openai.AsyncOpenAI":
    """An `openai.AsyncOpenAI` that follows; see `openai_client`."""
    import openai

    followed = _Followed(live, connection, workspace, client)
    return openai.AsyncOpenAI(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.async_http_client("openai", followed.close),
        **options,
    )


def anthropic_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "anthropic.Anthropic":
    """An `anthropic.Anthropic` that follows; see `openai_client`."""
    import anthropic

    followed = _Followed(live, connection, workspace, client)
    return anthropic.Anthropic(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.http_client("anthropic"),
        **options,
    )


def async_anthropic_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "anthropic.AsyncAnthropic":
    """An `anthropic.AsyncAnthropic` that follows; see `openai_client`."""
    import anthropic

    followed = _Followed(live, connection, workspace, client)
    return anthropic.AsyncAnthropic(
        api_key=NO_KEY,
        base_url=switching.FOLLOWED,
        http_client=followed.async_http_client("anthropic", followed.close),
        **options,
    )


def google_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "genai.Client":
    """A `google.genai.Client` that follows, `.aio` included; see `openai_client`."""
    from google import genai
    from google.genai import types as genai_types

    followed = _Followed(live, connection, workspace, client)

    class FollowingGenai(genai.Client):
        # The SDK leaves an HTTP client that it was given open, and closes itself when it is collected; that
        # may be on any thread, with any lock held, so only a close that was asked for ends the follower.
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
            # Closing one half must not end the other.
            httpx_async_client=followed.async_http_client("google", lambda: None),
        ),
        **options,
    )


def ollama_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "ollama.Client":
    """An `ollama.Client` that follows; see `openai_client`."""
    import ollama

    followed = _Followed(live, connection, workspace, client)
    return ollama.Client(
        host=switching.FOLLOWED,
        follow_redirects=False,
        trust_env=False,
        transport=switching.transport(_http("ollama"), followed.live, "ollama", followed.close),
        **options,
    )


def async_ollama_client(
    *,
    connection: str | None = None,
    workspace: WorkspaceLike = None,
    client: Client | None = None,
    live: LiveConnection | None = None,
    **options: Any,
) -> "ollama.AsyncClient":
    """An `ollama.AsyncClient` that follows; see `openai_client`."""
    import ollama

    followed = _Followed(live, connection, workspace, client)
    return ollama.AsyncClient(
        host=switching.FOLLOWED,
        follow_redirects=False,
        trust_env=False,
        transport=switching.async_transport(_http("ollama"), followed.live, "ollama", followed.close),
        **options,
    )
