"""What does a response body say, whichever of the many shapes it has? Extraction only, no judgement."""

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
"""The codecs of text on the web, by Python's names. All of them take time in proportion to the text."""

LONG_RETRY_S = 300.0
LONG_RETRY_CODE = "retry_info_over_300s"
"""A delay so long is a spent quota, not a rate (seen with Gemini)."""


class Form(enum.StrEnum):
    """What kind of text a body is."""

    JSON = "json"
    HTML = "html"
    TEXT = "text"
    EMPTY = "empty"


@frozen
class Reading:
    """An answer, opened.

    Attributes:
        document: the parsed JSON; None for other forms.
        message: the provider's own words, not redacted.
        codes: every code, type, status and reason word in the error, lower case.
        has_error: the JSON has an error in it.
        error_status: an HTTP status inside of the body, as gateways send it; None without.
        retry_after_s: a delay that the body asks for; None without.
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
    """Opens an answer. Takes any bytes and never raises."""
    document, text, is_json = _parse(answer)
    if is_json:
        error = _error_of(document)
        # The error itself, or the document around it when the status alone says that it is one.
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
        # Knows UTF-8 with and without a mark, UTF-16 and UTF-32 (RFC 4627), which is what JSON may be in.
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
        # Names a wrong encoding, yet is JSON but for some characters.
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None, text, False
    return document, text, isinstance(document, dict | list | str)


def _first_event(text: str) -> dict[str, Any] | None:
    """The first event of a stream: some servers stream whatever they are asked for."""
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
    """The codec for a text of that type: one of `CODECS`, and UTF-8 for whatever else a server names.

    Python has codecs that take quadratic time (punycode), unpack (zip) or are none of text at all.
    """
    match = re.search(r"charset=[\"']?([\w.:-]{1,40})", content_type)
    name = re.sub(r"[^a-z0-9]+", "_", match.group(1).lower()) if match else "utf_8"
    name = aliases.get(name, name)
    return name if name in CODECS else "utf_8"


def _decode(answer: HttpAnswer) -> str:
    return answer.body.decode(charset(answer.headers.get("content-type", "")), "replace")


def _error_of(document: Any) -> Any:
    """The part that is the error: of an object, of the first element of an array, or None."""
    if isinstance(document, list):
        # The OpenAI face of Gemini wraps its errors in an array.
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
        # MiniMax answers every refusal with 200.
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
    """The named values of a document, the outer ones first; bounded in depth and number."""
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
