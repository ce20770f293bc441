"""How is each provider asked, and what does a good answer look like? One value per wire dialect.

Every path and shape here is one that the provider's own SDK uses, so that a test exercises what a program
will. What an error means is in `table`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from nexo_client.terms import Provider
from nexo_daemon.domain.probing import ModelEntry

MAX_MODELS = 10_000
_LONGEST_ID = 256

ANTHROPIC_VERSION = "2023-06-01"
"""Accepted by every release of the service and its imitators; newer versions change nothing that we read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A way to speak to a provider.

    Attributes:
        list_path: of the model list, below the base URL.
        check_query: the smallest list, for periodic checks.
        list_query: the largest page.
        models: the entries of a list; None when the document is not a list of this dialect.
        next_query: the query of the next page; None at the end.
        refused: paths and bodies of requests that are checked for their key and can never run; a later one
            is for services that do not know the earlier ones.
    """

    list_path: str
    models: Callable[[Any], list[ModelEntry] | None]
    refused: tuple[tuple[str, bytes], ...]
    check_query: str = ""
    list_query: str = ""
    next_query: Callable[[Any], str | None] = lambda _: None
    headers: tuple[tuple[str, str], ...] = ()


def _text(value: Any, limit: int = _LONGEST_ID) -> str:
    """A string of the provider as it may be shown: printable, bounded, no lone surrogates."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value[:limit] if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF)


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 4_102_444_800:
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else 0


def _entries(items: Any, entry: Callable[[dict[str, Any]], ModelEntry | None]) -> list[ModelEntry] | None:
    if not isinstance(items, list):
        return None
    models = []
    # One more than is kept, so that the reader knows of the rest.
    for item in items[: MAX_MODELS + 1]:
        model = entry(item) if isinstance(item, dict) else None
        if model is None:
            return None
        models.append(model)
    return models


def _openai_models(document: Any) -> list[ModelEntry] | None:
    # Together answers with the bare array.
    if isinstance(document, list):
        return _entries(document, _openai_entry) or None
    if not isinstance(document, dict):
        return None
    models = _entries(document.get("data"), _openai_entry)
    return models if models or document.get("object") == "list" else None


def _openai_entry(item: dict[str, Any]) -> ModelEntry | None:
    name = _text(item.get("id"))
    if not name:
        return None
    window = item.get("context_window") or item.get("context_length") or item.get("max_model_len")
    return ModelEntry(
        id=name,
        display_name=_text(item.get("name")),
        created_at=_moment(item.get("created")),
        owner=_text(item.get("owned_by")),
        context_window=_count(window),
    )


def _anthropic_models(document: Any) -> list[ModelEntry] | None:
    if not isinstance(document, dict) or "has_more" not in document:
        return None
    return _entries(document.get("data"), _anthropic_entry)


def _anthropic_entry(item: dict[str, Any]) -> ModelEntry | None:
    name = _text(item.get("id"))
    if not name or item.get("type", "model") != "model":
        return None
    return ModelEntry(
        id=name,
        display_name=_text(item.get("display_name")),
        created_at=_moment(item.get("created_at")),
        owner="anthropic",
        context_window=_count(item.get("max_input_tokens")),
    )


def _anthropic_next(document: Any) -> str | None:
    last = document.get("last_id") if isinstance(document, dict) and document.get("has_more") else None
    return f"limit=1000&after_id={quote(last, safe='')}" if isinstance(last, str) and last else None


def _google_models(document: Any) -> list[ModelEntry] | None:
    return _entries(document.get("models"), _google_entry) if isinstance(document, dict) else None


def _google_entry(item: dict[str, Any]) -> ModelEntry | None:
    name = _text(item.get("name"))
    if not name.startswith(("models/", "tunedModels/")):
        return None
    return ModelEntry(
        id=name.removeprefix("models/"),
        display_name=_text(item.get("displayName")),
        owner="google",
        context_window=_count(item.get("inputTokenLimit")),
    )


def _google_next(document: Any) -> str | None:
    token = document.get("nextPageToken") if isinstance(document, dict) else None
    return f"pageSize=1000&pageToken={quote(token, safe='')}" if isinstance(token, str) and token else None


def _ollama_models(document: Any) -> list[ModelEntry] | None:
    return _entries(document.get("models"), _ollama_entry) if isinstance(document, dict) else None


def _ollama_entry(item: dict[str, Any]) -> ModelEntry | None:
    name = _text(item.get("model")) or _text(item.get("name"))
    if not name or name.startswith("models/"):
        return None
    return ModelEntry(id=name, created_at=_moment(item.get("modified_at")), owner="ollama")


# Checked for its key before its form by all servers seen: an empty object made one server generate, and
# broken JSON is refused before the key is looked at. Two mocks and one router run it all the same; a test
# notices that, and no check sends it there again.
_CANNOT_RUN = b'{"messages":0}'

OPENAI = Dialect(
    list_path="/models",
    models=_openai_models,
    refused=(("/chat/completions", _CANNOT_RUN),),
)
ANTHROPIC = Dialect(
    list_path="/v1/models",
    check_query="limit=1",
    list_query="limit=1000",
    models=_anthropic_models,
    next_query=_anthropic_next,
    headers=(("anthropic-version", ANTHROPIC_VERSION),),
    refused=(("/v1/messages", _CANNOT_RUN),),
)
GOOGLE = Dialect(
    list_path="/v1beta/models",
    check_query="pageSize=1",
    list_query="pageSize=1000",
    models=_google_models,
    next_query=_google_next,
    refused=(
        ("/v1beta/models/none:countTokens", b'{"contents":0}'),
        ("/v1beta/models/none:generateContent", b'{"contents":0}'),
    ),
)
OLLAMA = Dialect(
    list_path="/api/tags",
    models=_ollama_models,
    refused=(("/v1/chat/completions", _CANNOT_RUN), ("/api/chat", _CANNOT_RUN)),
)

DIALECTS: dict[Provider, Dialect] = {
    Provider.OPENAI: OPENAI,
    Provider.ANTHROPIC: ANTHROPIC,
    Provider.GOOGLE: GOOGLE,
    Provider.OLLAMA: OLLAMA,
    Provider.CUSTOM: OPENAI,
}
