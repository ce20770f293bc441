"""Selects the headers to pass on: all but those that concern one hop, one account or the gateway."""

import re
from collections.abc import Iterable, Sequence

from nexo.connections.faces import HOP_HEADERS
from nexo_gateway.admission import TOKEN_HEADERS, Headers

_HOP = frozenset(name.encode() for name in HOP_HEADERS)
# Cookies and account names belong to an account; the gateway's server handles `Expect` itself.
_NOT_UP = frozenset(
    {*TOKEN_HEADERS, b"host", b"cookie", b"expect", b"openai-organization", b"openai-project"}
)

_GZIP = re.compile(rb"(?:^|,)gzip(?!;q=0(?:\.0*)?(?:,|$))(?:[;,]|$)")
"""Gzip in `Accept-Encoding`, unless it is refused by `q=0`."""


def upwards(
    headers: Headers,
    own: Iterable[tuple[str, str]],
    host: str,
    *,
    chunked: bool,
    token: str = "",
    length: int | None = None,
    packed: bool = True,
) -> list[tuple[bytes, bytes]]:
    """The headers of the request to the provider, in the order received.

    Args:
        own: the key and custom headers of the connection; each replaces all headers of the same name.
        host: of the provider, with the port unless it is the default.
        chunked: the body is chunked.
        length: of the body, if the whole body is known.
        token: of the program; any header that contains it is dropped.
        packed: the answer may be compressed.
    """
    secret = token.encode("latin-1")
    ours = [(name.encode("ascii"), value.encode("latin-1")) for name, value in own]
    left_out = _HOP | _NOT_UP | _named_by(headers) | {name.lower() for name, _ in ours}
    result: list[tuple[bytes, bytes]] = [(b"host", host.encode("ascii"))]
    for name, value in headers:
        if name in left_out or name == b"accept-encoding" or (secret and secret in value):
            continue
        if name == b"content-length" and length is not None:
            value = b"%d" % length
        result.append((name, value))
    if b"accept-encoding" not in left_out:
        # To count tokens, the answer must be decompressed; of these encodings the standard library supports
        # gzip.
        offered = b",".join(value for name, value in headers if name == b"accept-encoding").lower()
        takes_gzip = packed and _GZIP.search(offered.replace(b" ", b"")) is not None
        result.append((b"accept-encoding", b"gzip" if takes_gzip else b"identity"))
    if chunked:
        result.append((b"transfer-encoding", b"chunked"))
    return result + ours


def downwards(headers: Sequence[tuple[bytes, bytes]], connection: str) -> list[tuple[bytes, bytes]]:
    """The headers of the answer as received, and one with the name of the connection."""
    lowered = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named_by(lowered) | {b"x-nexo-connection"}
    if any(name == b"transfer-encoding" for name, _ in lowered):
        # In a chunked body the chunks determine the end, so a Content-Length is dropped.
        left_out |= {b"content-length"}
    result = [(name, value) for name, value in lowered if name not in left_out]
    names = {name for name, _ in result}
    stream = any(name == b"content-type" and b"text/event-stream" in value for name, value in result)
    if stream and b"x-accel-buffering" not in names:
        # For nginx in front of the gateway.
        result.append((b"x-accel-buffering", b"no"))
    shown = connection.encode("ascii", "backslashreplace").replace(b"\n", b" ").replace(b"\r", b" ")
    result.append((b"x-nexo-connection", shown))
    return result


def _named_by(headers: Headers) -> frozenset[bytes]:
    """The headers named in `Connection` belong to this hop, except the length, which the body needs."""
    named = frozenset(
        name.strip().lower()
        for known, value in headers
        if known == b"connection"
        for name in value.split(b",")
    )
    return named - {b"content-length"}
