"""Simulates the five providers with small services on loopback, which check the key as the real ones do.

One class serves all of them, so that the contract suite can test every provider alike.
"""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from answering_server import AnsweringServer, Request, answer
from nexo.connections.terms import Provider
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
LIMITED = "a-limited-key-012345678"
BROKE = "a-broke-key-0123456789"


@dataclass(frozen=True)
class Manners:
    """How one provider behaves.

    Attributes:
        base_path: the path that its SDK expects after the origin.
        list_path: the path of the model list.
        auth: the header for the key, and the prefix of its value.
        refusal, limit, broke: status, headers and document for a bad key, too many requests, no credit.
        completion_path, completion: the path for completions, and the answer to one.
    """

    base_path: str
    list_path: str
    auth: tuple[str, str]
    refusal: tuple[int, Any]
    limit: tuple[int, dict[str, str], Any]
    broke: tuple[int, Any]
    completion_path: str
    completion: Any
    model: str


def _openai_error(message: str, kind: str, code: str | None) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(kind: str, message: str, **details: str) -> Any:
    return {
        "type": "error",
        "error": {"type": kind, "message": message, "details": details},
        "request_id": "req_1",
    }


def _google_error(code: int, status: str, message: str, *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


_CHAT = {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "OK"}}]}

MANNERS: dict[Provider, Manners] = {
    Provider.OPENAI: Manners(
        "/v1",
        "/v1/models",
        ("authorization", "Bearer "),
        (
            401,
            _openai_error("Incorrect API key provided: {key}.", "invalid_request_error", "invalid_api_key"),
        ),
        (429, {"retry-after": "17"}, _openai_error("Rate limit reached", "requests", "rate_limit_exceeded")),
        (
            429,
            _openai_error(
                "You exceeded your current quota", "insufficient_quota", "credit_balance_exhausted"
            ),
        ),
        "/v1/responses",
        {"object": "response", "status": "completed", "output": [{"type": "message"}]},
        "gpt-5-nano",
    ),
    Provider.ANTHROPIC: Manners(
        "",
        "/v1/models",
        ("x-api-key", ""),
        (401, _anthropic_error("authentication_error", "invalid x-api-key {key}")),
        (429, {"retry-after": "17"}, _anthropic_error("rate_limit_error", "slow down")),
        (400, _anthropic_error("invalid_request_error", "Your credit balance is too low to access the API.")),
        "/v1/messages",
        {"type": "message", "content": [{"type": "text", "text": "OK"}]},
        "claude-haiku-4-5-20251001",
    ),
    Provider.GOOGLE: Manners(
        "",
        "/v1beta/models",
        ("x-goog-api-key", ""),
        (
            400,
            _google_error(400, "INVALID_ARGUMENT", "API key not valid: {key}", {"reason": "API_KEY_INVALID"}),
        ),
        (429, {}, _google_error(429, "RESOURCE_EXHAUSTED", "Please retry.", {"retryDelay": "17s"})),
        (429, _google_error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")),
        "/v1beta/models/gemini-2.5-flash-lite:generateContent",
        {"candidates": [{"content": {"parts": [{"text": "OK"}]}}]},
        "gemini-2.5-flash-lite",
    ),
    Provider.OLLAMA: Manners(
        "",
        "/api/tags",
        ("authorization", "Bearer "),
        (401, {"error": "unauthorized {key}"}),
        (429, {"retry-after": "17"}, {"error": "too many requests"}),
        (402, {"error": "no credit"}),
        "/api/chat",
        {"message": {"role": "assistant", "content": "OK"}, "done": True},
        "llama3.2:1b",
    ),
    Provider.CUSTOM: Manners(
        "/v1",
        "/v1/models",
        ("authorization", "Bearer "),
        (401, {"detail": "Unauthorized {key}"}),
        (
            429,
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "17s"},
            {"message": "slow down"},
        ),
        (402, _openai_error("Insufficient Balance", "unknown_error", None)),
        "/v1/chat/completions",
        _CHAT,
        "local-7b",
    ),
}


class FaithfulService(AnsweringServer):
    """A provider on loopback with the keys GOOD, LIMITED (too many requests) and BROKE (no credit)."""

    def __init__(self, provider: Provider) -> None:
        self.manners = MANNERS[provider]
        self._list = LISTS[provider]
        super().__init__(self._reply)

    @property
    def base_url(self) -> str:
        """In the form that the provider's own SDK takes."""
        return self.origin + self.manners.base_path

    def _reply(self, request: Request, _connection: socket.socket) -> bytes:
        name, prefix = self.manners.auth
        sent = request.headers.get(name, "")
        key = sent.removeprefix(prefix) if sent.startswith(prefix) else ""
        outcomes: dict[str, Callable[[], bytes]] = {
            GOOD: lambda: self._inside(request),
            LIMITED: lambda: self._limited(),
            BROKE: lambda: _json(*self.manners.broke),
        }
        return outcomes.get(key, lambda: self._refused(key))()

    def _refused(self, key: str) -> bytes:
        status, document = self.manners.refusal
        return _json(status, json.loads(json.dumps(document).replace("{key}", key)))

    def _limited(self) -> bytes:
        status, headers, document = self.manners.limit
        return _json(status, document, tuple(headers.items()))

    def _inside(self, request: Request) -> bytes:
        path = urlsplit(request.target).path
        if path == self.manners.list_path:
            return answer(200, self._list)
        if path == self.manners.completion_path and request.method == "POST":
            return _json(200, self.manners.completion)
        if path.endswith(("/chat/completions", "/messages", ":countTokens", "/count_tokens")):
            return _json(400, {"error": {"message": "messages: expected an array"}})
        return _json(404, {"error": {"message": "no such path"}})


def _json(status: int, document: Any, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    return answer(status, json.dumps(document).encode(), (("Content-Type", "application/json"), *headers))
