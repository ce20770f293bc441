"""The paid request: on the SDK's own wire, on a cheap model, announced before it runs, fair to thinkers."""

import json
import socket
from typing import Any

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.terms import Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.probing import Model
from nexo_daemon.providers.classify import Subject
from nexo_daemon.providers.completion import cheapest, price_note
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"

WIRE_PATHS = {
    Provider.OPENAI: "/v1/responses",
    Provider.ANTHROPIC: "/v1/messages",
    Provider.GOOGLE: "/v1beta/models/gemini-2.5-flash-lite:generateContent",
    Provider.OLLAMA: "/api/chat",
    Provider.CUSTOM: "/v1/chat/completions",
}
CUT_SHORT: dict[Provider, Any] = {
    Provider.OPENAI: {
        "object": "response",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "reasoning", "summary": []}],
        "error": None,
    },
    Provider.ANTHROPIC: {"type": "message", "content": [], "stop_reason": "max_tokens", "model": "m"},
    Provider.GOOGLE: {"candidates": [{"finishReason": "MAX_TOKENS", "content": {"role": "model"}}]},
    Provider.OLLAMA: {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "length"},
    Provider.CUSTOM: {"choices": [{"message": {"content": ""}, "finish_reason": "length"}]},
}
"""What a model sends that thought until the limit: an answer without a word, and still a success."""


def is_list(request: Request) -> bool:
    return request.method == "GET" or request.path.endswith("count_tokens")


class Speaker(AnsweringServer):
    """A provider that lists one model and gives a fixed answer to the real request."""

    def __init__(self, provider: Provider, replies: dict[str, tuple[int, Any]]) -> None:
        self.paid: list[Request] = []
        self._provider = provider
        self._replies = replies
        super().__init__(self._reply)

    def _reply(self, request: Request, _connection: socket.socket) -> bytes:
        if request.key != GOOD:
            return answer(401, b'{"error":{"message":"no"}}')
        if is_list(request):
            return answer(200, LISTS[self._provider])
        self.paid.append(request)
        status, document = self._replies.get(request.path, (404, {"error": {"message": "no such path"}}))
        return answer(status, json.dumps(document).encode())


@pytest.mark.parametrize("provider", Provider)
def test_the_wire_of_the_sdk_and_a_model_cut_short(provider: Provider) -> None:
    with Speaker(provider, {WIRE_PATHS[provider]: (200, CUT_SHORT[provider])}) as server:
        url = server.origin + ask.BASE_PATHS[provider]
        seen: list[ask.LayerResult] = []
        report = ask.run_test(ask.target(provider, url, GOOD), completion=True, seen=seen)
        assert report.verdict.ok, report
        (paid,) = server.paid
        assert paid.path == WIRE_PATHS[provider]
        assert json.loads(paid.body).get("stream", False) is False
    assert ask.layer(report, Layer.COMPLETION).status is LayerStatus.PASSED
    assert "completion" in report.proven
    assert report.price_note
    before = next(reported for reported in seen if reported.layer is Layer.MODEL_LISTED)
    assert report.price_note in before.evidence, "the price is said before the request runs"


@pytest.mark.parametrize("provider", Provider)
def test_nothing_is_paid_for_unasked(provider: Provider) -> None:
    with Speaker(provider, {}) as server:
        url = server.origin + ask.BASE_PATHS[provider]
        report = ask.run_test(ask.target(provider, url, GOOD))
        assert report.verdict.ok
        assert "One short completion on" in report.price_note, (
            "what it would cost is said before it is asked for"
        )
        assert ask.layer(report, Layer.COMPLETION).status is LayerStatus.SKIPPED
        assert ask.check(ask.target(provider, url, GOOD)).ok
        assert server.paid == []


