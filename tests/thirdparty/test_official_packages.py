"""The providers' own Python packages make a call with what the daemon hands out, against another's server.

aimock checks the key and answers in each provider's dialect; it was written from the providers' documents by
other people, so that neither our reading of those documents nor our example provider proves itself right.
The environment holds rival keys and URLs, as on a person's computer: the hand-out has to win over them.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import nexo_client
from nexo.connections.terms import KeyVerdict, Outcome
from nexo_client.types import ConnectionDraft, ResolvedConnection
from surroundings import Nexod
from thirdparty import aimock

pytestmark = pytest.mark.needs("node")

QUESTION = "a question"
RIVALS = {
    "OPENAI_API_KEY": "somebody-elses-key",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_ORG_ID": "org-somebody-else",
    "ANTHROPIC_API_KEY": "somebody-elses-key",
    "ANTHROPIC_AUTH_TOKEN": "somebody-elses-token",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "GOOGLE_API_KEY": "somebody-elses-key",
    "GEMINI_API_KEY": "somebody-elses-key",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
    "OLLAMA_HOST": "http://127.0.0.1:9",
    "OLLAMA_API_KEY": "somebody-elses-key",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with aimock.running() as running:
        yield running


@pytest.fixture
def client(nexod: Nexod, monkeypatch: pytest.MonkeyPatch) -> Iterator[nexo_client.Client]:
    for name, value in RIVALS.items():
        monkeypatch.setenv(name, value)
    with nexod.client() as connected:
        yield connected


def handed_out(
    client: nexo_client.Client, provider: str, base_url: str, key: str, model: str
) -> ResolvedConnection:
    client.create_connection(
        ConnectionDraft(name=provider, provider=provider, base_url=base_url, api_key=key, default_model=model)
    )
    return client.resolve(provider)


@pytest.mark.parametrize("provider", ["openai", "custom"])
def test_openai(client: nexo_client.Client, server: Any, provider: str) -> None:
    openai = pytest.importorskip("openai")
    conn = handed_out(client, provider, f"{server.origin}/v1", server.key, "gpt-4o")
    messages = [{"role": "user", "content": QUESTION}]
    with openai.OpenAI(**conn.openai(), max_retries=0) as sdk:
        answer = sdk.chat.completions.create(model=conn.model, messages=messages)
        assert answer.choices[0].message.content == aimock.ANSWER
        parts = sdk.chat.completions.create(model=conn.model, messages=messages, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == aimock.ANSWER

    async def call() -> str:
        async with openai.AsyncOpenAI(**conn.openai(), max_retries=0) as sdk:
            answer = await sdk.chat.completions.create(model=conn.model, messages=messages)
            return str(answer.choices[0].message.content)

    assert asyncio.run(call()) == aimock.ANSWER
    last = server.journal()[-1]
    assert "org-somebody-else" not in str(last["headers"])


def test_anthropic(client: nexo_client.Client, server: Any) -> None:
    anthropic = pytest.importorskip("anthropic")
    conn = handed_out(client, "anthropic", server.origin, server.key, "claude-3-5-sonnet-20241022")
    question = {"model": conn.model, "max_tokens": 50, "messages": [{"role": "user", "content": QUESTION}]}
    with anthropic.Anthropic(**conn.anthropic(), max_retries=0) as sdk:
        assert sdk.messages.create(**question).content[0].text == aimock.ANSWER
        with sdk.messages.stream(**question) as stream:
            assert "".join(stream.text_stream) == aimock.ANSWER


def test_google(client: nexo_client.Client, server: Any) -> None:
    genai = pytest.importorskip("google.genai")
    conn = handed_out(client, "google", server.origin, server.key, "gemini-2.0-flash")
    with genai.Client(**conn.google()) as sdk:
        assert sdk.models.generate_content(model=conn.model, contents=QUESTION).text == aimock.ANSWER
        parts = sdk.models.generate_content_stream(model=conn.model, contents=QUESTION)
        assert "".join(part.text or "" for part in parts) == aimock.ANSWER


def test_ollama(client: nexo_client.Client, server: Any) -> None:
    ollama = pytest.importorskip("ollama")
    # aimock wants a key on every path, as an Ollama behind a gateway does.
    conn = handed_out(client, "ollama", server.origin, server.key, "llama3")
    messages = [{"role": "user", "content": QUESTION}]
    sdk = ollama.Client(**conn.ollama())
    try:
        assert sdk.chat(model=conn.model, messages=messages).message.content == aimock.ANSWER
    finally:
        # The package has no way to close a client, and the tests take an unclosed socket for a failure.
        sdk._client.close()


def test_the_packages_fail_as_they_do_with_a_bad_key(client: nexo_client.Client, server: Any) -> None:
    """The calls above were let in by the key, not by an open door."""
    openai = pytest.importorskip("openai")
    conn = handed_out(client, "openai", f"{server.origin}/v1", "a-key-that-aimock-refuses", "gpt-4o")
    with openai.OpenAI(**conn.openai(), max_retries=0) as sdk, pytest.raises(openai.AuthenticationError):
        sdk.chat.completions.create(model=conn.model, messages=[{"role": "user", "content": QUESTION}])


def test_our_own_test_agrees_with_the_packages(client: nexo_client.Client, server: Any) -> None:
    draft = ConnectionDraft(provider="openai", base_url=f"{server.origin}/v1", api_key=server.key)
    good = client.test_draft(draft)
    assert (good.outcome, good.key) == (Outcome.OK, KeyVerdict.VERIFIED)
    bad = client.test_draft(
        ConnectionDraft(provider="openai", base_url=draft.base_url, api_key="a-key-it-refuses")
    )
    assert (bad.outcome, bad.http_status) == (Outcome.AUTH_ERROR, 401)
    models = client.create_connection(
        ConnectionDraft(name="mine", provider="openai", base_url=draft.base_url, api_key=server.key)
    )
    assert "gpt-4o" in [model.id for model in client.list_models(models.connection.name).models]
