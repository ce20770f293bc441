"""The base URL and the request headers of a connection in each dialect.

The SDK gives them to the program's own client; the gateway sends requests with them. How the official
packages extend a base URL was recorded on the wire in November 2026 (openai 3.54, anthropic 2.12,
google-genai 3.4, ollama 0.6).
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit, urlunsplit

from nexo.connections.errors import InvalidField
from nexo.connections.terms import AuthScheme, Provider

DIALECTS = ("openai", "anthropic", "google", "ollama")

PROVIDERS: Mapping[str, tuple[Provider, ...]] = {
    "openai": tuple(Provider),
    "anthropic": (Provider.ANTHROPIC, Provider.OLLAMA, Provider.CUSTOM),
    "google": (Provider.GOOGLE, Provider.CUSTOM),
    "ollama": (Provider.OLLAMA, Provider.CUSTOM),
}
"""The providers that speak each dialect."""

SCHEME_HEADER = {
    AuthScheme.BEARER: "Authorization",
    AuthScheme.X_API_KEY: "X-Api-Key",
    AuthScheme.X_GOOG_API_KEY: "X-Goog-Api-Key",
    AuthScheme.API_KEY: "Api-Key",
}
HOP_HEADERS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Names, in lower case, of the headers that concern a single connection (RFC 9110, section 7.6.1)."""
CREDENTIAL_HEADERS = frozenset(name.lower() for name in SCHEME_HEADER.values())
"""Names, in lower case, of the headers that carry a key."""


def check_dialect(dialect: str) -> None:
    """Raises `InvalidField` if there is no such dialect."""
    if dialect not in DIALECTS:
        raise InvalidField.of("dialect", f"'{dialect}' is unknown", f"use one of: {', '.join(DIALECTS)}")


def base_url(dialect: str, provider: Provider, url: str) -> str:
    """The URL to which the dialect's paths are appended; the provider must speak it (`PROVIDERS`)."""
    if dialect == "openai":
        return _openai_base(provider, url)
    versions = {"anthropic": ("/v1",), "google": ("/v1beta", "/v1alpha", "/v1"), "ollama": ("/v1", "/api")}
    return without(url, *versions[dialect])


def _openai_base(provider: Provider, url: str) -> str:
    if provider is Provider.OLLAMA:
        return without(url, "/v1", "/api") + "/v1"
    if provider is Provider.ANTHROPIC:
        return without(url, "/v1") + "/v1"
    if provider is Provider.GOOGLE:
        return without(url, "/v1beta/openai", "/v1beta", "/v1") + "/v1beta/openai"
    return url.rstrip("/")


def scheme_of(dialect: str, provider: Provider, scheme: AuthScheme) -> AuthScheme:
    """How the key is sent: other providers' OpenAI endpoints accept it as a bearer token only."""
    foreign = dialect == "openai" and provider not in (Provider.OPENAI, Provider.CUSTOM)
    return AuthScheme.BEARER if foreign else scheme


def headers(scheme: AuthScheme, key: str, custom: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All headers for requests of the connection: the key's header, and custom headers, which override it."""
    own = list(custom)
    found: dict[str, str] = {}
    carrier = SCHEME_HEADER.get(scheme)
    if key and carrier is not None and carrier.lower() not in {name.lower() for name, _ in own}:
        found[carrier] = f"Bearer {key}" if scheme is AuthScheme.BEARER else key
    canonical = {name.lower(): name for name in SCHEME_HEADER.values()}
    for name, value in own:
        # An SDK that compares header names by case would send its own header in addition to ours.
        found[canonical.get(name.lower(), name)] = value
    return found


def without(url: str, *versions: str) -> str:
    """The URL without its query and without the first matching ending from `versions`."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    for version in versions:
        if path.endswith(version):
            path = path[: -len(version)].rstrip("/")
            break
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def target(base_path: str, base_query: str, path: str, query: str) -> str:
    """The request target for a path and a query below a base URL; the query of the base is kept."""
    queries = "&".join(part for part in (base_query, query) if part)
    return (base_path + path or "/") + (f"?{queries}" if queries else "")
