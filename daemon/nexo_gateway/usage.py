"""Counts the tokens of a request, by reading the answer as it passes, without delaying it.

At most one line is buffered. Counts that are not reported are not guessed, and counts are not added up,
because in Anthropic's events each total replaces the one before. Formats: the providers' documentation,
November 2026.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from nexo.connections.values import frozen

_TAIL = 64 * 1024
_LINE = 2 * _TAIL
_VALUE = 8 * 1024
"""Maximum characters of a usage object."""
_ATTEMPTS = 16
"""Maximum number of places in a line at which a usage object is looked for."""
_INFLATED = 2 * 1024 * 1024
"""Maximum bytes that a piece becomes when it is decompressed."""
_MOST_TOKENS = 10**9
"""Maximum tokens in one answer; higher counts are ignored, and would exceed the store's limits."""
_DECODER = json.JSONDecoder()
_MARKS = (b'"usage":', b'"usageMetadata":', b'"eval_count":', b'"prompt_eval_count":')


@frozen
class ReportedUsage:
    """Tokens of one request; None if not reported.

    Attributes:
        input_tokens: the whole prompt, cached or not.
        output_tokens: including reasoning.
        cached_tokens: the part of the input that was read from a cache.
    """

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None


class Tap:
    """Reads a passing answer. `feed` it every piece of the body, then read `usage` once."""

    def __init__(self, content_type: str, encoding: str) -> None:
        self._lines = "event-stream" in content_type or "ndjson" in content_type
        self._encoded = bool(encoding)
        # 32 + MAX_WBITS: zlib detects gzip and zlib formats.
        self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in ("gzip", "deflate") else None
        self._open = bytearray()
        self._first: bytes | None = None
        self._last: bytes | None = None

    def feed(self, piece: bytes) -> None:
        """Process a piece of the body."""
        if self._encoded:
            if self._inflate is None:
                return
            try:
                piece = self._inflate.decompress(piece, _INFLATED)
            except zlib.error:
                self._inflate = None
                return
            if self._inflate.unconsumed_tail:
                # An extreme compression ratio is not that of a model's answer.
                self._inflate = None
                return
        # A hostile answer may consist of empty lines, or come byte by byte: nothing here loops over either.
        end = piece.rfind(b"\n") + 1 if self._lines else 0
        if end:
            self._whole_lines(bytes(self._open) + piece[:end])
            self._open.clear()
        self._open += piece[end:]
        if len(self._open) > _LINE:
            # The counts are at the end of a long line or document, or, before embeddings, in its head.
            if self._first is None and (at := _first_mark(self._open)) >= 0:
                self._first = bytes(self._open[at : at + _VALUE])
            del self._open[:-_TAIL]

    def _whole_lines(self, text: bytes) -> None:
        if self._first is None:
            at = _first_mark(text)
            if at < 0:
                return
            self._first = _line_at(text, at)
        at = max(text.rfind(mark) for mark in _MARKS)
        if at >= 0:
            self._last = _line_at(text, at)

    def usage(self) -> ReportedUsage | None:
        """The counts; None if there were none."""
        rest = bytes(self._open)
        if any(mark in rest for mark in _MARKS):
            self._first, self._last = self._first or rest, rest
        counts: dict[str, Any] = {}
        for line in (self._first, self._last):
            if line is not None:
                # A missing or null count keeps the earlier one.
                counts |= {name: value for name, value in _counts(line).items() if value is not None}
        return _usage(counts) if counts else None


def _first_mark(text: bytes | bytearray) -> int:
    return min((at for mark in _MARKS if (at := text.find(mark)) >= 0), default=-1)


def _line_at(text: bytes, at: int) -> bytes:
    line = text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)]
    return line[-_TAIL:] if len(line) > _LINE else line


def _counts(line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8", "replace")
    for mark in ('"usage":', '"usageMetadata":'):
        at = len(text)
        for _ in range(_ATTEMPTS):
            at = text.rfind(mark, 0, at)
            if at < 0:
                break
            value = _value(text, at + len(mark))
            if isinstance(value, dict):
                return value
    # Ollama has the counts in the object itself.
    found = {}
    for name in ("prompt_eval_count", "eval_count"):
        at = text.rfind(f'"{name}":')
        value = _value(text, at + len(name) + 3) if at >= 0 else None
        if isinstance(value, int):
            found[name] = value
    return found


def _value(text: str, at: int) -> Any:
    try:
        return _DECODER.raw_decode(text[at : at + _VALUE].lstrip(" \t"))[0]
    except (ValueError, RecursionError):
        return None


def _usage(counts: Mapping[str, Any]) -> ReportedUsage | None:
    def number(*path: str) -> int | None:
        value: Any = counts
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        believed = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS
        return value if believed else None

    def either(*values: int | None) -> int | None:
        return next((value for value in values if value is not None), None)

    if "promptTokenCount" in counts or "candidatesTokenCount" in counts:
        written, thought = number("candidatesTokenCount"), number("thoughtsTokenCount")
        output = None if written is None and thought is None else (written or 0) + (thought or 0)
        return ReportedUsage(number("promptTokenCount"), output, number("cachedContentTokenCount"))
    read, made = number("cache_read_input_tokens"), number("cache_creation_input_tokens")
    asked = either(number("prompt_tokens"), number("input_tokens"), number("prompt_eval_count"))
    if asked is not None and (read is not None or made is not None):
        # Anthropic counts cache reads and writes separately from the input.
        asked += (read or 0) + (made or 0)
    cached = either(
        read,
        number("prompt_tokens_details", "cached_tokens"),
        number("input_tokens_details", "cached_tokens"),
        number("prompt_cache_hit_tokens"),
    )
    output = either(number("completion_tokens"), number("output_tokens"), number("eval_count"))
    if asked is None and output is None:
        return None
    return ReportedUsage(asked, output, cached)
