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

_LINE = 256 * 1024
_TAIL = 64 * 1024
_INFLATED = 8 * 1024 * 1024
_MOST_TOKENS = 10**9
"""Maximum tokens in one answer; higher counts are ignored, and would exceed the store's limits."""
_DECODER = json.JSONDecoder()
_MARKS = (b'"usage":', b'"usageMetadata":', b'"eval_count":')


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
        self._encoded = encoding not in ("", "identity")
        # 32 + MAX_WBITS: zlib detects gzip and zlib formats.
        self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in ("gzip", "deflate") else None
        self._open = b""
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
        if not self._lines:
            self._open = (self._open + piece)[-_TAIL:]
            return
        *whole, rest = piece.split(b"\n")
        for line in whole:
            self._line(self._open + line)
            self._open = b""
        self._open += rest
        if len(self._open) > _LINE:
            # The counts are at the end of a long line.
            self._open = self._open[-_TAIL:]

    def _line(self, line: bytes) -> None:
        if any(mark in line for mark in _MARKS):
            line = line[-_TAIL:] if len(line) > _LINE else line
            if self._first is None:
                self._first = line
            self._last = line

    def usage(self) -> ReportedUsage | None:
        """The counts; None if there were none."""
        if self._open:
            self._line(self._open)
            self._open = b""
        counts: dict[str, Any] = {}
        for line in (self._first, self._last):
            if line is not None:
                # A missing or null count keeps the earlier one.
                counts |= {name: value for name, value in _counts(line).items() if value is not None}
        return _usage(counts) if counts else None


def _counts(line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8", "replace")
    for mark in ('"usage":', '"usageMetadata":'):
        at = text.rfind(mark)
        while at >= 0:
            value = _value(text, at + len(mark))
            if isinstance(value, dict):
                return value
            at = text.rfind(mark, 0, at)
    # Ollama has the counts in the object itself.
    found = {}
    for name in ("prompt_eval_count", "eval_count"):
        at = text.rfind(f'"{name}":')
        value = _value(text, at + len(name) + 3) if at >= 0 else None
        if isinstance(value, int):
            found[name] = value
    return found


def _value(text: str, at: int) -> Any:
    while at < len(text) and text[at] in " \t":
        at += 1
    try:
        return _DECODER.raw_decode(text, at)[0]
    except ValueError:
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
