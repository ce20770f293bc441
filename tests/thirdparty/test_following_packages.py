"""Clients of the providers' own Python packages that were made once send each request to the connection of
the moment: address, key and headers; and what is in flight ends where it began.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import nexo_client
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider, Recorded
from nexo_client import Client
from nexo_client.errors import InvalidField, NoDefaultConnection
from nexo_client.types import ConnectionDraft, Header, NetworkProfile
from surroundings import PATIENCE_S, Nexod

MESSAGES: list[Any] = [{"role": "user", "content": "Who pays?"}]


@pytest.fixture
def second() -> Iterator[ExampleProvider]:
    with ExampleProvider() as running:
        yield running


@pytest.fixture
def client(nexod: Nexod) -> Iterator[Client]:
    with nexod.client() as connected:
        yield connected


@pytest.fixture(autouse=True)
def socket_of_the_daemon(nexod: Nexod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXO_SOCKET", str(nexod.socket))


def ask_openai() -> tuple[Any, Callable[[Any], str]]:
    sdk = nexo_client.openai_client(max_retries=0)
    return (
        sdk,
        lambda sdk: sdk.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content,
    )


def ask_openai_async() -> tuple[Any, Callable[[Any], str]]:
    async def ask(sdk: Any) -> str:
        answer = await sdk.chat.completions.create(model="m", messages=MESSAGES)
        return str(answer.choices[0].message.content)

    return nexo_client.async_openai_client(max_retries=0), ask  # type: ignore[return-value]


def ask_anthropic() -> tuple[Any, Callable[[Any], str]]:
    sdk = nexo_client.anthropic_client(max_retries=0)
    question = {"model": "m", "max_tokens": 9, "messages": MESSAGES}
    return sdk, lambda sdk: sdk.messages.create(**question).content[0].text


def ask_anthropic_async() -> tuple[Any, Callable[[Any], str]]:
    async def ask(sdk: Any) -> str:
        answer = await sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES)
        return str(answer.content[0].text)

    return nexo_client.async_anthropic_client(max_retries=0), ask  # type: ignore[return-value]


def ask_google() -> tuple[Any, Callable[[Any], str]]:
    sdk = nexo_client.google_client()
    return sdk, lambda sdk: sdk.models.generate_content(model="m", contents="Who pays?").text


def ask_google_async() -> tuple[Any, Callable[[Any], str]]:
    async def ask(sdk: Any) -> str:
        answer = await sdk.aio.models.generate_content(model="m", contents="Who pays?")
        return str(answer.text)

    return nexo_client.google_client(), ask  # type: ignore[return-value]


def ask_ollama() -> tuple[Any, Callable[[Any], str]]:
    return nexo_client.ollama_client(), lambda sdk: sdk.chat(model="m", messages=MESSAGES).message.content


def ask_ollama_async() -> tuple[Any, Callable[[Any], str]]:
    async def ask(sdk: Any) -> str:
        answer = await sdk.chat(model="m", messages=MESSAGES)
        return str(answer.message.content)

    return nexo_client.async_ollama_client(), ask  # type: ignore[return-value]


PACKAGES = {
    "openai": (Provider.OPENAI, ask_openai),
    "openai, asyncio": (Provider.OPENAI, ask_openai_async),
    "anthropic": (Provider.ANTHROPIC, ask_anthropic),
    "anthropic, asyncio": (Provider.ANTHROPIC, ask_anthropic_async),
    "google": (Provider.GOOGLE, ask_google),
    "google, asyncio": (Provider.GOOGLE, ask_google_async),
    "ollama": (Provider.OLLAMA, ask_ollama),
    "ollama, asyncio": (Provider.OLLAMA, ask_ollama_async),
}


def add_two(client: Client, provider: Provider, first: ExampleProvider, second: ExampleProvider) -> None:
    """ "one" at the first server with the key of one account, "two" at the second with that of another."""
    client.create_connection(
        ConnectionDraft(name="one", provider=provider, base_url=first.base_url(provider), api_key=WORK.key)
    )
    client.create_connection(
        ConnectionDraft(
            name="two",
            provider=provider,
            base_url=second.base_url(provider),
            api_key=HOME.key,
            headers=(Header("X-Team", "blue"),),
        )
    )


def calls(server: ExampleProvider) -> list[Recorded]:
    """What programs asked of a server; the daemon's own checks only list and look."""
    return [one for one in server.requests() if one.request.method == "POST" and b"ays?" in one.request.body]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_client_that_was_made_once_follows(
    client: Client, provider: ExampleProvider, second: ExampleProvider, package: str
) -> None:
    dialect, make = PACKAGES[package]
    add_two(client, dialect, provider, second)

    async def asynchronous() -> list[str]:
        sdk, ask = make()
        answers = [await ask(sdk)]  # type: ignore[misc]  # the asynchronous ones
        client.set_default("two", wait_s=30)
        answers.append(await ask(sdk))  # type: ignore[misc]  # as above
        closing = sdk.close()
        if closing is not None:
            await closing
        return answers

    def synchronous() -> list[str]:
        sdk, ask = make()
        answers = [ask(sdk)]
        client.set_default("two", wait_s=30)
        answers.append(ask(sdk))
        sdk.close()
        return answers

    answers = asyncio.run(asynchronous()) if "asyncio" in package else synchronous()
    if dialect is not Provider.OLLAMA:
        assert [("'work'" in answer, "'home'" in answer) for answer in answers] == [
            (True, False),
            (False, True),
        ]

    (before,), (after,) = calls(provider), calls(second)
    assert (before.request.key, after.request.key) == (WORK.key, HOME.key)
    assert "x-team" not in before.request.headers
    assert after.request.headers["x-team"] == "blue"
    for one, server in ((before, provider), (after, second)):
        assert one.request.headers["host"] == server.origin.removeprefix("http://")
        assert "no-key-needed" not in str(one.request.headers.values())
        assert "nexo.invalid" not in str(one.request.headers.values()) + one.request.target


