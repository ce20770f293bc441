"""Model lists: pages, bounds, shapes, names, and what happens when a list goes wrong halfway."""

import json
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.errors import ProviderFailed
from nexo.connections.terms import Layer, LayerStatus, Provider
from nexo_daemon.domain.probing import Model
from nexo_daemon.providers.dialects import DIALECTS, READ_MODELS
from nexo_daemon.providers.modelcheck import is_listed


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}


def anthropic_pages(request: Request, _connection: socket.socket) -> bytes:
    query = query_of(request)
    assert query["limit"] == "1000"
    first = int(query.get("after_id", "model 0").split()[1])
    names = [f"model {number}" for number in range(first + 1, min(first + 3, 6) + 1)]
    document = {
        "data": [{"type": "model", "id": name, "display_name": name.title()} for name in names],
        "has_more": names[-1] != "model 6",
        "last_id": names[-1],
    }
    return answer(200, json.dumps(document).encode())


def google_pages(request: Request, _connection: socket.socket) -> bytes:
    query = query_of(request)
    assert query["pageSize"] == "1000"
    page = int(query.get("pageToken", "page/0").partition("/")[2])
    document: dict[str, Any] = {"models": [{"name": f"models/gemini-{page}", "inputTokenLimit": 7}]}
    if page < 4:
        document["nextPageToken"] = f"page/{page + 1}"
    return answer(200, json.dumps(document).encode())


def test_anthropic_pages_are_followed() -> None:
    with AnsweringServer(anthropic_pages) as server:
        listing = ask.list_models(ask.target(Provider.ANTHROPIC, server.origin))
    assert [model.id for model in listing.models] == [f"model {number}" for number in range(1, 7)]
    assert not listing.truncated


def test_google_pages_are_followed() -> None:
    with AnsweringServer(google_pages) as server:
        listing = ask.list_models(ask.target(Provider.GOOGLE, server.origin))
    assert [model.id for model in listing.models] == [f"gemini-{page}" for page in range(5)]
    assert listing.models[0].context_window == 7


def test_a_list_that_never_ends_is_truncated() -> None:
    def endless(request: Request, _connection: socket.socket) -> bytes:
        page = int(query_of(request).get("pageToken", "0"))
        return answer(
            200,
            json.dumps({"models": [{"name": f"models/m{page}"}], "nextPageToken": str(page + 1)}).encode(),
        )

    with AnsweringServer(endless) as server:
        listing = ask.list_models(ask.target(Provider.GOOGLE, server.origin))
        assert len(server.requests) <= 25
    assert listing.truncated
    assert len(listing.models) == 20


def test_a_list_that_repeats_itself_is_truncated() -> None:
    document = {"models": [{"name": "models/same"}], "nextPageToken": "again"}
    with AnsweringServer(lambda _request, _connection: answer(200, json.dumps(document).encode())) as server:
        listing = ask.list_models(ask.target(Provider.GOOGLE, server.origin))
    assert listing.truncated
    assert [model.id for model in listing.models] == ["same"]


def test_a_later_page_that_fails_truncates() -> None:
    def script(request: Request, connection: socket.socket) -> bytes:
        if "after_id" in query_of(request):
            return answer(500, b"{}")
        return anthropic_pages(request, connection)

    with AnsweringServer(script) as server:
        listing = ask.list_models(ask.target(Provider.ANTHROPIC, server.origin))
    assert listing.truncated
    assert len(listing.models) == 3


