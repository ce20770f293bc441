"""The API dialects that programs speak: prefixes, paths and error formats.

A prefix selects the dialect, because paths are ambiguous: `/v1/models` exists in three dialects with three
formats. The paths that the official packages request were observed in November 2026.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from nexo.connections.values import frozen


@frozen
class Dialect:
    """One API format.

    Attributes:
        path: converts the path after the prefix to the path after the base URL.
        error: makes the body of an error from status, reason and text.
        model: matches the beginning of a path that names a model, which is its first group.
    """

    name: str
    path: Callable[[str], str]
    error: Callable[[int, str, str], Mapping[str, Any]]
    model: re.Pattern[str]

    def error_body(self, status: int, reason: str, text: str) -> bytes:
        """An error body whose `text` every client of the dialect shows."""
        return json.dumps(self.error(status, reason, text), ensure_ascii=False).encode()


def _openai_path(rest: str) -> str:
    # The base URL of this dialect includes the version.
    return rest.removeprefix("/v1") if rest == "/v1" or rest.startswith("/v1/") else rest


def _anthropic_path(rest: str) -> str:
    # The Vercel AI SDK expects a base URL with /v1, the vendor's own packages one without.
    if rest in ("", "/") or rest.startswith(("/v1/", "/api/")):
        return rest
    return "/v1" + rest


def _google_path(rest: str) -> str:
    return "/v1beta" + rest if rest.startswith(("/models", "/tunedModels", "/files")) else rest


def _same(rest: str) -> str:
    return rest


def _openai_error(status: int, reason: str, text: str) -> Mapping[str, Any]:
    kind = "invalid_request_error" if status < 500 else "api_error"
    return {"error": {"message": text, "type": kind, "param": None, "code": reason}}


def _anthropic_error(status: int, reason: str, text: str) -> Mapping[str, Any]:
    kinds = {401: "authentication_error", 404: "not_found_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": text},
        "request_id": f"req_nexo_{reason}",
    }


def _google_error(status: int, reason: str, text: str) -> Mapping[str, Any]:
    words = {400: "FAILED_PRECONDITION", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 504: "DEADLINE_EXCEEDED"}
    return {
        "error": {
            "code": status,
            "message": text,
            "status": words.get(status, "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT"),
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "nexo"}
            ],
        }
    }


def _ollama_error(_status: int, _reason: str, text: str) -> Mapping[str, Any]:
    return {"error": text}


_BEFORE = r"(?:/[^/]+){0,3}?/models/"
_MODEL = re.compile(rf"{_BEFORE}(.+)")
_GOOGLE_MODEL = re.compile(rf"{_BEFORE}((?:(?!/operations/).)+(?=:[A-Za-z]+$)|[^/:]+)")
"""Names such as `llama3:70b` and `meta/llama` hold what separates the method and the operation."""

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", _openai_path, _openai_error, _MODEL),
        Dialect("anthropic", _anthropic_path, _anthropic_error, _MODEL),
        Dialect("google", _google_path, _google_error, _GOOGLE_MODEL),
        Dialect("ollama", _same, _ollama_error, _MODEL),
    )
}