class Gate(ThreadingHTTPServer):
    """Streams a completion word by word; the second half waits until the test lets it go."""

    def __init__(self, word: str) -> None:
        self.opened = threading.Event()
        self.half_sent = threading.Event()
        self.keys: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                gate.keys.append(self.headers.get("authorization", ""))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                self.say(f"{word}-first")
                gate.half_sent.set()
                gate.opened.wait(PATIENCE_S)
                self.say(f"{word}-second")
                self.wfile.write(b"data: [DONE]\n\n")

            def say(self, text: str) -> None:
                choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
                chunk = {
                    "id": "c",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": "m",
                    "choices": [choice],
                }
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@pytest.fixture
def gates() -> Iterator[tuple[Gate, Gate]]:
    made = (Gate("old"), Gate("new"))
    yield made
    for gate in made:
        gate.opened.set()
        gate.shutdown()
        gate.server_close()


def test_a_stream_in_flight_ends_where_it_began(client: Client, gates: tuple[Gate, Gate]) -> None:
    old, new = gates
    for name, gate in (("old", old), ("new", new)):
        client.create_connection(
            ConnectionDraft(name=name, provider="custom", base_url=gate.base_url, api_key=f"key-{name}")
        )
    with client.follow() as live, nexo_client.openai_client(live=live, max_retries=0) as sdk:

        def words(stream: Any) -> Iterator[str]:
            return (chunk.choices[0].delta.content for chunk in stream)

        first = words(sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        assert next(first) == "old-first"
        assert client.set_default("new", wait_s=30).pending_followers == ()

        second = words(sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        assert next(second) == "new-first"

        old.opened.set()
        assert list(first) == ["old-second"]
        new.opened.set()
        assert list(second) == ["new-second"]
    assert (old.keys, new.keys) == (["Bearer key-old"], ["Bearer key-new"])


def test_nothing_to_use_is_told_by_our_error(client: Client) -> None:
    with nexo_client.openai_client(max_retries=0) as sdk, pytest.raises(NoDefaultConnection):
        sdk.chat.completions.create(model="m", messages=MESSAGES)


@pytest.mark.parametrize(
    "make", [nexo_client.openai_client, nexo_client.google_client, nexo_client.ollama_client]
)
def test_closing_the_client_ends_what_was_made_for_it(client: Client, make: Callable[[], Any]) -> None:
    sdk = make()
    assert client.status().followers
    sdk.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nexo-")]


def test_the_proxy_of_a_connection_is_used_and_changes_with_it(
    client: Client, provider: ExampleProvider, second: ExampleProvider
) -> None:
    client.create_connection(
        ConnectionDraft(
            name="behind a proxy",
            provider="openai",
            base_url="http://provider.test/v1",
            api_key=WORK.key,
            network=NetworkProfile(proxy=provider.origin),
        )
    )
    client.create_connection(
        ConnectionDraft(
            name="direct",
            provider="openai",
            base_url=second.base_url(Provider.OPENAI),
            api_key=HOME.key,
            network=NetworkProfile(proxy="direct"),
        )
    )
    with nexo_client.openai_client(max_retries=0) as sdk:
        sdk.chat.completions.create(model="m", messages=MESSAGES)
        client.set_default("direct", wait_s=30)
        sdk.chat.completions.create(model="m", messages=MESSAGES)
    assert [one.request.target for one in calls(provider)] == ["http://provider.test/v1/chat/completions"]
    assert [one.request.target for one in calls(second)] == ["/v1/chat/completions"]


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_an_httpx_client_of_your_own_follows(
    client: Client, provider: ExampleProvider, second: ExampleProvider, http: ModuleType
) -> None:
    add_two(client, Provider.OPENAI, provider, second)
    with (
        client.follow() as live,
        http.Client(
            base_url=nexo_client.FOLLOWED, auth=nexo_client.FollowingAuth(live), trust_env=False
        ) as own,
    ):
        assert own.get("/models", params={"a": "b c"}).status_code == 200
        client.set_default("two", wait_s=30)
        answer = own.post("/chat/completions", json={"model": "m", "messages": MESSAGES})
        assert "'home'" in answer.json()["choices"][0]["message"]["content"]
        with pytest.raises(InvalidField, match="example"):
            own.get("http://elsewhere.example/models")
    assert "/v1/models?a=b+c" in [one.request.target for one in provider.requests()]
    assert [one.request.key for one in calls(second)] == [HOME.key]


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        ("bearer", "authorization", f"Bearer {WORK.key}"),
        ("x-api-key", "x-api-key", WORK.key),
        ("api-key", "api-key", WORK.key),
        ("none", "", ""),
    ],
)
def test_only_the_header_of_the_scheme_is_sent(
    client: Client, provider: ExampleProvider, scheme: str, header: str, value: str
) -> None:
    """A key in the header of another scheme is refused by some gateways, and misread by others."""
    import openai

    client.create_connection(
        ConnectionDraft(
            name="one",
            provider="custom",
            auth_scheme=scheme,
            base_url=provider.base_url(Provider.OPENAI),
            api_key=None if scheme == "none" else WORK.key,
        )
    )
    plain = openai.OpenAI(**client.resolve().openai(), max_retries=0)
    followed = nexo_client.openai_client(max_retries=0)
    for sdk in (plain, followed):
        with sdk:
            if scheme == "none":
                with pytest.raises(openai.AuthenticationError):
                    sdk.chat.completions.create(model="m", messages=MESSAGES)
            else:
                sdk.chat.completions.create(model="m", messages=MESSAGES)
    seen = calls(provider)
    assert len(seen) == 2
    if scheme == "none":
        # The package itself refuses to send nothing; it gets a word that is no key.
        assert seen.pop(0).request.headers["authorization"] == "Bearer no-key-needed"
    for one in seen:
        carriers = {"authorization", "x-api-key", "api-key", "x-goog-api-key"} & set(one.request.headers)
        assert carriers == ({header} if header else set())
        assert one.request.headers.get(header, "") == value


