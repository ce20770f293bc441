"""Model lists: pages, bounds, shapes, names, and what happens when a list goes wrong halfway."""

import json
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo_client.terms import Layer, LayerStatus, Provider
from nexo_daemon.domain.errors import ProviderFailed
from nexo_daemon.domain.probing import ModelEntry
from nexo_daemon.providers.dialects import DIALECTS
from nexo_daemon.providers.modelcheck import closest, is_listed


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
    def only(provider: Provider, document: Any) -> ModelEntry:
        (entry,) = DIALECTS[provider].models(document) or []
        return entry

    openai = only(
        Provider.OPENAI,
        {"data": [{"id": "m", "created": 1_700_000_000, "owned_by": "o", "context_window": 5}]},
    )
    assert openai == ModelEntry("m", "", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), "o", 5)
    router = only(
        Provider.CUSTOM, {"data": [{"id": "a/b", "name": "A: B", "context_length": 9, "created": "x"}]}
    )
    assert router == ModelEntry("a/b", "A: B", None, "", 9)
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
    assert DIALECTS[provider].models(document) is None


def test_names_cannot_write_to_the_terminal() -> None:
    (entry,) = (
        DIALECTS[Provider.CUSTOM].models({"data": [{"id": "a\x1b[31m\ud800\u202e" + "x" * 1000}]}) or []
    )
    assert entry.id.startswith("a[31mx")
    assert len(entry.id) <= 256
    entry.id.encode()


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
    ],
)
def test_is_listed(wanted: str, listed: list[str], expected: bool) -> None:
    assert is_listed(wanted, [ModelEntry(id=name) for name in listed]) is expected


def test_closest() -> None:
    models = [ModelEntry(id=name) for name in ("GPT-5-Nano", "claude-haiku-4-5")]
    assert closest("gpt5-nano", models) == "GPT-5-Nano"
    assert closest("zzzz", models) == ""


@pytest.mark.parametrize(
    ("preset", "status"),
    [("", LayerStatus.FAILED), ("azure", LayerStatus.SKIPPED), ("litellm", LayerStatus.SKIPPED)],
)
def test_a_model_that_is_not_listed(preset: str, status: LayerStatus) -> None:
    body = json.dumps({"object": "list", "data": [{"id": "other"}]}).encode()
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", None, preset=preset, model="deployment")
        report = ask.run_test(wanted)
    assert ask.layer(report, Layer.MODEL_LISTED).status is status
    assert report.verdict.ok is (status is LayerStatus.SKIPPED)
    assert "model_listed" not in report.proven