def test_a_huge_list_is_bounded() -> None:
    body = json.dumps({"object": "list", "data": [{"id": f"m{number}"} for number in range(12_000)]}).encode()
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        listing = ask.list_models(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert len(listing.models) == 10_000
    assert listing.truncated


def test_no_list_is_an_error_that_says_why() -> None:
    with (
        AnsweringServer(lambda _request, _connection: answer(401, b'{"error":"Unauthorized"}')) as server,
        pytest.raises(ProviderFailed) as caught,
    ):
        ask.list_models(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert caught.value.metadata == {"outcome": "auth_error", "reason": "invalid_key"}
    assert caught.value.hint
    assert "tested" in caught.value.message


def test_entries_are_read_with_what_they_offer() -> None:
    def only(provider: Provider, document: Any) -> Model:
        (entry,) = DIALECTS[provider].models(document, READ_MODELS) or []
        return entry

    openai = only(
        Provider.OPENAI,
        {"data": [{"id": "m", "created": 1_700_000_000, "owned_by": "o", "context_window": 5}]},
    )
    assert openai == Model("m", "", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), "o", 5)
    router = only(
        Provider.CUSTOM, {"data": [{"id": "a/b", "name": "A: B", "context_length": 9, "created": "x"}]}
    )
    assert router == Model("a/b", "A: B", None, "", 9)
    ollama = only(Provider.OLLAMA, {"models": [{"name": "x:1b", "modified_at": "2025-10-01T02:00:00+02:00"}]})
    assert ollama.created_at == datetime(2025, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize(
    "document",
    [
        None,
        "text",
        3,
        [],
        {},
        {"data": None},
        {"models": {}},
        {"data": [None]},
        {"models": [{"name": 3}]},
        {"data": [{"id": ""}]},
        {"error": "x"},
    ],
)
def test_what_is_not_a_list(provider: Provider, document: Any) -> None:
    assert DIALECTS[provider].models(document, READ_MODELS) is None


@pytest.mark.parametrize("provider", list(Provider))
def test_an_entry_without_a_usable_id_costs_itself_only(provider: Provider) -> None:
    field, name = {
        Provider.GOOGLE: ("models", "name"),
        Provider.OLLAMA: ("models", "model"),
    }.get(provider, ("data", "id"))
    unusable: list[Any] = [
        {name: ""},
        {name: " "},
        {name: None},
        {name: 3},
        {},
        None,
        "m",
        {name: "a\x1b[31m"},
    ]
    unusable += [{name: "a\nb"}, {name: "a\ud800"}]
    document = {"object": "list", "has_more": False, field: [{name: "m1"}, *unusable, {name: "m2"}]}
    listed = DIALECTS[provider].models(document, READ_MODELS)
    assert listed is not None
    assert [model.id for model in listed] == ["m1", "m2"]
    document[field] = [*unusable, {name: "m2"}, {name: "m3"}]
    assert [model.id for model in DIALECTS[provider].models(document, 1) or ()] == ["m2"]


@pytest.mark.parametrize("provider", list(Provider))
def test_an_empty_list_may_be_null(provider: Provider) -> None:
    field = "models" if provider in (Provider.GOOGLE, Provider.OLLAMA) else "data"
    assert DIALECTS[provider].models({"object": "list", "has_more": False, field: None}, READ_MODELS) == []


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize(
    "name",
    ["x" * 5000, "модель-7b", "千问/通义-72B", "a b", "m\u200d\u202e", "e\u0301", "é", "🦙:8b", "A/B:c@d*"],
)
def test_an_id_is_data_letter_by_letter(provider: Provider, name: str) -> None:
    field, key = {
        Provider.GOOGLE: ("models", "name"),
        Provider.OLLAMA: ("models", "model"),
    }.get(provider, ("data", "id"))
    body = json.dumps({"object": "list", "has_more": False, field: [{key: name}]}).encode()
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        wanted = ask.target(provider, server.origin + ask.BASE_PATHS[provider], key="x")
        assert [model.id for model in ask.list_models(wanted).models] == [name]


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "text/html", "application/octet-stream", ""]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\r\n  "])
def test_a_list_is_a_list_whatever_type_it_is_sent_as(kind: str, mark: bytes) -> None:
    body = mark + json.dumps({"object": "list", "data": [{"id": "m1"}]}).encode()
    headers = (("Content-Type", kind),) if kind else ()
    with AnsweringServer(lambda _request, _connection: answer(200, body, headers)) as server:
        listing = ask.list_models(ask.target(Provider.CUSTOM, f"{server.origin}/v1"))
    assert [model.id for model in listing.models] == ["m1"]


@pytest.mark.parametrize("ends", ["repeated token", "new token, old models", "error", "no token", "cut"])
@pytest.mark.parametrize("provider", [Provider.ANTHROPIC, Provider.GOOGLE])
def test_good_pages_stand_when_paging_ends_badly(provider: Provider, ends: str) -> None:
    asked = 0

    def script(_request: Request, _connection: socket.socket) -> bytes:
        nonlocal asked
        asked += 1
        if asked > 1 and ends == "error":
            return answer(500, b"{}")
        token = None if ends == "no token" else f"t{asked if ends == 'new token, old models' else 1}"
        document = {
            "data": [{"id": "m1"}, {"id": "m2"}],
            "has_more": True,
            "last_id": token,
            "models": [{"name": "models/m1"}, {"name": "models/m2"}],
            "nextPageToken": token,
        }
        body = json.dumps(document).encode()
        return answer(200, body[:-9] if ends == "cut" and asked > 1 else body)

    with AnsweringServer(script) as server:
        listing = ask.list_models(ask.target(provider, server.origin))
    assert [model.id for model in listing.models] == ["m1", "m2"]
    assert asked <= 3


@pytest.mark.parametrize(
    ("wanted", "listed", "expected"),
    [
        ("gpt-5", ["gpt-5"], True),
        ("GPT-5", ["gpt-5"], True),
        ("models/gemini-2.5-pro", ["gemini-2.5-pro"], True),
        ("llama3.2", ["llama3.2:latest"], True),
        ("llama3.2:latest", ["llama3.2"], True),
        ("llama3.2", ["llama3.2:1b"], False),
        ("claude-haiku-4-5", ["claude-haiku-4-5-20251001"], True),
        ("claude-3-5-haiku-latest", ["claude-3-5-haiku-20241022"], True),
        ("gpt-4o", ["gpt-4o-2024-08-06"], True),
        ("gpt-4", ["gpt-4o", "gpt-4-0613"], True),
        ("gpt-5", ["gpt-5-nano"], False),
        ("gpt-5", [], False),
        # What routers take behind a name (OpenRouter, Hugging Face, Vertex, LM Studio, CLIProxyAPI).
        ("x-ai/grok-4.6:nitro", ["x-ai/grok-4.6"], True),
        ("deepseek/deepseek-r1:free", ["deepseek/deepseek-r1"], True),
        ("anthropic/claude-sonnet-4:thinking", ["anthropic/claude-sonnet-4"], True),
        ("openai/gpt-oss-120b:groq", ["openai/gpt-oss-120b"], True),
        ("claude-sonnet-4-5@20250929", ["claude-sonnet-4-5"], True),
        ("claude-sonnet-4-5@20250929", ["claude-sonnet-4-5-20250929"], True),
        ("claude-opus-4-1@default", ["claude-opus-4-1"], True),
        ("qwen3-8b@q4_k_m", ["qwen3-8b"], True),
        ("gpt-5.1(high)", ["gpt-5.1"], True),
        ("claude-opus-4-6[1m]", ["claude-opus-4-6"], True),
        ("x-ai/grok-4.6:nitro", ["x-ai/grok-4"], False),
        ("qwen3:8b", ["qwen3:latest"], False),
        ("qwen3:8b", ["qwen3:4b"], False),
        # What clouds put before it (Bedrock, Vertex).
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", ["anthropic.claude-sonnet-4-5-20250929-v1:0"], True),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", ["eu.anthropic.claude-sonnet-4-5-20250929-v1:0"], True),
        ("global.amazon.nova-2-lite-v1:0", ["amazon.nova-2-lite-v1:0"], True),
        ("publishers/google/models/gemini-2.5-pro", ["gemini-2.5-pro"], True),
        ("gemini-2.5-pro", ["models/gemini-2.5-pro"], True),
        ("us.model", ["model"], False),
        # LiteLLM lists wildcards.
        ("openai/gpt-5", ["openai/*"], True),
        ("anything", ["*"], True),
        ("anthropic/claude", ["openai/*"], False),
    ],
)
def test_is_listed(wanted: str, listed: list[str], expected: bool) -> None:
    assert is_listed(wanted, [Model(id=name) for name in listed]) is expected


@pytest.mark.parametrize(
    ("preset", "status"),
    [
        ("groq", LayerStatus.FAILED),
        ("", LayerStatus.SKIPPED),
        ("azure", LayerStatus.SKIPPED),
        ("litellm", LayerStatus.SKIPPED),
    ],
)
def test_a_model_that_is_not_listed(preset: str, status: LayerStatus) -> None:
    body = json.dumps({"object": "list", "data": [{"id": "other"}]}).encode()
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", None, preset=preset, model="deployment")
        report = ask.run_test(wanted)
    assert ask.layer(report, Layer.MODEL_LISTED).status is status
    assert report.verdict.ok is (status is LayerStatus.SKIPPED)
    assert "model_listed" not in report.proven
