"""A check sends the path and key that the provider's own Python package would, from the same base URL."""

from collections.abc import Callable
from typing import Any

import pytest

import probing_help as ask
from answering_server import Request
from faithful_service import GOOD, FaithfulService
from nexo.connections.terms import Provider


def by_openai(base_url: str) -> list[str]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=base_url, api_key=GOOD, max_retries=0) as client:
        return [model.id for model in client.models.list()]


def by_anthropic(base_url: str) -> list[str]:
    anthropic = pytest.importorskip("anthropic")
    # Since 2.0 the package sends the key as a bearer unless told otherwise; the service takes either.
    with anthropic.Anthropic(
        base_url=base_url, api_key=GOOD, max_retries=0, default_headers={"x-api-key": GOOD}
    ) as client:
        return [model.id for model in client.models.list()]


def by_google(base_url: str) -> list[str]:
    genai = pytest.importorskip("google.genai")
    options = genai.types.HttpOptions(base_url=base_url, api_version="v1beta")
    with genai.Client(api_key=GOOD, http_options=options) as client:
        return [model.name.removeprefix("models/") for model in client.models.list()]


def by_ollama(base_url: str) -> list[str]:
    ollama = pytest.importorskip("ollama")
    with ollama.Client(host=base_url, headers={"Authorization": f"Bearer {GOOD}"}) as client:
        return [model.model for model in client.list().models]


SDKS: dict[Provider, Callable[[str], list[str]]] = {
    Provider.OPENAI: by_openai,
    Provider.ANTHROPIC: by_anthropic,
    Provider.GOOGLE: by_google,
    Provider.OLLAMA: by_ollama,
    Provider.CUSTOM: by_openai,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("provider", Provider)
def test_the_sdk_and_the_check_ask_the_same(provider: Provider) -> None:
    with FaithfulService(provider) as service:
        listed = SDKS[provider](service.base_url)
        theirs = service.requests[-1]
        assert ask.check(ask.target(provider, service.base_url, GOOD)).ok
        ours = service.requests[-1]
        assert [
            model.id for model in ask.list_models(ask.target(provider, service.base_url, GOOD)).models
        ] == listed
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert credential(ours, service.manners.auth[0]) == credential(theirs, service.manners.auth[0])


def credential(request: Request, header: str) -> Any:
    return request.headers.get(header)
