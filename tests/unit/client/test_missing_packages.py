"""An SDK that is not installed is named, with the command that installs it."""

import sys
from collections.abc import Callable

import pytest

import nexo_client
from nexo.connections.terms import AuthScheme, Provider, ResolutionSource
from nexo_client.errors import InvalidField
from nexo_client.types import Gateway, Headers, Health, ResolvedConnection


def connection(provider: Provider) -> ResolvedConnection:
    return ResolvedConnection(
        connection_id="1",
        name="work",
        provider=provider,
        base_url="https://api.example/v1",
        auth_scheme=AuthScheme.BEARER,
        api_key="k",
        headers=Headers([("X-Team", "blue")]),
        model="",
        source=ResolutionSource.DEFAULT,
        source_detail="",
        revision=1,
        health=Health(),
    )


@pytest.mark.parametrize(
    ("module", "package", "call"),
    [
        ("openai", "openai", connection(Provider.OPENAI).openai),
        ("openai", "openai", nexo_client.openai_client),
        ("openai", "openai", nexo_client.async_openai_client),
        ("anthropic", "anthropic", connection(Provider.ANTHROPIC).anthropic),
        ("anthropic", "anthropic", nexo_client.anthropic_client),
        ("anthropic", "anthropic", nexo_client.async_anthropic_client),
        ("google.genai", "google-genai", nexo_client.google_client),
        ("google", "google-genai", nexo_client.google_client),
        ("ollama", "ollama", nexo_client.ollama_client),
        ("ollama", "ollama", nexo_client.async_ollama_client),
    ],
)
def test_the_package_is_named(
    module: str, package: str, call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"install it with: pip install {package}$"):
        call()


def test_a_package_that_would_not_help_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(InvalidField, match="does not support"):
        connection(Provider.OPENAI).anthropic()


def test_an_unknown_dialect_is_refused() -> None:
    gateway = Gateway(True, False, True, 4321, "/run/gateway.sock")
    assert gateway.base_url("openai") == "http://127.0.0.1:4321/openai/v1"
    with pytest.raises(InvalidField, match="'opnai' is unknown"):
        gateway.base_url("opnai")
