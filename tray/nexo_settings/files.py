"""The files of the page, and the HTTP headers of every response."""

import gzip
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html"
)
"""No inline code and no other sources, so that user data, such as a name, is never run as code."""

ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class PageFile:
    """A file of the page; `kind` is its content type."""

    kind: str
    content: bytes

    @cached_property
    def packed(self) -> bytes:
        """The content compressed with gzip. Computed on first use: the page loads some files later."""
        return gzip.compress(self.content, mtime=0)


def load() -> dict[str, PageFile]:
    """The files by URL path; `/` is index.html."""
    found = {}
    for entry in resources.files("nexo_settings").joinpath("page").iterdir():
        kind = _TYPES.get("." + entry.name.rpartition(".")[2])
        if kind is not None:
            path = "/" if entry.name == "index.html" else f"/{entry.name}"
            found[path] = PageFile(kind, entry.read_bytes())
    return found
