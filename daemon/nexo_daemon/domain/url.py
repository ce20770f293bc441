"""Checks and normalises addresses that a person gives: base URLs and proxies.

Source: RFC 3986. httpx accepts a space before the path and port 99999 (seen), so it is not used for that.
"""

import re
from urllib.parse import SplitResult, urlsplit

from nexo.connections.errors import InvalidField
from nexo.connections.proxies import DEFAULT_PORTS

# A registered name or an IPv4 address; IDNs may be in ASCII or Unicode form.
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.UNICODE)
_IPV6 = re.compile(r"[0-9a-f:.]+(%25[\w.~-]+)?", re.IGNORECASE)


def origin(url: str) -> str:
    """scheme://host:port of a normalised URL, always with the port; undefined for other text."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{'[' + host + ']' if ':' in host else host}:{port}"


def _split(field: str, text: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    if any(character.isspace() or ord(character) < 32 or ord(character) == 127 for character in text):
        raise InvalidField.of(
            field, "has a space or control character in it", f"remove it; for example {example}"
        )
    if "://" not in text:
        raise InvalidField.of(
            field, "has no scheme", f"start it with {' or '.join(s + '://' for s in schemes)}"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidField.of(
            field,
            "the port is not a number from 1 to 65535, or the host is malformed",
            f"for example {example}",
        ) from None
    if parts.scheme.lower() not in schemes:
        raise InvalidField.of(
            field, f"the scheme is '{parts.scheme}'", f"use {' or '.join(s + '://' for s in schemes)}"
        )
    if port == 0:
        raise InvalidField.of(field, "the port is 0", "use a port from 1 to 65535")
    host = parts.hostname or ""
    if not host:
        raise InvalidField.of(field, "has no host", f"for example {example}")
    if not (_IPV6.fullmatch(host) if ":" in host else _HOST.fullmatch(host)) or len(host) > 253:
        raise InvalidField.of(field, "the host is malformed", f"for example {example}")
    return parts


def _netloc(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    text = f"[{host}]" if ":" in host else host
    if parts.port is not None and parts.port != DEFAULT_PORTS[parts.scheme.lower()]:
        text += f":{parts.port}"
    return text


def normalize_base_url(text: str) -> str:
    """The URL with scheme and host in lower case, without default port and trailing slash.

    Raises:
        InvalidField: not http(s), user or password in it, a query, a bad host or port.
    """
    example = "https://api.example.com/v1"
    parts = _split("base_url", text.strip(), ("https", "http"), example)
    if parts.username is not None or parts.password is not None:
        raise InvalidField.of(
            "base_url",
            "holds a user name or password",
            "give the key as the API key or as a custom header instead",
        )
    if parts.query or parts.fragment or text.strip().endswith(("?", "#")):
        hint = "leave out everything from '?' or '#' on"
        if re.search(r"(^|[&_-])(key|token|secret|auth)", parts.query, re.IGNORECASE):
            hint += ", and give the key that is in it as the API key"
        raise InvalidField.of("base_url", "has a query or fragment", hint)
    return f"{parts.scheme.lower()}://{_netloc(parts)}{parts.path.rstrip('/')}"


def is_normal(base_url: str, proxy_url: str) -> bool:
    """Whether both are in the stored form; other programs may read another form as another host."""
    try:
        return normalize_base_url(base_url) == base_url and (
            not proxy_url or split_proxy_url(proxy_url) == (proxy_url, "")
        )
    except InvalidField:
        return False


def split_proxy_url(text: str) -> tuple[str, str]:
    """Split a proxy URL into the URL without credentials and "user:password" (percent-encoded) or "".

    Raises:
        InvalidField: not http, https, socks5 or socks5h, a path or query, a bad host or port.
    """
    example = "http://proxy.example.com:3128"
    parts = _split("proxy", text.strip(), ("http", "https", "socks5", "socks5h"), example)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidField.of(
            "proxy", "has a path or query", f"give scheme, host and port only, like {example}"
        )
    credentials = ""
    if parts.username is not None or parts.password is not None:
        credentials = f"{parts.username or ''}:{parts.password or ''}"
    return f"{parts.scheme.lower()}://{_netloc(parts)}", credentials


def with_credentials(url: str, credentials: str) -> str:
    """Put "user:password" into a proxy URL, for the one request that needs it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{credentials}@{rest}" if credentials else url
