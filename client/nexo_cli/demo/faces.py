"""What would a provider answer? The example provider's responses, as pure functions.

Supports the list and chat calls of OpenAI, Anthropic, Google and Ollama well enough for their official Python
packages. The models are invented and the "answers" are canned: they show that the right key reached the right
endpoint. Not for sockets or threads; those are in `provider`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nexo.connections.values import frozen


class Behaviour(StrEnum):
    """How the example provider treats the holder of a key."""

    GOOD = "good"
    REVOKED = "revoked"
    RATE_LIMITED = "rate limited"
    SLOW = "slow"


class DemoFace(StrEnum):
    """The wire dialect of a request."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"


@frozen
class DemoAccount:
    """Who holds a key, and how the provider treats them."""

    name: str
    key: str = field(repr=False)
    behaviour: Behaviour = Behaviour.GOOD


@frozen
class Request:
    """An HTTP request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False, default=b"")

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str:
        """The first value of a query parameter; empty when it is missing."""
        return parse_qs(urlsplit(self.target).query).get(name, [""])[0]

    @property
    def face(self) -> DemoFace:
        """The dialect, told by the path and, where two providers share one, by the headers."""
        if self.path == "/" or self.path.startswith("/api/"):
            return DemoFace.OLLAMA
        if self.path.startswith("/v1beta/") or "x-goog-api-key" in self.headers or ":" in self.path:
            return DemoFace.GOOGLE
        if "anthropic-version" in self.headers or self.path.startswith("/v1/messages"):
            return DemoFace.ANTHROPIC
        return DemoFace.OPENAI

    @property
    def key(self) -> str:
        """The API key, in whichever header the client put it; empty when there is none."""
        for name in ("x-goog-api-key", "x-api-key", "api-key"):
            if name in self.headers:
                return self.headers[name]
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty for anything else."""
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


@frozen
class DemoReply:
    """An HTTP response; a streamed one has more than one chunk."""

    status: int
    chunks: tuple[bytes, ...]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


MODELS = ("example-large", "example-small")
_CREATED = 1_790_000_000
_CREATED_ISO = "2026-09-21T12:53:20Z"


def _json(status: int, body: object, **headers: str) -> DemoReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return DemoReply(status, (json.dumps(body).encode(),), headers=named)


def _events(events: Iterable[tuple[str, object]]) -> DemoReply:
    """Server-sent events; a name of "" leaves the `event:` line out."""
    chunks = []
    for name, data in events:
        payload = data if isinstance(data, str) else json.dumps(data)
        chunks.append((f"event: {name}\n" if name else "").encode() + f"data: {payload}\n\n".encode())
    return DemoReply(200, tuple(chunks), "text/event-stream")


def refuse(face: DemoFace, status: int, *, retry_after_s: int = 0) -> DemoReply:
    """The error body of a dialect: 400, 401, 404 or 429."""
    words = {
        400: "The request has the wrong shape.",
        401: "Incorrect API key provided.",
        404: "There is nothing here.",
        429: f"Rate limit reached. Please try again in {retry_after_s}s.",
    }[status]
    retry = {"retry_after": str(retry_after_s)} if status == 429 else {}
    if face is DemoFace.ANTHROPIC:
        kind = {
            400: "invalid_request_error",
            401: "authentication_error",
            404: "not_found_error",
            429: "rate_limit_error",
        }
        words = "invalid x-api-key" if status == 401 else words
        return _json(
            status,
            {"type": "error", "error": {"type": kind[status], "message": words}, "request_id": "req_example"},
            **retry,
        )
    if face is DemoFace.GOOGLE:
        # A bad key is a 400 there, told from other 400s by the reason.
        named = {
            400: "INVALID_ARGUMENT",
            401: "INVALID_ARGUMENT",
            404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED",
        }[status]
        details: list[dict[str, object]] = []
        if status == 401:
            words = "API key not valid. Please pass a valid API key."
            details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        if status == 429:
            details = [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s}s"}
            ]
        code = 400 if status == 401 else status
        return _json(
            code, {"error": {"code": code, "message": words, "status": named, "details": details}}, **retry
        )
    if face is DemoFace.OLLAMA:
        return _json(status, {"error": words}, **retry)
    code_word = {400: None, 401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}[status]
    kind_word = "requests" if status == 429 else "invalid_request_error"
    return _json(
        status,
        {"error": {"message": words, "type": kind_word, "param": None, "code": code_word}},
        x_request_id="req_example",
        **retry,
    )


def answer(request: Request, account: DemoAccount | None, *, retry_after_s: int) -> DemoReply:
    """The response to a request.

    The caller does the waiting for a SLOW account.

    Args:
        account: the holder of the key; None for an unknown key.
    """
    face = request.face
    if face is DemoFace.OLLAMA:
        return _ollama(request)
    if account is None or account.behaviour is Behaviour.REVOKED:
        return refuse(face, 401)
    if account.behaviour is Behaviour.RATE_LIMITED:
        return refuse(face, 429, retry_after_s=retry_after_s)
    return {DemoFace.OPENAI: _openai, DemoFace.ANTHROPIC: _anthropic, DemoFace.GOOGLE: _google}[face](
        request, account
    )


def _sentence(account: str, model: str) -> tuple[str, ...]:
    return ("Hello from ", f"{model}, ", f"billed to the account {account!r}.")


