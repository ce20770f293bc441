"""Which headers pass, upwards and downwards? Everything but what belongs to one hop, one account or us."""

from collections.abc import Iterable, Sequence

from nexo_gateway.admission import TOKEN_HEADERS, Headers

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Cookies and the account's names are of somebody; the gateway's server answers `Expect` itself.
_NOT_UP = frozenset(
    {*TOKEN_HEADERS, b"host", b"cookie", b"expect", b"openai-organization", b"openai-project"}
)


def upwards(
    headers: Headers,
    own: Iterable[tuple[str, str]],
    host: str,
    *,
    chunked: bool,
    token: str = "",
    length: int | None = None,
) -> list[tuple[bytes, bytes]]:
    """The headers of the request to the provider, in the order in which they came.

    Args:
        own: the connection's: key and custom headers; each replaces all of its name.
        host: of the provider, with the port where it is not the usual one.
        chunked: the body comes in chunks, and goes on in chunks.
        length: of the body, where the whole of it is known.
        token: of the program; a header of any name that repeats it stays here.
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
        # What is counted has to be unpacked, and of these the standard library knows gzip.
        offered = b",".join(value for name, value in headers if name == b"accept-encoding").lower()
        result.append((b"accept-encoding", b"gzip" if b"gzip" in offered else b"identity"))
    if chunked:
        result.append((b"transfer-encoding", b"chunked"))
    return result + ours


def downwards(headers: Sequence[tuple[bytes, bytes]], connection: str) -> list[tuple[bytes, bytes]]:
    """The headers of the answer, as they came; beside them, which connection it is from."""
    lowered = [(name.lower(), value) for name, value in headers]
    left_out = _HOP | _named_by(lowered) | {b"x-nexo-connection"}
    if any(name == b"transfer-encoding" for name, _ in lowered):
        # The chunks tell where the body ends, whatever stands beside them.
        left_out |= {b"content-length"}
    result = [(name, value) for name, value in lowered if name not in left_out]
    names = {name for name, _ in result}
    stream = any(name == b"content-type" and b"text/event-stream" in value for name, value in result)
    if stream and b"x-accel-buffering" not in names:
        # Somebody may have put nginx in front of us.
        result.append((b"x-accel-buffering", b"no"))
    shown = connection.encode("ascii", "backslashreplace").replace(b"\n", b" ").replace(b"\r", b" ")
    result.append((b"x-nexo-connection", shown))
    return result


def _named_by(headers: Headers) -> frozenset[bytes]:
    """What `Connection` names is of this hop, too; but for the length, without which a body has no end."""
    named = frozenset(
        name.strip().lower()
        for known, value in headers
        if known == b"connection"
        for name in value.split(b",")
    )
    return named - {b"content-length"}
