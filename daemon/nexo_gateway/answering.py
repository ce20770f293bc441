"""Sends answers to programs: the provider's, passed on and counted byte by byte, or one of our own."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from nexo_gateway.addresses import HEADERS, AddressRewriter, names_results
from nexo_gateway.admission import Admitted
from nexo_gateway.dialects import Dialect
from nexo_gateway.masking import Masking
from nexo_gateway.passing import downwards
from nexo_gateway.router import Target
from nexo_gateway.upstream import Headers, Sent
from nexo_gateway.usage import Tap

MAX_ERROR_BYTES = 1024 * 1024
"""Maximum bytes of a decompressed error body; a larger one is cut."""

_COUNTING = ("/count_tokens", ":countTokens", "/input_tokens")
"""Ends of paths at which tokens of a prompt are counted and none are used."""

_MOST_WAITS = 32
_LONGEST_WAIT = 100

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Answer:
    """A provider's answer on its way to the program.

    Attributes:
        tap: counts tokens as the body passes; None if there are none to count.
        counts_tokens: whether answers of this kind report tokens.
        waits: the headers of an error that may say when to retry.
        length: of a body that is passed on unchanged; None if unknown.
    """

    def __init__(self, sent: Sent, target: Target, admitted: Admitted) -> None:
        self.status = sent.status
        self.target = target
        self.pieces = sent.body
        good, failed = sent.status < 300, sent.status >= 400
        # Only errors repeat the key.
        self._masking = Masking(target.secrets if failed else ())
        self.headers = downwards(sent.headers, target.name)
        if failed:
            self.headers = [(name, self._masking.mask(value)) for name, value in self.headers]
        self.waits = _waits(self.headers) if failed else {}
        named = {name: value.decode("latin-1").lower() for name, value in self.headers}
        kind = named.get(b"content-type", "")
        length = named.get(b"content-length", "")
        self.encoding = _encoding(self.headers) if b"content-encoding" in named else ""
        self.length = int(length) if not failed and length.isdecimal() and len(length) < 19 else None
        # Reading costs no tokens: neither a model list nor a stored response, which repeats its counts.
        paid = good and admitted.method == "POST"
        self.tap = Tap(kind, self.encoding) if paid else None
        self.counts_tokens = (
            paid and ("json" in kind or "event-stream" in kind) and not admitted.path.endswith(_COUNTING)
        )
        if good:
            self._lead_back(AddressRewriter(target.endpoint, admitted), named)

    def _lead_back(self, rewriter: AddressRewriter, named: Mapping[bytes, str]) -> None:
        """Let the addresses in the answer lead through the gateway."""
        if not HEADERS.isdisjoint(named):
            self.headers = [
                (name, rewriter.header(value) if name in HEADERS else value) for name, value in self.headers
            ]
        is_json = named.get(b"content-type", "").startswith("application/json") and not self.encoding
        if is_json and names_results(rewriter.admitted):
            self.pieces = rewriter.document(self.pieces)
            self.headers = [pair for pair in self.headers if pair[0] != b"content-length"]
            self.length = None

    @property
    def is_valid(self) -> bool:
        """Whether the status is one of HTTP; uvicorn cannot send another."""
        return self.status < 600

    @property
    def is_redirect(self) -> bool:
        """Whether it is a redirect; it is neither followed with a key nor passed on to the program."""
        return 300 <= self.status < 400 and self.status != 304

    async def error_body(self) -> AsyncIterator[bytes]:
        """The body of an error, with the key overwritten where a provider repeats it."""
        if not self.encoding:
            async for piece in self.pieces:
                if told := self._masking.feed(piece):
                    yield told
            if rest := self._masking.rest():
                yield rest
            return
        packed = bytearray()
        async for piece in self.pieces:
            packed += piece[: MAX_ERROR_BYTES - len(packed)]
        yield self._masking.mask(_unpacked(bytes(packed), self.encoding))

    @property
    def error_headers(self) -> Headers:
        """The headers for that body: decompressed and chunked."""
        if not self.encoding:
            return self.headers
        return [pair for pair in self.headers if pair[0] not in (b"content-encoding", b"content-length")]


def _encoding(headers: Headers) -> str:
    """All encodings of the body; empty if there is none."""
    listed = ",".join(value.decode("latin-1") for name, value in headers if name == b"content-encoding")
    codings = (coding.strip() for coding in listed.lower().split(","))
    return ", ".join(coding for coding in codings if coding not in ("", "identity"))


def _waits(headers: Headers) -> dict[str, str]:
    found = [pair for pair in headers if b"retry-after" in pair[0] or b"ratelimit" in pair[0]][:_MOST_WAITS]
    return {name.decode("latin-1"): value[:_LONGEST_WAIT].decode("latin-1") for name, value in found}


async def passed(answer: Answer, dialect: Dialect, send: Send) -> None:
    """Pass the answer on, each piece as it comes. `Upstream.send` reports an interrupted one."""
    if answer.is_redirect:
        text = (
            f"nexo: '{answer.target.name}' answers with a redirect, which the gateway does not follow with "
            f"a key; use the final address: nexoctl edit '{answer.target.name}' --base-url URL"
        )
        await own_answer(send, 502, dialect, "redirect", text)
        return
    if not answer.is_valid:
        text = f"nexo: '{answer.target.name}' answers with the invalid status {answer.status}"
        await own_answer(send, 502, dialect, "invalid_status", text)
        return
    bad = answer.status >= 400
    headers = answer.error_headers if bad else answer.headers
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    passed_on, is_whole = 0, False
    async for piece in answer.error_body() if bad else answer.pieces:
        passed_on += len(piece)
        if answer.tap is not None:
            answer.tap.feed(piece)
        # The program has the whole answer, and need not wait until the provider's connection is released.
        is_whole = passed_on == answer.length
        await send({"type": "http.response.body", "body": piece, "more_body": not is_whole})
    if not is_whole:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def own_answer(
    send: Send, status: int, dialect: Dialect | None, reason: str, text: str, *, close: bool = False
) -> None:
    """Send an answer of the gateway itself, in the error format of the program's dialect."""
    body = text.encode() if dialect is None else dialect.error_body(status, reason, text)
    kind = b"text/plain; charset=utf-8" if dialect is None else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"x-should-retry", b"false"))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _unpacked(packed: bytes, encoding: str) -> bytes:
    if encoding in ("gzip", "x-gzip", "deflate"):
        with suppress(zlib.error):
            return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(packed, MAX_ERROR_BYTES)
    return b""
