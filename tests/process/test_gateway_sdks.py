"""The official packages behind the gateway, unmodified: one client, two requests, a switch between them."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai

from gateway_parts import add
from nexo.connections.terms import Provider
from nexo_cli.demo.faces import MODELS
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.types import Gateway
from surroundings import Nexod

Ask = Callable[[], str]
MESSAGES: Any = [{"role": "user", "content": "hello"}]


_OPEN: list[Any] = []


def closed_later(client: Any) -> Any:
    """The client; what it has open is closed with the test, not whenever it is collected."""
    _OPEN.append(client)
    return client


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Closes the clients of a test."""
    yield
    while _OPEN:
        client = _OPEN.pop()
        # Ollama's has no such method in its older versions.
        (client.close if hasattr(client, "close") else client._client.close)()


def openai_chat(gateway: Gateway, token: str, model: str) -> Ask:
    client = closed_later(openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token, max_retries=0))

    def ask() -> str:
        return str(client.chat.completions.create(model=model, messages=MESSAGES).choices[0].message.content)

    return ask


def openai_stream(gateway: Gateway, token: str, model: str) -> Ask:
    client = closed_later(openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token, max_retries=0))

    def ask() -> str:
        stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
        return "".join(part.choices[0].delta.content or "" for part in stream if part.choices)

    return ask


def openai_async(gateway: Gateway, token: str, model: str) -> Ask:
    async def ask() -> str:
        async with openai.AsyncOpenAI(
            base_url=gateway.base_url("openai"), api_key=token, max_retries=0
        ) as client:
            done = await client.chat.completions.create(model=model, messages=MESSAGES)
            return str(done.choices[0].message.content)

    return lambda: asyncio.run(ask())


def anthropic_messages(gateway: Gateway, token: str, model: str) -> Ask:
    client = closed_later(
        anthropic.Anthropic(base_url=gateway.base_url("anthropic"), api_key=token, max_retries=0)
    )

    def ask() -> str:
        done: Any = client.messages.create(model=model, max_tokens=5, messages=MESSAGES)
        return str(done.content[0].text)

    return ask


def anthropic_bearer_stream(gateway: Gateway, token: str, model: str) -> Ask:
    client = closed_later(
        anthropic.Anthropic(base_url=gateway.base_url("anthropic"), auth_token=token, max_retries=0)
    )

    def ask() -> str:
        with client.messages.stream(model=model, max_tokens=5, messages=MESSAGES) as stream:
            return "".join(stream.text_stream)

    return ask


def google_generate(gateway: Gateway, token: str, model: str) -> Ask:
    options = genai.types.HttpOptions(base_url=gateway.base_url("google"))
    client = closed_later(genai.Client(api_key=token, http_options=options))
    return lambda: str(client.models.generate_content(model=model, contents="hello").text)


def google_stream(gateway: Gateway, token: str, model: str) -> Ask:
    options = genai.types.HttpOptions(base_url=gateway.base_url("google"))
    client = closed_later(genai.Client(api_key=token, http_options=options))

    def ask() -> str:
        parts = client.models.generate_content_stream(model=model, contents="hello")
        return "".join(part.text or "" for part in parts)

    return ask


def ollama_chat(gateway: Gateway, token: str, model: str) -> Ask:
    address = f"http://127.0.0.1:{gateway.port}/t/{token}/ollama"
    client = closed_later(ollama.Client(host=address))
    return lambda: str(client.chat(model=model, messages=MESSAGES).message.content)


def ollama_stream(gateway: Gateway, token: str, model: str) -> Ask:
    client = closed_later(
        ollama.Client(host=gateway.base_url("ollama"), headers={"Authorization": f"Bearer {token}"})
    )

    def ask() -> str:
        return "".join(
            part.message.content or "" for part in client.chat(model=model, messages=MESSAGES, stream=True)
        )

    return ask


PROGRAMS = {
    "openai": (Provider.OPENAI, openai_chat),
    "openai, streaming": (Provider.OPENAI, openai_stream),
    "openai, asyncio": (Provider.OPENAI, openai_async),
    "anthropic": (Provider.ANTHROPIC, anthropic_messages),
    "anthropic, bearer and streaming": (Provider.ANTHROPIC, anthropic_bearer_stream),
    "google-genai": (Provider.GOOGLE, google_generate),
    "google-genai, streaming": (Provider.GOOGLE, google_stream),
    "ollama, token in the path": (Provider.OLLAMA, ollama_chat),
    "ollama, streaming": (Provider.OLLAMA, ollama_stream),
}


@pytest.fixture
def services() -> Iterator[tuple[ExampleProvider, ExampleProvider]]:
    with ExampleProvider() as first, ExampleProvider() as second:
        yield first, second


@pytest.mark.parametrize(("provider", "program"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_that_knows_nothing_of_us_follows_a_switch_without_a_restart(
    nexod: Nexod,
    services: tuple[ExampleProvider, ExampleProvider],
    provider: Provider,
    program: Callable[[Gateway, str, str], Ask],
) -> None:
    with nexod.client() as client:
        for name, service, account in zip(("a", "b"), services, (WORK, HOME), strict=True):
            add(client, name, service.base_url(provider), key=account.key, provider=provider)
        run = client.gateway.mint()
        ask = program(run.gateway, run.secret, MODELS[0])
        assert ask()
        client.set_default("b")
        assert ask()
    for service, account in zip(services, (WORK, HOME), strict=True):
        asked = [one for one in service.requests() if one.request.method == "POST"]
        assert [(one.account, one.status) for one in asked] == [(account.name, 200)]
