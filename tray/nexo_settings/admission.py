"""Accepts or refuses a request by its head, before the body is read. Pure functions.

Pages of other sites, pages from other ports of this computer, and host names that were pointed to this
address (DNS rebinding) can make a browser send requests here. The check of `Host` stops DNS rebinding, the
checks of `Sec-Fetch-Site` and `Origin` stop the others. The secret of a tab is sent in a header, which other
pages cannot set. Cookies are not used: they ignore ports, so another server on 127.0.0.1 could read or set
them.
"""

from collections.abc import Collection, Sequence
from dataclasses import field

from nexo.connections.values import frozen

MAX_BODY_BYTES = 1024 * 1024
"""More than any valid draft has, so that the daemon says which field is too long."""
CALLS_BELOW = "/api/"

Headers = Sequence[tuple[bytes, bytes]]


@frozen
class Page:
    """A request for a file of the page, which contains no user data."""

    path: str


@frozen
class PageRequest:
    """A call of the page. `sessions` has to check its bearer token.

    Attributes:
        name: the name of the call.
        bearer: the bearer token; empty if there is none.
        length: the length of the body in bytes.
    """

    name: str
    bearer: str = field(repr=False)
    length: int


@frozen
class PageRefusal:
    """A refused request: HTTP status and reason. The reason is only seen in the browser's console."""

    status: int
    text: str


def decide(
    method: str, target: str, query: bytes, headers: Headers, authority: str, files: Collection[str]
) -> Page | PageRequest | PageRefusal:
    """Classify a request, or refuse it.

    Args:
        method: the HTTP method.
        target: the path.
        query: the query string.
        headers: the headers, in any case.
        authority: `127.0.0.1:PORT`, the only accepted value of `Host`.
        files: the paths of the page's files.
    """
    given = _Head(headers)
    if given.one(b"host") != authority:
        return PageRefusal(421, f"this server is only {authority}")
    if given.one(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return PageRefusal(403, "the request comes from another site")
    if query:
        return PageRefusal(400, "query parameters are not supported")
    if not target.startswith(CALLS_BELOW):
        if target not in files:
            return PageRefusal(404, "there is no such page")
        return (
            Page(target) if method in ("GET", "HEAD") else PageRefusal(405, "only GET and HEAD are allowed")
        )
    return _call(method, target.removeprefix(CALLS_BELOW), given, f"http://{authority}")


def _call(method: str, name: str, given: "_Head", origin: str) -> PageRequest | PageRefusal:
    if method != "POST":
        return PageRefusal(405, "only POST is allowed")
    if given.one(b"sec-fetch-site") != "same-origin" or given.one(b"origin") != origin:
        return PageRefusal(403, "only the page itself may send calls")
    if given.one(b"content-type") != "application/json":
        return PageRefusal(415, "the content type is not application/json")
    length = given.one(b"content-length") or ""
    if given.has(b"transfer-encoding") or not (length.isascii() and length.isdigit()):
        return PageRefusal(411, "a valid Content-Length is missing")
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        return PageRefusal(413, f"what was entered has more than {MAX_BODY_BYTES} bytes; shorten it")
    scheme, _, bearer = (given.one(b"authorization") or "").partition(" ")
    return PageRequest(name, bearer if scheme == "Bearer" else "", int(length))


class _Head:
    """The headers of a request."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def has(self, name: bytes) -> bool:
        return any(given.lower() == name for given, _ in self._headers)

    def one(self, name: bytes, absent: str | None = None) -> str | None:
        """The value of a header; `absent` if it is missing, None if it occurs more than once."""
        values = [value for given, value in self._headers if given.lower() == name]
        if not values:
            return absent
        return values[0].decode("latin-1") if len(values) == 1 else None