def test_openai_falls_back_to_chat_where_responses_are_unknown() -> None:
    with Speaker(Provider.OPENAI, {"/v1/chat/completions": (200, CUT_SHORT[Provider.CUSTOM])}) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", GOOD), completion=True)
        assert report.verdict.ok
        assert [request.path for request in server.paid] == ["/v1/responses", "/v1/chat/completions"]
        assert "max_completion_tokens" in json.loads(server.paid[1].body)


def test_a_custom_service_that_wants_the_newer_parameter() -> None:
    refusal = {
        "error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}
    }

    class Picky(Speaker):
        def _reply(self, request: Request, connection: socket.socket) -> bytes:
            if not is_list(request) and "max_tokens" in json.loads(request.body):
                self.paid.append(request)
                return answer(400, json.dumps(refusal).encode())
            return super()._reply(request, connection)

    with Picky(Provider.CUSTOM, {"/v1/chat/completions": (200, CUT_SHORT[Provider.CUSTOM])}) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD), completion=True)
        assert report.verdict.ok
        assert len(server.paid) == 2


@pytest.mark.parametrize(
    ("status", "document", "outcome", "reason"),
    [
        (
            404,
            {"error": {"message": "The model does not exist", "code": "model_not_found"}},
            Outcome.NOT_COMPATIBLE,
            "model_unavailable",
        ),
        (
            429,
            {"error": {"message": "quota", "type": "insufficient_quota"}},
            Outcome.QUOTA_EXHAUSTED,
            "quota",
        ),
        (403, {"error": {"message": "no access"}}, Outcome.PERMISSION, "forbidden"),
        # The list was refused without this key.
        (401, {"error": {"message": "Incorrect API key provided"}}, Outcome.PERMISSION, "forbidden"),
        (500, {"error": {"message": "boom"}}, Outcome.PROVIDER_DOWN, "server_error"),
        (200, {"choices": []}, Outcome.NOT_COMPATIBLE, "wrong_shape"),
        (
            200,
            {"error": {"code": 402, "message": "Insufficient credits"}},
            Outcome.QUOTA_EXHAUSTED,
            "no_credit",
        ),
    ],
)
def test_a_failed_completion_fails_its_layer(
    status: int, document: Any, outcome: Outcome, reason: str
) -> None:
    with Speaker(Provider.CUSTOM, {"/v1/chat/completions": (status, document)}) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD), completion=True)
    assert (report.verdict.outcome, report.verdict.reason) == (outcome, reason)
    assert ask.layer(report, Layer.COMPLETION).status is LayerStatus.FAILED
    assert ask.layer(report, Layer.AUTHENTICATED).status is LayerStatus.PASSED
    assert {"key_verified", "reachable"} <= set(report.proven)
    assert "completion" not in report.proven


def test_an_unlisted_model_may_still_complete() -> None:
    with Speaker(Provider.CUSTOM, {"/v1/chat/completions": (200, CUT_SHORT[Provider.CUSTOM])}) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD)
        report = ask.run_test(wanted, completion=True, model="deployment-7")
        assert report.verdict.ok
        assert json.loads(server.paid[0].body)["model"] == "deployment-7"
    assert ask.layer(report, Layer.MODEL_LISTED).status is LayerStatus.SKIPPED


@pytest.mark.parametrize(
    ("listed", "said"),
    [(["text-embedding-3-small"], "No listed model can chat"), ([], "The service lists no models")],
)
def test_no_model_that_can_chat(listed: list[str], said: str) -> None:
    """Hayhooks lists none until a pipeline is deployed."""
    body = json.dumps({"object": "list", "data": [{"id": name} for name in listed]}).encode()
    with AnsweringServer(lambda _request, _connection: answer(200, body)) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", None), completion=True)
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.CONFIG_ERROR, "no_model")
    assert "--model" in report.verdict.advice
    assert report.verdict.advice.startswith(said)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["gpt-5", "gpt-5-mini", "gpt-5-nano", "whisper-1", "tts-1", "text-embedding-3-small"], "gpt-5-nano"),
        (["claude-opus-4-1", "claude-haiku-4-5", "claude-sonnet-4-5"], "claude-haiku-4-5"),
        (
            ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-embedding-001"],
            "gemini-2.5-flash-lite",
        ),
        (["llama3.1:70b", "qwen3:0.6b", "llama3.2:3b"], "qwen3:0.6b"),
        (["a/b", "c/d:free", "e/nano"], "c/d:free"),
        (["nomic-embed-text"], ""),
        ([], ""),
    ],
)
def test_the_cheapest(names: list[str], expected: str) -> None:
    assert cheapest([Model(id=name) for name in names]) == expected


