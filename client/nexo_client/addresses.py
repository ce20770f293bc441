"""Is an address that a program uses one of a connection's? Same host, and no other account's path on it."""

from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}
_VERSIONS = ("/v1beta/openai", "/v1beta", "/v1alpha", "/v1", "/api")


def covers(base_url: str, url: str) -> bool:
    """Whether a key for `base_url` may be given to a program that sends it to `url`.

    The version at the end of the path does not count, as some programs write it and others do not; what
    stands before it does: gateways keep accounts apart by it.
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
    """The parts of an address that can be read in one way only."""
    if any(character.isspace() or character in "\\\x7f" or character < " " for character in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    dots = {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."} & set(parts.path.lower().split("/"))
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or dots:
        return None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    host = (parts.hostname or "").rstrip(".").lower()
    return parts.scheme, host, parts.port or _PORTS[parts.scheme]
