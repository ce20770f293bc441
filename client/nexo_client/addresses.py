"""Decides whether an address that a program uses belongs to a connection."""

from urllib.parse import SplitResult, urlsplit

from nexo.connections.proxies import DEFAULT_PORTS

_VERSIONS = ("/v1beta/openai", "/v1beta", "/v1alpha", "/v1", "/api")


def covers(base_url: str, url: str) -> bool:
    """Whether a key for `base_url` may be given to a program that sends it to `url`.

    Scheme, host and port must be equal, and `url` must be at or below the path of `base_url`, because
    gateways use paths to separate accounts. A version at the end of that path is ignored, because some
    programs write it and others do not.
    """
    ours, theirs = _split(base_url), _split(url)
    if ours is None or theirs is None or _origin(ours) != _origin(theirs):
        return False
    stem = ours.path.rstrip("/")
    for version in _VERSIONS:
        if stem.endswith(version):
            stem = stem.removesuffix(version)
            break
    path = theirs.path.rstrip("/")
    return path == stem or path.startswith(stem + "/")


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None if parsers could interpret it differently."""
    if any(character.isspace() or character in "\\\x7f" or character < " " for character in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    dots = {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."} & set(parts.path.lower().split("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or dots:
        return None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    host = (parts.hostname or "").rstrip(".").lower()
    return parts.scheme, host, parts.port or DEFAULT_PORTS[parts.scheme]
