"""Checks requests before their bodies are read: whether they are allowed, their dialect and token. Pure.

Browsers are refused by `Origin`, and host names bound to this address (DNS rebinding) by `Host`, which is
only compared. Requests whose length or path is ambiguous are refused, so that no server behind the gateway
can interpret them differently.
"""

import re
from collections.abc import Sequence
from dataclasses import field
from urllib.parse import unquote_to_bytes

from nexo.connections.values import frozen
from nexo_gateway.dialects import DIALECTS, Dialect

MAX_TARGET_BYTES = 16 * 1024

_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_:@~-][A-Za-z0-9._:@~-]*)+/?")
"""An unambiguous path: no segment begins with a dot, nothing is escaped."""

Headers = Sequence[tuple[bytes, bytes]]

TOKEN_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
"""Headers in which programs send their key, in lower case. None of them is passed on."""


@frozen
class Admitted:
    """A request that is allowed.

    Attributes:
        path: the path after the base URL of the dialect, as it came (percent escapes untouched).
        query: as it came, without a key, and without parts that contain the token.
        token: empty if there is none.
        in_path: the token came in the path.
        host: the gateway, as the program calls it.
        chunked: the body is chunked, so its length is unknown.
    """

    method: str
    dialect: Dialect
    path: str
    query: str
    token: str = field(repr=False)
    in_path: bool
    host: bytes
    chunked: bool


class NotAdmitted(Exception):
    """The request is refused because of its form.

    Attributes:
        dialect: in whose form to answer; None for plain text.
        close: the connection cannot be used for another request.
    """

    def __init__(
        self, status: int, reason: str, text: str, dialect: Dialect | None = None, *, close: bool = False
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text
        self.dialect = dialect
        self.close = close


def hosts_of(port: int) -> frozenset[bytes]:
    """The values that `Host` may have on a TCP port of loopback."""
    return frozenset(f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", "[::1]"))


def admit(
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Headers,
    *,
    hosts: frozenset[bytes] | None,
) -> Admitted:
    """Check a request.

    Args:
        raw_path, query: as received; the parser lets only visible ASCII characters through.
        headers: as received; names in lower case.
        hosts: allowed values of `Host`; None on a Unix socket, for which DNS rebinding is impossible.

    Raises:
        NotAdmitted
    """
    _check_framing(headers)
    _check_sender(method, headers, hosts)
    if len(raw_path) + len(query) > MAX_TARGET_BYTES:
        raise NotAdmitted(414, "target_too_long", "nexo: the address of the request is too long")
    path = _checked_path(raw_path)
    path, path_token = _token_in_path(path)
    dialect, rest = _dialect_of(path)
    if (b"upgrade", b"websocket") in [(name, value.lower()) for name, value in headers]:
        raise NotAdmitted(
            426, "no_websocket", "nexo: the gateway does not support WebSocket; use HTTP", dialect
        )
    kept, key = _without_key(query)
    token = path_token or _token_in_headers(headers) or key
    if token and token in kept:
        kept = "&".join(part for part in kept.split("&") if token not in part)
    return Admitted(
        method=method,
        dialect=dialect,
        path=dialect.path(rest),
        query=kept,
        token=token,
        in_path=bool(path_token),
        host=_values(headers, b"host")[0],
        chunked=bool(_values(headers, b"transfer-encoding")),
    )


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for known, value in headers if known == name]


def _check_framing(headers: Headers) -> None:
    # The parser has refused everything else: different lengths, other codings, and a second host.
    names = {name for name, _ in headers}
    if b"host" not in names or {b"content-length", b"transfer-encoding"} <= names:
        raise NotAdmitted(
            400,
            "ambiguous_request",
            "nexo: the length or host of the request is ambiguous",
            close=True,
        )


def _check_sender(method: str, headers: Headers, hosts: frozenset[bytes] | None) -> None:
    if hosts is not None and _values(headers, b"host")[0].lower() not in hosts:
        raise NotAdmitted(403, "wrong_host", "nexo: this address is for programs of this computer only")
    if _values(headers, b"origin"):
        raise NotAdmitted(403, "browser", "nexo: web pages may not use the gateway")
    if method in ("OPTIONS", "CONNECT", "TRACE"):
        raise NotAdmitted(403, "method", f"nexo: the gateway does not answer {method}")


def _checked_path(raw: bytes) -> str:
    if _PLAIN_PATH.fullmatch(raw):
        return raw.decode("ascii")
    refused = NotAdmitted(400, "bad_target", "nexo: the path of the request is invalid", close=True)
    if not raw.startswith(b"/") or raw.startswith(b"//"):
        raise refused
    path = raw.decode("ascii")
    if not set('\\"<>^`{|}#').isdisjoint(path):
        raise refused
    once = unquote_to_bytes(path)
    # Some servers decode twice, and some interpret `..;x` and backslashes.
    for read in (once, unquote_to_bytes(once)):
        if {segment.partition(b";")[0] for segment in re.split(rb"[/\\]", read)} & {b".", b".."}:
            raise refused
    return path


def _token_in_path(path: str) -> tuple[str, str]:
    if not path.startswith("/t/"):
        return path, ""
    token, slash, rest = path.removeprefix("/t/").partition("/")
    return slash + rest, token


def _dialect_of(path: str) -> tuple[Dialect, str]:
    name, _, rest = path.removeprefix("/").partition("/")
    dialect = DIALECTS.get(name)
    if dialect is None:
        known = ", ".join(f"/{name}" for name in DIALECTS)
        raise NotAdmitted(404, "unknown_path", f"nexo: an address of the gateway begins with one of {known}")
    return dialect, "/" + rest if rest or path.endswith("/") else ""


def _without_key(query: bytes) -> tuple[str, str]:
    text, key, kept = query.decode("ascii"), "", []
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if unquote_to_bytes(name) == b"key":
            key = key or unquote_to_bytes(value).decode("ascii", "replace")
        else:
            kept.append(part)
    return "&".join(kept), key


def _token_in_headers(headers: Headers) -> str:
    for wanted in TOKEN_HEADERS:
        for value in _values(headers, wanted):
            text = value.decode("latin-1").strip()
            if wanted == b"authorization":
                scheme, _, text = text.partition(" ")
                if scheme.lower() != "bearer":
                    continue
            if text:
                return text.strip()
    return ""
