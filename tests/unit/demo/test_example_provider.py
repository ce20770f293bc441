"""The bundled example provider behaves like the providers it stands for, as their own packages see it."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import BUSY, HOME, REVOKED, SLOW, WORK, ExampleProvider


@pytest.fixture
def provider() -> Iterator[ExampleProvider]:
    with ExampleProvider(slow_s=30, retry_after_s=17) as running:
        yield running


def ask(
    url: str, key: str = "", *, scheme: str = "bearer", body: object = None, **headers: str
) -> tuple[int, bytes, dict]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named |= {"Authorization": f"Bearer {key}"} if scheme == "bearer" else {scheme: key}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | named)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


FACES = {
    "openai": ("/v1/models", "bearer", {}),
    "anthropic": ("/v1/models", "x-api-key", {"anthropic_version": "2023-06-01"}),
    "google": ("/v1beta/models", "x-goog-api-key", {}),
}


@pytest.mark.parametrize("face", FACES)
def test_a_good_key_lists_models(provider: ExampleProvider, face: str) -> None:
    path, scheme, headers = FACES[face]
    status, body, _ = ask(provider.origin + path, WORK.key, scheme=scheme, **headers)
    assert status == 200
    assert b"example-large" in body
    assert provider.served() == {"work": 1}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("key", [REVOKED.key, "never-heard-of", ""])
def test_a_bad_key_is_refused(provider: ExampleProvider, face: str, key: str) -> None:
    path, scheme, headers = FACES[face]
    status, body, _ = ask(provider.origin + path, key, scheme=scheme, **headers)
    assert status == (400 if face == "google" else 401)
    assert key.encode() not in body or not key
    assert not provider.served()


@pytest.mark.parametrize("face", FACES)
def test_a_key_over_its_limit_says_when_to_come_back(provider: ExampleProvider, face: str) -> None:
    path, scheme, headers = FACES[face]
    status, _, answer_headers = ask(provider.origin + path, BUSY.key, scheme=scheme, **headers)
    assert (status, answer_headers["retry-after"]) == (429, "17")


def test_stopping_ends_the_wait_of_a_slow_account() -> None:
    with ExampleProvider(slow_s=1e6) as provider:
        timer = threading.Timer(0.2, provider.stop)
        timer.start()
        assert ask(provider.origin + "/v1/models", SLOW.key)[0] == 200
        timer.join()


def test_a_slow_account_waits() -> None:
    with ExampleProvider(slow_s=0.3) as provider:
        began = time.monotonic()
        ask(provider.origin + "/v1/models", SLOW.key)
        # A lower bound only: nothing here can be too slow.
        assert time.monotonic() - began >= 0.3


def test_lists_come_in_pages(provider: ExampleProvider) -> None:
    seen, after = [], ""
    for _ in range(5):
        url = f"{provider.origin}/v1/models?limit=1&after_id={after}"
        page = json.loads(ask(url, WORK.key, scheme="x-api-key", anthropic_version="2023-06-01")[1])
        seen += [model["id"] for model in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == ["example-large", "example-small"]
    first = json.loads(
        ask(f"{provider.origin}/v1beta/models?pageSize=1", WORK.key, scheme="x-goog-api-key")[1]
    )
    url = f"{provider.origin}/v1beta/models?pageSize=1&pageToken={first['nextPageToken']}"
    assert "nextPageToken" not in json.loads(ask(url, WORK.key, scheme="x-goog-api-key")[1])


def test_a_body_that_cannot_run_tells_the_key_from_a_bad_one(provider: ExampleProvider) -> None:
    url = f"{provider.origin}/v1/chat/completions"
    assert ask(url, WORK.key, body={"messages": 0})[0] == 400
    assert ask(url, body={"messages": 0})[0] == 401


def test_a_huge_body_is_refused_unread(provider: ExampleProvider) -> None:
    url = f"{provider.origin}/v1/chat/completions"
    request = urllib.request.Request(url, b"{}", {"Content-Length": str(1 << 40)}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert error.code == 400


def test_requests_are_recorded_without_showing_keys(provider: ExampleProvider) -> None:
    ask(provider.origin + "/v1/models", HOME.key)
    (one,) = provider.requests()
    assert (one.account, one.status, one.request.path) == ("home", 200, "/v1/models")
    assert HOME.key not in repr(one)


class TestOfficialPackages:
    """What the demo promises about other people's programs is true of this server too, streams included."""

    def test_openai(self, provider: ExampleProvider) -> None:
        openai = pytest.importorskip("openai")
        with openai.OpenAI(
            base_url=provider.base_url(Provider.OPENAI), api_key=WORK.key, max_retries=0
        ) as client:
            assert [model.id for model in client.models.list()] == ["example-large", "example-small"]
            question = {"model": "example-small", "messages": [{"role": "user", "content": "Who pays?"}]}
            answer = client.chat.completions.create(**question)
            assert "'work'" in answer.choices[0].message.content
            parts = [
                part.choices[0].delta.content or ""
                for part in client.chat.completions.create(**question, stream=True)
            ]
            assert "".join(parts) == answer.choices[0].message.content
        with (
            openai.OpenAI(base_url=provider.base_url(Provider.OPENAI), api_key=REVOKED.key) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()

    def test_anthropic(self, provider: ExampleProvider) -> None:
        anthropic = pytest.importorskip("anthropic")
        with anthropic.Anthropic(
            base_url=provider.base_url(Provider.ANTHROPIC), api_key=WORK.key, max_retries=0
        ) as client:
            assert [model.id for model in client.models.list(limit=1)] == ["example-large", "example-small"]
            question = {
                "model": "example-small",
                "max_tokens": 10,
                "messages": [{"role": "user", "content": "Hi"}],
            }
            answer = client.messages.create(**question)
            assert "'work'" in answer.content[0].text
            with client.messages.stream(**question) as stream:
                assert "".join(stream.text_stream) == answer.content[0].text

    def test_google(self, provider: ExampleProvider) -> None:
        genai = pytest.importorskip("google.genai")
        options = genai.types.HttpOptions(base_url=provider.base_url(Provider.GOOGLE))
        with genai.Client(api_key=WORK.key, http_options=options) as client:
            assert [model.name for model in client.models.list()] == [
                "models/example-large",
                "models/example-small",
            ]
            answer = client.models.generate_content(model="example-small", contents="Hi")
            assert "'work'" in answer.text
            parts = client.models.generate_content_stream(model="example-small", contents="Hi")
            assert "".join(part.text for part in parts) == answer.text

    def test_ollama(self, provider: ExampleProvider) -> None:
        ollama = pytest.importorskip("ollama")
        client = ollama.Client(host=provider.base_url(Provider.OLLAMA))
        try:
            assert [model.model for model in client.list().models] == ["example-large", "example-small"]
            question = [{"role": "user", "content": "Hi"}]
            answer = client.chat(model="example-small", messages=question)
            parts = client.chat(model="example-small", messages=question, stream=True)
            assert "".join(part.message.content for part in parts) == answer.message.content
        finally:
            # The package has no way to close a client, and the tests take an unclosed socket for a failure.
            client._client.close()
