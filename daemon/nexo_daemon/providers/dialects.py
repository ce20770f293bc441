"""The requests and answer formats of each provider, one value for each API dialect.

Paths and formats are those of the provider's own SDK, so that a test covers what programs do. `table` has the
meaning of errors.
"""

import itertools
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.probing import Model

MAX_MODELS = 10_000
READ_MODELS = MAX_MODELS + 1
"""One more than the limit, so that it is noticed that there are more."""
_LONGEST_LABEL = 256

ANTHROPIC_VERSION = "2023-06-01"
"""Every release of the service and its imitators accept it; newer versions differ in nothing used here."""


@frozen(kw_only=True)
class ProviderDialect:
    """The API of a provider.

    Attributes:
        list_path: of the model list, below the base URL.
        check_query: for the shortest list, used by periodic checks.
        list_query: for the largest page.
        models: the first entries of a list, up to a number; None if the document is no list of this dialect.
        next_query: the query for the next page; None at the end.
        calls: paths of generating calls; later ones for services that lack the earlier ones.
        cannot_run: the body of a call whose key is checked, but whose form is refused.
    """

    list_path: str
    models: Callable[[Any, int], list[Model] | None]
    calls: tuple[str, ...]
    cannot_run: bytes = b'{"messages":0}'
    check_query: str = ""
    list_query: str = ""
    next_query: Callable[[Any], str | None] = lambda _: None
    headers: tuple[tuple[str, str], ...] = ()


def _text(value: Any) -> str:
    """A string from the provider made displayable: printable, limited, without lone surrogates."""
    if not isinstance(value, str):
        return ""
    label = value[:_LONGEST_LABEL]
    # Lone surrogates are not printable.
    return label if label.isprintable() else "".join(c for c in label if c.isprintable())


def _id(value: Any) -> str:
    """An id, exactly as the provider has it; "" if no program could send it.

    Ids are sent to the provider, so they are never shortened or repaired: that would name another model.
    """
    if not isinstance(value, str) or not value.strip():
        return ""
    # The fast path for nearly all ids, because a list may have thousands: printable text has neither.
    if value.isprintable():
        return value
    return "" if any(unicodedata.category(c) in ("Cc", "Cs") for c in value) else value


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


def _entries(items: Any, entry: Callable[[dict[str, Any]], Model | None], most: int) -> list[Model] | None:
    """The first usable entries of a list; None if it is not a list, or has no usable entry."""
    if items is None:
        # Go encodes an empty list as null.
        return []
    if not isinstance(items, list):
        return None
    read = (entry(item) for item in items if isinstance(item, dict))
    models = list(itertools.islice((model for model in read if model is not None), most))
    return models if models or not items else None


def _openai_models(document: Any, most: int) -> list[Model] | None:
    # Together answers with the bare array.
    if isinstance(document, list):
        return _entries(document, _openai_entry, most) or None
    if not isinstance(document, dict):
        return None
    marked = document.get("object") == "list"
    if not marked and "data" not in document:
        return None
    models = _entries(document.get("data"), _openai_entry, most)
    return models if models or (marked and models is not None) else None


def _openai_entry(item: dict[str, Any]) -> Model | None:
    name = _id(item.get("id"))
    if not name:
        return None
    window = item.get("context_window") or item.get("context_length") or item.get("max_model_len")
    return Model(
        id=name,
        display_name=_text(item.get("name")),
        created_at=_moment(item.get("created")),
        owner=_text(item.get("owned_by")),
        context_window=_count(window),
    )


def _anthropic_models(document: Any, most: int) -> list[Model] | None:
    if not isinstance(document, dict) or not {"has_more", "data"} <= document.keys():
        return None
    return _entries(document.get("data"), _anthropic_entry, most)


def _anthropic_entry(item: dict[str, Any]) -> Model | None:
    name = _id(item.get("id"))
    if not name or item.get("type", "model") != "model":
        return None
    return Model(
        id=name,
        display_name=_text(item.get("display_name")),
        created_at=_moment(item.get("created_at")),
        owner="anthropic",
        context_window=_count(item.get("max_input_tokens")),
    )


def _anthropic_next(document: Any) -> str | None:
    if not isinstance(document, dict) or not document.get("has_more"):
        return None
    data = document.get("data")
    end = data[-1] if isinstance(data, list) and data and isinstance(data[-1], dict) else {}
    last = document.get("last_id") or end.get("id")
    return f"limit=1000&after_id={quote(last, safe='')}" if isinstance(last, str) and last else None


def _google_models(document: Any, most: int) -> list[Model] | None:
    if not isinstance(document, dict) or "models" not in document:
        return None
    return _entries(document["models"], _google_entry, most)


def _google_entry(item: dict[str, Any]) -> Model | None:
    name = _id(item.get("name"))
    # Gateways omit "models/", so Ollama's lists are recognised by the fields about the model's file.
    if not name or "digest" in item or "modified_at" in item:
        return None
    return Model(
        id=name.removeprefix("models/"),
        display_name=_text(item.get("displayName")),
        owner="google",
        context_window=_count(item.get("inputTokenLimit")),
    )


def _google_next(document: Any) -> str | None:
    token = document.get("nextPageToken") if isinstance(document, dict) else None
    return f"pageSize=1000&pageToken={quote(token, safe='')}" if isinstance(token, str) and token else None


def _ollama_models(document: Any, most: int) -> list[Model] | None:
    if not isinstance(document, dict) or "models" not in document:
        return None
    return _entries(document["models"], _ollama_entry, most)


def _ollama_entry(item: dict[str, Any]) -> Model | None:
    name = _id(item.get("model")) or _id(item.get("name"))
    if not name or name.startswith("models/"):
        return None
    return Model(id=name, created_at=_moment(item.get("modified_at")), owner="ollama")


OPENAI = ProviderDialect(
    list_path="/models",
    models=_openai_models,
    calls=("/chat/completions",),
)
ANTHROPIC = ProviderDialect(
    list_path="/v1/models",
    check_query="limit=1",
    list_query="limit=1000",
    models=_anthropic_models,
    next_query=_anthropic_next,
    headers=(("anthropic-version", ANTHROPIC_VERSION),),
    calls=("/v1/messages",),
)
GOOGLE = ProviderDialect(
    list_path="/v1beta/models",
    check_query="pageSize=1",
    list_query="pageSize=1000",
    models=_google_models,
    next_query=_google_next,
    calls=("/v1beta/models/none:countTokens", "/v1beta/models/none:generateContent"),
    cannot_run=b'{"contents":0}',
)
OLLAMA = ProviderDialect(
    list_path="/api/tags",
    models=_ollama_models,
    calls=("/v1/chat/completions", "/api/chat"),
)

DIALECTS: dict[Provider, ProviderDialect] = {
    Provider.OPENAI: OPENAI,
    Provider.ANTHROPIC: ANTHROPIC,
    Provider.GOOGLE: GOOGLE,
    Provider.OLLAMA: OLLAMA,
    Provider.CUSTOM: OPENAI,
}


def models_of_any(document: Any) -> list[Model] | None:
    """The models of a list in the format of any dialect; None if it has none of them."""
    forms = (_openai_models, _anthropic_models, _google_models, _ollama_models)
    return next((models for form in forms if (models := form(document, READ_MODELS)) is not None), None)