def test_the_price_is_named() -> None:
    wanted = ask.target(Provider.OPENAI, "https://api.openai.com/v1")
    subject = Subject("OpenAI", "api.openai.com")
    assert "below one cent" in price_note(wanted, subject, "api.openai.com", "gpt-5-nano")
    assert "OpenAI" in price_note(wanted, subject, "api.openai.com", "o3")
    assert "free" in price_note(wanted, subject, "openrouter.ai", "x/y:free")
    assert "this computer" in price_note(wanted, subject, "127.0.0.1", "llama3")


@pytest.mark.parametrize(
    ("limit", "words", "asked"),
    [
        # vLLM with --max-model-len 256.
        (range(256), "max_tokens is too large: the maximum context length is 256 tokens", [16]),
        # OpenAI's chat with a model that thinks (community.openai.com/t/1093640).
        (
            range(100, 9999),
            "Could not finish the message because max_tokens or model output limit was reached.",
            [16, 512],
        ),
        (
            range(20, 9999),
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 20 tokens",
            [16, 512],
        ),
        (range(1025, 9999), "max_tokens must be greater than thinking.budget_tokens", [16, 512]),
    ],
)
def test_few_tokens_are_asked_for_and_more_where_so_few_are_refused(
    limit: range, words: str, asked: list[int]
) -> None:
    seen: list[int] = []

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "GET":
            return answer(200, LISTS[Provider.CUSTOM])
        wanted = (json.loads(request.body) or {}).get("max_tokens", 0)
        if wanted:
            seen.append(wanted)
        if wanted not in limit:
            return answer(400, json.dumps({"error": {"message": words}}).encode())
        return answer(200, b'{"choices": [{"message": {"content": "OK"}}]}')

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", None), completion=True)
    assert report.verdict.ok is (asked[-1] in limit)
    assert seen == asked


@pytest.mark.parametrize(
    ("provider", "event"),
    [
        (Provider.CUSTOM, {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "O"}}]}),
        (Provider.ANTHROPIC, {"type": "message_start", "message": {"type": "message", "content": []}}),
    ],
)
def test_a_server_that_always_streams_has_answered(provider: Provider, event: dict[str, object]) -> None:
    stream = f"event: x\ndata: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "GET":
            return answer(200, LISTS[provider])
        return answer(200, stream, (("Content-Type", "text/event-stream"),))

    with AnsweringServer(script) as server:
        base = server.origin + ask.BASE_PATHS[provider]
        assert ask.run_test(ask.target(provider, base, None), completion=True, model="m").verdict.ok


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"detail":"Not Found"}', "not_found"),
        (b'{"error":{"message":"The model m does not exist"}}', "model_unavailable"),
        (
            b'{"error":{"message":"\xe6\xa8\xa1\xe5\x9e\x8b\xe4\xb8\x8d\xe5\xad\x98\xe5\x9c\xa8"}}',
            "model_unavailable",
        ),
    ],
)
def test_a_missing_endpoint_is_not_a_missing_model(body: bytes, reason: str) -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        return answer(200, LISTS[Provider.CUSTOM]) if request.method == "GET" else answer(404, body)

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", None)
        report = ask.run_test(wanted, completion=True, model="m")
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.NOT_COMPATIBLE, reason)
