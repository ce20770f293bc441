"""Composes the URL and headers of requests to a target, secrets included."""

from functools import lru_cache
from urllib.parse import urlsplit

import idna

from nexo.connections import faces
from nexo.connections.faces import HOP_HEADERS
from nexo.connections.proxies import DEFAULT_PORTS
from nexo.connections.terms import AuthScheme
from nexo.connections.values import frozen
from nexo.connections.version import __version__
from nexo_daemon.domain.probing import ProbeTarget
from nexo_daemon.domain.secret import sendable
from nexo_daemon.providers.exchange import ConfigFault, Outgoing

# Our own name, because firewalls in front of several providers refuse the default names of libraries.
USER_AGENT = f"nexo-connections/{__version__}"

_AUTH_HEADERS = {
    AuthScheme.BEARER: ("Authorization", "Bearer "),
    AuthScheme.X_API_KEY: ("x-api-key", ""),
    AuthScheme.X_GOOG_API_KEY: ("x-goog-api-key", ""),
    AuthScheme.API_KEY: ("api-key", ""),
}
_CREDENTIAL_WORDS = ("auth", "key", "token", "secret", "cookie", "password", "credential", "session")
# RFC 9110 section 7.6.1, and headers that frame a message: wrong values would break the connection.
_OURS = HOP_HEADERS | {"content-length", "expect"}
_NAME_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@frozen
class Base:
    """A parsed base URL. `host` is ASCII, without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @property
    def authority(self) -> str:
        """The host, with the port unless it is the default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port of requests."""
        return self.scheme, self.host, self.port

    def url(self, path: str = "") -> str:
        """A URL below the base; the query of the base is kept."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.authority}{self.path}{path}{query}"

    def target(self, path: str, query: str) -> str:
        """See `nexo.connections.faces.target`."""
        return faces.target(self.path, self.query, path, query)


@lru_cache(maxsize=1024)
def parse_base(url: str) -> Base:
    """Parse a base URL. Cached, because the same few are parsed again and again.

    Raises:
        ConfigFault: the URL is invalid.
    """

    def refuse(problem: str) -> ConfigFault:
        return ConfigFault("base_url", "base_url", f"The base URL {problem}.")

    if not url:
        raise refuse("is missing; enter the address of the service")
    if not url.isprintable() or any(character.isspace() for character in url):
        raise refuse("holds white space or control characters; remove them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refuse("has a malformed host or a port that is not between 1 and 65535") from error
    if parts.scheme not in ("http", "https"):
        raise refuse("has to begin with https:// or http://")
    if "://" in parts.path or (parts.hostname in ("http", "https") and parts.path.startswith("//")):
        raise refuse("holds two addresses; keep one")
    if parts.username is not None or parts.password is not None:
        raise refuse("holds a user name or password; use the API key or a custom header for it")
    if not parts.hostname or port == 0:
        raise refuse("has no host, or port 0")
    return Base(
        scheme=parts.scheme,
        host=ascii_host(parts.hostname, refuse("has a host name that cannot exist; check its spelling")),
        port=port or DEFAULT_PORTS[parts.scheme],
        path=_quote(parts.path.rstrip("/")),
        query=_quote(parts.query),
    )


def ascii_host(host: str, refusal: ConfigFault) -> str:
    """The host as it is sent: names beyond ASCII are encoded (IDNA). Raises `refusal`."""
    if host.isascii():
        if any(character in host for character in "/\\?#@<>^`{|}\"'"):
            raise refusal
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise refusal from error


def _quote(text: str) -> str:
    if text.isascii():
        return text
    return "".join(
        c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "replace")) for c in text
    )


def compose(
    target: ProbeTarget,
    base: Base,
    *,
    method: str = "GET",
    path: str = "",
    query: str = "",
    extra: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    with_credentials: bool = True,
) -> Outgoing:
    """Compose a request to a target. Custom headers replace default ones of the same name, ignoring case.

    Args:
        with_credentials: False omits the key, and without a key the custom headers that may contain one.

    Raises:
        ConfigFault: the key or a header cannot be sent.
    """
    require_sendable(target)
    headers: dict[str, tuple[str, str]] = {}

    def put(name: str, value: str) -> None:
        headers[name.lower()] = (name, value)

    put("Host", base.authority)
    put("User-Agent", USER_AGENT)
    put("Accept", "application/json")
    put("Accept-Encoding", "gzip")
    for name, value in extra:
        put(name, value)
    if body is not None:
        put("Content-Type", "application/json")
        put("Content-Length", str(len(body)))
    key = target.credentials.api_key
    if with_credentials and key and target.auth_scheme in _AUTH_HEADERS:
        name, prefix = _AUTH_HEADERS[target.auth_scheme]
        put(name, prefix + key.reveal())
    for name, secret in target.credentials.headers:
        if with_credentials or sends_key(target) or not carries_credential(name):
            put(name, secret.reveal())
    return Outgoing(method, base.target(path, query), tuple(headers.values()), body)


def require_sendable(target: ProbeTarget) -> None:
    """Check key and custom headers.

    Raises:
        ConfigFault: the key or a header cannot be sent.
    """
    key = target.credentials.api_key
    if key and target.auth_scheme in _AUTH_HEADERS and not sendable(key.reveal()):
        raise ConfigFault(
            "api_key",
            "api_key",
            "The key holds white space, a line break or characters that no header can carry; paste it again.",
        )
    for name, secret in target.credentials.headers:
        _check_header(name, secret.reveal())


def carries_credential(header: str) -> bool:
    """Whether a header with that name may contain credentials."""
    name = header.lower()
    return any(word in name for word in _CREDENTIAL_WORDS)


def key_header(target: ProbeTarget) -> str:
    """The header with the key, in lower case; "" if the key is not sent."""
    if not target.credentials.api_key or target.auth_scheme not in _AUTH_HEADERS:
        return ""
    return _AUTH_HEADERS[target.auth_scheme][0].lower()


def replaced_by(target: ProbeTarget) -> str:
    """The custom header that replaces the key; "" if none does."""
    wanted = key_header(target)
    return next((name for name, _ in target.credentials.headers if name.lower() == wanted), "")


def sends_key(target: ProbeTarget) -> bool:
    """Whether the API key is part of a request."""
    return bool(key_header(target)) and not replaced_by(target)


def sends_credential(target: ProbeTarget) -> bool:
    """Whether requests to the target contain any credentials."""
    return bool(key_header(target)) or any(carries_credential(name) for name, _ in target.credentials.headers)


def _check_header(name: str, value: str) -> None:
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise ConfigFault(
            "headers", "header", "A custom header has a name with characters that no header may have."
        )
    if name.lower() in _OURS:
        raise ConfigFault(
            "headers", "header", f"The header {name} belongs to the connection itself; remove it."
        )
    if not sendable(value):
        raise ConfigFault(
            "headers", "header", f"The value of the header {name} has characters that no header can carry."
        )