def _openai(request: Request, account: DemoAccount) -> DemoReply:
    if request.method == "GET" and request.path == "/v1/models":
        data = [
            {"id": name, "object": "model", "created": _CREATED, "owned_by": "example"} for name in MODELS
        ]
        return _json(200, {"object": "list", "data": data}, x_request_id="req_example")
    if request.method != "POST" or request.path != "/v1/chat/completions":
        return refuse(DemoFace.OPENAI, 404)
    asked = request.json()
    model = asked.get("model")
    if not isinstance(asked.get("messages"), list) or not isinstance(model, str):
        return refuse(DemoFace.OPENAI, 400)
    parts = _sentence(account.name, model)
    head: dict[str, object] = {"id": "chatcmpl-example", "created": _CREATED, "model": model}
    if asked.get("stream"):
        head["object"] = "chat.completion.chunk"
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": part}, None) for part in parts]
        deltas.append(({}, "stop"))
        events: list[tuple[str, object]] = [
            ("", head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
            for delta, reason in deltas
        ]
        return _events([*events, ("", "[DONE]")])
    message = {"role": "assistant", "content": "".join(parts)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return _json(200, head | {"object": "chat.completion", "choices": [choice], "usage": usage})


def _anthropic(request: Request, account: DemoAccount) -> DemoReply:
    if request.method == "GET" and request.path == "/v1/models":
        first = MODELS.index(request.query("after_id")) + 1 if request.query("after_id") in MODELS else 0
        limit = int(request.query("limit")) if request.query("limit").isdecimal() else 20
        page = MODELS[first : first + limit]
        data = [
            {"type": "model", "id": name, "display_name": name.title(), "created_at": _CREATED_ISO}
            for name in page
        ]
        more = first + limit < len(MODELS)
        ends = {"first_id": page[0] if page else None, "last_id": page[-1] if page else None}
        return _json(200, {"data": data, "has_more": more, **ends}, request_id="req_example")
    if request.method == "POST" and request.path == "/v1/messages/count_tokens":
        return _json(200, {"input_tokens": 1})
    if request.method != "POST" or request.path != "/v1/messages":
        return refuse(DemoFace.ANTHROPIC, 404)
    asked = request.json()
    model = asked.get("model")
    if not isinstance(asked.get("messages"), list) or not isinstance(model, str):
        return refuse(DemoFace.ANTHROPIC, 400)
    parts = _sentence(account.name, model)
    message: dict[str, object] = {"id": "msg_example", "type": "message", "role": "assistant", "model": model}
    message |= {"stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    if not asked.get("stream"):
        return _json(
            200, message | {"content": [{"type": "text", "text": "".join(parts)}], "stop_reason": "end_turn"}
        )
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
        for part in parts
    ]
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return _events((str(event["type"]), event) for event in events)


def _google(request: Request, account: DemoAccount) -> DemoReply:
    if request.method == "GET" and request.path in ("/v1beta/models", "/v1/models"):
        first = int(request.query("pageToken")) if request.query("pageToken").isdecimal() else 0
        size = int(request.query("pageSize")) if request.query("pageSize").isdecimal() else 50
        models = [
            {
                "name": f"models/{name}",
                "version": "001",
                "displayName": name.title(),
                "inputTokenLimit": 32_000,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            }
            for name in MODELS[first : first + size]
        ]
        more = {"nextPageToken": str(first + size)} if first + size < len(MODELS) else {}
        return _json(200, {"models": models} | more)
    called = re.fullmatch(
        r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent|countTokens)", request.path
    )
    if request.method != "POST" or not called:
        return refuse(DemoFace.GOOGLE, 404)
    model, call = called.groups()
    if call == "countTokens":
        return _json(200, {"totalTokens": 1})
    if not isinstance(request.json().get("contents"), list):
        return refuse(DemoFace.GOOGLE, 400)

    def part(text: str, *, last: bool) -> dict[str, object]:
        candidate: dict[str, object] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
        return {"candidates": [candidate | ({"finishReason": "STOP"} if last else {})], "modelVersion": model}

    parts = _sentence(account.name, model)
    if call == "generateContent":
        return _json(200, part("".join(parts), last=True))
    return _events(("", part(text, last=text is parts[-1])) for text in parts)


def _ollama(request: Request) -> DemoReply:
    """Ollama's responses; it checks no key, like an Ollama server on a person's own computer."""
    if request.method in ("GET", "HEAD"):
        if request.path == "/":
            return DemoReply(200, (b"Ollama is running",), "text/plain")
        if request.path == "/api/version":
            return _json(200, {"version": "0.0.0-example"})
        if request.path == "/api/tags":
            details = {
                "format": "gguf",
                "family": "example",
                "parameter_size": "1B",
                "quantization_level": "Q4_0",
            }
            models = [
                {
                    "name": name,
                    "model": name,
                    "modified_at": _CREATED_ISO,
                    "size": 1,
                    "digest": "0" * 64,
                    "details": details,
                }
                for name in MODELS
            ]
            return _json(200, {"models": models})
        return refuse(DemoFace.OLLAMA, 404)
    asked = request.json()
    model = asked.get("model")
    if request.path != "/api/chat":
        return refuse(DemoFace.OLLAMA, 404)
    if not isinstance(model, str) or not isinstance(asked.get("messages"), list):
        return refuse(DemoFace.OLLAMA, 400)
    parts = _sentence("this computer", model)

    def line(text: str, *, done: bool) -> dict[str, object]:
        ending = {"done_reason": "stop", "total_duration": 1, "eval_count": 1} if done else {}
        message = {"role": "assistant", "content": text}
        return {"model": model, "created_at": _CREATED_ISO, "message": message, "done": done} | ending

    if asked.get("stream", True):
        lines = [line(text, done=False) for text in parts] + [line("", done=True)]
        return DemoReply(
            200, tuple(json.dumps(one).encode() + b"\n" for one in lines), "application/x-ndjson"
        )
    return _json(200, line("".join(parts), done=True))