@pytest.mark.parametrize("scheme", ["bearer", "x-api-key"])
def test_anthropic_sends_the_header_that_was_tested(
    client: Client, provider: ExampleProvider, scheme: str
) -> None:
    import anthropic

    url = provider.base_url(Provider.ANTHROPIC)
    client.create_connection(
        ConnectionDraft(name="one", provider="anthropic", auth_scheme=scheme, base_url=url, api_key=WORK.key)
    )
    with anthropic.Anthropic(**client.resolve().anthropic(), max_retries=0) as sdk:
        sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES)
    with nexo_client.anthropic_client(max_retries=0) as followed:
        followed.messages.create(model="m", max_tokens=9, messages=MESSAGES)
    expected = {"bearer": "authorization", "x-api-key": "x-api-key"}[scheme]
    for one in calls(provider):
        assert {"authorization", "x-api-key"} & set(one.request.headers) == {expected}
    assert len(calls(provider)) == 2


def test_a_custom_authorization_header_wins(client: Client, provider: ExampleProvider) -> None:
    import openai

    client.create_connection(
        ConnectionDraft(
            name="one",
            provider="openai",
            base_url=provider.base_url(Provider.OPENAI),
            api_key="a-key-that-is-not-known",
            headers=(Header("authorization", f"Bearer {WORK.key}"),),
        )
    )
    plain = openai.OpenAI(**client.resolve().openai(), max_retries=0)
    for sdk in (plain, nexo_client.openai_client(max_retries=0)):
        with sdk:
            sdk.chat.completions.create(model="m", messages=MESSAGES)
    assert [one.request.headers["authorization"] for one in calls(provider)] == [f"Bearer {WORK.key}"] * 2
