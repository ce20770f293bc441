"""May this request in? Pure: decided from its head, before a byte of the body is read.

A page of another site, another port of this computer and a name that was bound to this address (DNS
rebinding) can all make a browser send requests here. `Host` keeps the last one out, `Sec-Fetch-Site`
and `Origin` the others; the secret of a tab stands in a header, which nobody else's page can send. There
is no cookie: cookies ignore ports, so another program of 127.0.0.1 could read or plant them.
"""

from collections.abc import Collection, Sequence
from dataclasses import field

from nexo.connections.values import frozen

MAX_BODY_BYTES = 64 * 1024
CALLS_BELOW = "/api/"

Headers = Sequence[tuple[bytes, bytes]]


@frozen
class Page:
    """A file of the page; holds nothing of the person's."""

    path: str


@frozen
class PageRequest:
    """A call. Whether its bearer is a tab of ours is still to be seen (see `sessions`).

    Attributes:
        bearer: empty when there was none.
        length: of the body, in bytes.
    """

    name: str
    bearer: str = field(repr=False)
    length: int


@frozen
class PageRefusal:
    """No; `text` says why, for the person who looks into the browser's console."""

    status: int
    text: str


def decide(
    method: str, target: str, query: bytes, headers: Headers, authority: str, files: Collection[str]
) -> Page | PageRequest | PageRefusal:
    """What a request is, or why it is not let in.

    Args:
        authority: `127.0.0.1:PORT`, the only name of this server.
        files: paths of the page.
    """
    given = _Head(headers)
    if given.one(b"host") != authority:
        return PageRefusal(421, f"this server is {authority} and nothing else")
    if given.one(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return PageRefusal(403, "another site asked for it")
    if query:
        return PageRefusal(400, "there is nothing to ask for in an address")
    if not target.startswith(CALLS_BELOW):
        if target not in files:
            return PageRefusal(404, "there is no such page")
        return Page(target) if method in ("GET", "HEAD") else PageRefusal(405, "a page can only be read")
    return _call(method, target.removeprefix(CALLS_BELOW), given, f"http://{authority}")


def _call(method: str, name: str, given: "_Head", origin: str) -> PageRequest | PageRefusal:
    if method != "POST":
        return PageRefusal(405, "a call is a POST")
    if given.one(b"sec-fetch-site") != "same-origin" or given.one(b"origin") != origin:
        return PageRefusal(403, "only the page itself may ask")
    if given.one(b"content-type") != "application/json":
        return PageRefusal(415, "a call is JSON")
    length = given.one(b"content-length") or ""
    if given.has(b"transfer-encoding") or not (length.isascii() and length.isdigit()):
        return PageRefusal(411, "the length of the call is missing")
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        return PageRefusal(413, f"a call has at most {MAX_BODY_BYTES} bytes")
    scheme, _, bearer = (given.one(b"authorization") or "").partition(" ")
    return PageRequest(name, bearer if scheme == "Bearer" else "", int(length))


class _Head:
    """Headers, of which the ones that decide may stand there once."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def has(self, name: bytes) -> bool:
        return any(given.lower() == name for given, _ in self._headers)

    def one(self, name: bytes, absent: str | None = None) -> str | None:
        """The value; `absent` when it is missing, None when it is there twice."""
        values = [value for given, value in self._headers if given.lower() == name]
        if not values:
            return absent
        return values[0].decode("latin-1") if len(values) == 1 else None
