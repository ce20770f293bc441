"""Extracts the content of response bodies, which have many formats. No judgement."""

import enum
import json
import re
from collections.abc import Iterator
from dataclasses import field
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any

from nexo.connections.values import frozen
from nexo_daemon.providers.exchange import Cut, HttpAnswer

if TYPE_CHECKING:
    import httpx

_LONGEST_MESSAGE = 4000
_DEEPEST = 6
_MOST_CODES = 64
CODECS = frozenset(
    {
        "ascii",
        *("utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"),
        *(f"cp{number}" for number in (874, 932, 949, 950, *range(1250, 1259))),
        "latin_1",
        *(f"iso8859_{number}" for number in range(1, 17) if number != 12),
        *("koi8_r", "koi8_u", "mac_roman"),
        *("gb2312", "gbk", "gb18030", "big5", "big5hkscs"),
        *("shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "johab"),
    }
)
"""The text encodings of the web, by Python's names. All of them decode in linear time."""

LONG_RETRY_S = 300.0
LONG_RETRY_CODE = "retry_info_over_300s"
"""Delays from this length in seconds mean a spent quota, not a rate limit (seen with Gemini)."""


class Form(enum.StrEnum):
    """The format of a body."""

    JSON = "json"
    HTML = "html"
    TEXT = "text"
    EMPTY = "empty"


@frozen
class Reading:
    """The content of an answer.

    Attributes:
        document: the parsed JSON; None for other formats.
        message: the provider's error message, not redacted.
        codes: all values of code, type, status and reason fields in the error, in lower case.
        has_error: whether the JSON contains an error.
        error_status: an HTTP status inside the body, as sent by gateways; None if there is none.
        retry_after_s: a delay that the body asks for; None if there is none.
    """

    status: int
    headers: "httpx.Headers" = field(repr=False)
    form: Form
    document: Any = field(repr=False, default=None)
    message: str = field(repr=False, default="")
    codes: frozenset[str] = frozenset()
    has_error: bool = False
    error_status: int | None = None
    retry_after_s: float | None = None
    cut: Cut = Cut.NO


def read(answer: HttpAnswer) -> Reading:
    """Extract the content of an answer. Accepts any bytes and never raises."""
    document, text, is_json = _parse(answer)
    if is_json:
        error = _error_of(document)
        # The error object, or the whole document if only the status reports an error.
        source = error if error is not None else document if answer.status >= 400 else None
        messages, codes = _words(source)
        if error is not None and isinstance(document, dict):
            outer = {key: value for key, value in document.items() if not isinstance(value, dict | list)}
            more_messages, more_codes = _words(outer)
            messages, codes = messages + more_messages, codes + more_codes
        retry = _retry_info(source)
        if retry is not None and retry > LONG_RETRY_S:
            codes.append(LONG_RETRY_CODE)
        return Reading(
            status=answer.status,
            headers=answer.headers,
            form=Form.JSON,
            document=document,
            message=" · ".join(dict.fromkeys(messages))[:_LONGEST_MESSAGE],
            codes=frozenset(code.lower()[:200] for code in codes[:_MOST_CODES]),
            has_error=error is not None,
            error_status=_inner_status(error),
            retry_after_s=retry,
            cut=answer.cut,
        )
    kind = answer.headers.get("content-type", "").lower()
    if not text.strip():
        form = Form.EMPTY
    elif "html" in kind or re.match(r"\s*(?:<!doctype html|<html|<head|<body)", text[:1000], re.IGNORECASE):
        form = Form.HTML
    else:
        form = Form.TEXT
    words = _strip_tags(text[:8192]) if form is Form.HTML else text
    return Reading(answer.status, answer.headers, form, message=words[:_LONGEST_MESSAGE], cut=answer.cut)


def _parse(answer: HttpAnswer) -> tuple[Any, str, bool]:
    body = answer.body
    if not body.strip():
        return None, "", False
    try:
        # Detects UTF-8 with or without a byte order mark, UTF-16 and UTF-32: the encodings of JSON (RFC
        # 4627).
        encoding = json.detect_encoding(body)
        document = json.loads(body.decode(encoding, "surrogatepass"))
        if isinstance(document, dict | list | str):
            return document, "", True
    except (ValueError, RecursionError):
        pass
    text = _decode(answer)
    if "event-stream" in answer.headers.get("content-type", "").lower():
        event = _first_event(text)
        return event, text, event is not None
    try:
        # The named encoding is wrong, but the text is JSON except for some characters.
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None, text, False
    return document, text, isinstance(document, dict | list | str)


def _first_event(text: str) -> dict[str, Any] | None:
    """The first event of a stream, because some servers stream every answer."""
    for line in text[:65536].splitlines():
        if line.startswith("data:"):
            try:
                event = json.loads(line.removeprefix("data:"))
            except (ValueError, RecursionError):
                return None
            if isinstance(event, dict):
                begun = event.get("message") if event.get("type") == "message_start" else None
                return begun if isinstance(begun, dict) else event
    return None


def charset(content_type: str) -> str:
    """The codec for a content type: one of `CODECS`, and UTF-8 for any other name.

    Python also has codecs that take quadratic time (punycode), decompress (zip), or are not for text.
    """
    match = re.search(r"charset=[\"']?([\w.:-]{1,40})", content_type)
    name = re.sub(r"[^a-z0-9]+", "_", match.group(1).lower()) if match else "utf_8"
    name = aliases.get(name, name)
    return name if name in CODECS else "utf_8"


def _decode(answer: HttpAnswer) -> str:
    return answer.body.decode(charset(answer.headers.get("content-type", "")), "replace")


def _error_of(document: Any) -> Any:
    """The error in a document: of an object, or of the first element of an array; None if there is none."""
    if isinstance(document, list):
        # Gemini's OpenAI-compatible API wraps errors in an array.
        first = document[0] if document else None
        return _error_of(first) if isinstance(first, dict) and first.get("error") else None
    if not isinstance(document, dict):
        return None
    for key in ("error", "detail", "errors"):
        if document.get(key):
            return document[key]
    if document.get("type") == "error" or ("title" in document and "status" in document):
        return document
    inner = document.get("base_resp")
    if isinstance(inner, dict) and inner.get("status_code"):
        # MiniMax sends every error with status 200.
        return inner
    told = any(isinstance(item, str) and key.lower() in _MESSAGE_KEYS for key, item in document.items())
    if told and "data" not in document and "models" not in document:
        return document
    return None


_MESSAGE_KEYS = (
    *("message", "detail", "msg", "title", "error_description", "error", "description"),
    *("error_msg", "errmsg", "status_msg", "errormessage"),
)
_CODE_KEYS = frozenset(
    {
        *("code", "type", "status", "reason", "error_code", "quotaid", "limit_source", "signin_url"),
        *("errcode", "errorcode", "status_code"),
    }
)


def _words(value: Any) -> tuple[list[str], list[str]]:
    messages: list[str] = []
    codes: list[str] = []
    if isinstance(value, str):
        return [value], []
    for key, item in walk(value, _DEEPEST):
        lower = key.lower()
        if isinstance(item, str):
            if lower in _MESSAGE_KEYS:
                messages.append(item)
            elif lower in _CODE_KEYS:
                codes.append(item)
        elif (
            isinstance(item, int) and not isinstance(item, bool) and lower in _CODE_KEYS and abs(item) < 10**6
        ):
            codes.append(str(item))
        if len(messages) + len(codes) >= _MOST_CODES:
            break
    return messages, codes


def walk(value: Any, depth: int = _DEEPEST) -> Iterator[tuple[str, Any]]:
    """The named values of a document, the outer ones first; limited in depth and number."""
    if depth == 0:
        return
    if isinstance(value, dict):
        for key, item in list(value.items())[:200]:
            yield str(key), item
            yield from walk(item, depth - 1)
    elif isinstance(value, list):
        for item in value[:50]:
            if isinstance(item, str):
                yield "message", item
            yield from walk(item, depth - 1)


def _inner_status(error: Any) -> int | None:
    if not isinstance(error, dict):
        return None
    for key in ("code", "status"):
        value = error.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def _retry_info(value: Any) -> float | None:
    for key, item in walk(value, _DEEPEST):
        if key == "retryDelay" and isinstance(item, str):
            match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", item)
            if match:
                return float(match.group(1))
    return None


def _strip_tags(page: str) -> str:
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.IGNORECASE | re.DOTALL)
    return " ".join(re.sub(r"<[^>]{0,300}>", " ", page).split())
