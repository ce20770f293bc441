"""Keys and cookies stay with the host that they are of: a second server, which must hear nothing, listens.

With the providers' own Python packages, whose HTTP clients follow redirects and keep cookies.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import nexo_client
from answering_server import AnsweringServer, Request, answer
from nexo_client import Client
from nexo_client.errors import InvalidField
from nexo_client.types import ConnectionDraft, Header
from surroundings import Nexod

KEY = "sk-canary-of-the-first-account"
HEADER = "canary-of-a-gateway"
MESSAGES: list[Any] = [{"role": "user", "content": "Who pays?"}]


@pytest.fixture
def client(nexod: Nexod, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("NEXO_SOCKET", str(nexod.socket))
    with nexod.client() as connected:
        yield connected


@pytest.fixture
def silent() -> Iterator[AnsweringServer]:
    with AnsweringServer(lambda _request, _connection: answer(200, b"{}")) as server:
        yield server


@pytest.fixture
def redirecting(silent: AnsweringServer) -> Iterator[AnsweringServer]:
    def script(request: Request, _: Any) -> bytes:
        return answer(307, b"", (("Location", silent.origin + request.target),))

    with AnsweringServer(script) as server:
        yield server


def openai(conn: Any) -> Any:
    import openai

    with openai.OpenAI(**conn.openai(), max_retries=0) as sdk:
        sdk.chat.completions.create(model="m", messages=MESSAGES)


def openai_async(conn: Any) -> Any:
    import openai

    async def ask() -> None:
        async with openai.AsyncOpenAI(**conn.openai(async_client=True), max_retries=0) as sdk:
            await sdk.chat.completions.create(model="m", messages=MESSAGES)

    asyncio.run(ask())


def anthropic(conn: Any) -> Any:
    import anthropic

    with anthropic.Anthropic(**conn.anthropic(), max_retries=0) as sdk:
        sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES)


def anthropic_async(conn: Any) -> Any:
    import anthropic

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(**conn.anthropic(async_client=True), max_retries=0) as sdk:
            await sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES)

    asyncio.run(ask())


def google(conn: Any) -> Any:
    from google import genai

    with genai.Client(**conn.google()) as sdk:
        sdk.models.generate_content(model="m", contents="Who pays?")


def google_async(conn: Any) -> Any:
    from google import genai

    async def ask() -> None:
        async with genai.Client(**conn.google()).aio as sdk:
            await sdk.models.generate_content(model="m", contents="Who pays?")

    asyncio.run(ask())


def ollama(conn: Any) -> Any:
    import ollama

    sdk = ollama.Client(**conn.ollama())
    try:
        sdk.chat(model="m", messages=MESSAGES)
    finally:
        sdk._client.close()


PACKAGES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("openai", "bearer", openai),
    ("custom", "x-api-key", openai),
    ("custom", "api-key", openai_async),
    ("openai", "bearer", openai_async),
    ("anthropic", "x-api-key", anthropic),
    ("anthropic", "bearer", anthropic_async),
    ("google", "x-goog-api-key", google),
    ("google", "x-goog-api-key", google_async),
    ("ollama", "bearer", ollama),
]


@pytest.mark.parametrize("headers", [(), (Header("X-Gateway-Token", HEADER),)], ids=["plain", "own header"])
@pytest.mark.parametrize(("provider", "scheme", "ask"), PACKAGES)
def test_no_key_and_no_header_follows_a_redirect_to_another_host(
    client: Client,
    redirecting: AnsweringServer,
    silent: AnsweringServer,
    provider: str,
    scheme: str,
    ask: Callable[[Any], Any],
    headers: tuple[Header, ...],
) -> None:
    client.create_connection(
        ConnectionDraft(
            name="one",
            provider=provider,
            auth_scheme=scheme,
            base_url=redirecting.origin,
            api_key=KEY,
            headers=headers,
        )
    )
    with suppress(Exception):
        ask(client.resolve("one"))
    assert any(KEY in str(one.headers) for one in redirecting.requests)
    for one in silent.requests:
        assert KEY not in str(one.headers)
        assert HEADER not in str(one.headers)


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_client_of_your_own_that_follows_redirects_does_not_take_the_key_along(
    client: Client, redirecting: AnsweringServer, silent: AnsweringServer, http: ModuleType
) -> None:
    client.create_connection(
        ConnectionDraft(
            name="one",
            provider="custom",
            auth_scheme="x-api-key",
            base_url=redirecting.origin,
            api_key=KEY,
        )
    )
    with client.follow() as live:
        auth = nexo_client.FollowingAuth(live)
        own = {"base_url": nexo_client.FOLLOWED, "auth": auth, "trust_env": False, "follow_redirects": True}
        with http.Client(**own) as sync, pytest.raises(InvalidField, match="redirect"):
            sync.get("/models")

        async def ask() -> None:
            async with http.AsyncClient(**own) as asynchronous:
                with pytest.raises(InvalidField, match="redirect"):
                    await asynchronous.get("/models")

        asyncio.run(ask())
    assert silent.requests == []


def completion(request: Request, _: Any) -> bytes:
    cookies = (
        ("Content-Type", "application/json"),
        ("Set-Cookie", "gateway_session=SESSION-OF-CUSTOMER-A; Path=/"),
        ("Set-Cookie", "__cf_bm=abc; Path=/; HttpOnly"),
    )
    return answer(200, b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[]}', cookies)


MAKERS = [nexo_client.openai_client, nexo_client.async_openai_client]


@pytest.mark.parametrize("make", MAKERS)
def test_what_one_server_sets_is_not_sent_to_the_next(client: Client, make: Callable[..., Any]) -> None:
    with AnsweringServer(completion) as first, AnsweringServer(completion) as second:
        for name, server in (("a", first), ("b", second)):
            client.create_connection(
                ConnectionDraft(
                    name=name, provider="custom", base_url=server.origin, api_key=f"key-of-{name}"
                )
            )

        async def ask() -> None:
            sdk = make(max_retries=0)
            for name in ("a", "b", "a"):
                client.set_default(name, wait_s=30)
                asked = sdk.chat.completions.create(model="m", messages=MESSAGES)
                if asyncio.iscoroutine(asked):
                    await asked
            closing = sdk.close()
            if closing is not None:
                await closing

        asyncio.run(ask())
        posts = [one for server in (first, second) for one in server.requests if one.method == "POST"]
        assert len(posts) == 3
        assert all("cookie" not in one.headers for one in posts)
