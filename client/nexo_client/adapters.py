"""How a hand-out is spelled for the official SDKs. For the environment of a program: `variables`.

Pure: nothing is sent, and an SDK is imported only where one of its own objects has to be passed. What each
SDK makes of a base URL was seen on the wire in November 2026 (openai 3.54, anthropic 2.12, google-genai 3.4,
ollama 0.6); tests/thirdparty repeats it. An SDK also reads its own variables, so that everything that an
ambient variable could replace is given explicitly.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nexo_client.errors import InvalidField
from nexo_client.terms import AuthScheme, Provider
from nexo_client.types import NetworkProfile, ResolvedConnection

NO_KEY = "no-key-needed"
"""Stands in where an SDK refuses an empty key; the header that would carry it is left out."""

_SCHEME_HEADER = {
    AuthScheme.BEARER: "Authorization",
    AuthScheme.X_API_KEY: "X-Api-Key",
    AuthScheme.X_GOOG_API_KEY: "X-Goog-Api-Key",
    AuthScheme.API_KEY: "Api-Key",
}
CREDENTIAL_HEADERS = frozenset(name.lower() for name in _SCHEME_HEADER.values())
"""Names, in lower case, of the headers that carry a key."""

# Of an account, not of a service: the variable of one account would be sent with the key of another.
_AMBIENT_ACCOUNT = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


def wire_headers(connection: ResolvedConnection) -> dict[str, str]:
    """Every header that a request of this connection carries: the key's, then the custom ones, which win."""
    headers: dict[str, str] = {}
    custom = {name.lower() for name in connection.headers}
    carrier = _SCHEME_HEADER.get(connection.auth_scheme)
    if connection.api_key and carrier is not None and carrier.lower() not in custom:
        bearer = connection.auth_scheme is AuthScheme.BEARER
        headers[carrier] = f"Bearer {connection.api_key}" if bearer else connection.api_key
    canonical = {name.lower(): name for name in _SCHEME_HEADER.values()}
    for name, value in connection.headers.items():
        # An SDK that merges without regard to case would send a header of its own beside ours.
        headers[canonical.get(name.lower(), name)] = value
    return headers


def openai_headers(connection: ResolvedConnection) -> dict[str, str]:
    """As `wire_headers`; the OpenAI faces of the other providers take the key as Bearer only."""
    if connection.provider in (Provider.OPENAI, Provider.CUSTOM):
        return wire_headers(connection)
    return wire_headers(replace(connection, auth_scheme=AuthScheme.BEARER))


def _without(url: str, *versions: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    for version in versions:
        if path.endswith(version):
            path = path[: -len(version)].rstrip("/")
            break
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def openai_base(connection: ResolvedConnection) -> str:
    """The URL in front of `/chat/completions`, of the provider's own OpenAI face where it has one."""
    if connection.provider is Provider.OLLAMA:
        return _without(connection.base_url, "/v1", "/api") + "/v1"
    if connection.provider is Provider.ANTHROPIC:
        return _without(connection.base_url, "/v1") + "/v1"
    if connection.provider is Provider.GOOGLE:
        return _without(connection.base_url, "/v1beta/openai", "/v1beta", "/v1") + "/v1beta/openai"
    return connection.base_url.rstrip("/")


def anthropic_base(connection: ResolvedConnection) -> str:
    """The URL in front of `/v1/messages`.

    Raises:
        InvalidField: the provider has no such face.
    """
    _needs_face(connection, "anthropic", Provider.ANTHROPIC, Provider.OLLAMA, Provider.CUSTOM)
    return _without(connection.base_url, "/v1")


def google_base(connection: ResolvedConnection) -> str:
    """The URL in front of `/v1beta/models`.

    Raises:
        InvalidField: the provider has no such face.
    """
    _needs_face(connection, "google", Provider.GOOGLE, Provider.CUSTOM)
    return _without(connection.base_url, "/v1beta", "/v1alpha", "/v1")


def ollama_base(connection: ResolvedConnection) -> str:
    """The URL in front of `/api/chat`.

    Raises:
        InvalidField: the provider has no such face.
    """
    _needs_face(connection, "ollama", Provider.OLLAMA, Provider.CUSTOM)
    return _without(connection.base_url, "/v1", "/api")


@dataclass(frozen=True, slots=True)
class Face:
    """What a dialect makes of a connection: the URL in front of its paths, and the headers."""

    base: Callable[[ResolvedConnection], str]
    headers: Callable[[ResolvedConnection], dict[str, str]]


FACES: Mapping[str, Face] = {
    "openai": Face(openai_base, openai_headers),
    "anthropic": Face(anthropic_base, wire_headers),
    "google": Face(google_base, wire_headers),
    "ollama": Face(ollama_base, wire_headers),
}
"""By dialect; the names are those of the methods of `ResolvedConnection`."""


def _needs_face(connection: ResolvedConnection, dialect: str, *providers: Provider) -> None:
    if connection.provider not in providers:
        raise InvalidField(
            f"provider: connection '{connection.name}' is of provider {connection.provider}, "
            f"which the {dialect} SDK can't talk to",
            hint=f"choose a connection of provider {' or '.join(providers)}, or call .openai()",
            metadata={"field": "provider"},
        )


def network_arguments(network: NetworkProfile) -> dict[str, Any]:
    """Arguments of an httpx client for a network profile; empty if its defaults do.

    Raises:
        InvalidField: the CA bundle cannot be read.
    """
    arguments: dict[str, Any] = {}
    if network.proxy == "direct":
        arguments["trust_env"] = False
    elif network.proxy not in ("", "system"):
        arguments["proxy"] = network.proxy
        arguments["trust_env"] = False
    if network.no_proxy and network.proxy not in ("", "system", "direct"):
        # None is httpx's word for "no proxy here".
        arguments["mounts"] = {pattern: None for entry in network.no_proxy for pattern in _mounts(entry)}
    if network.ca_bundle:
        import ssl

        try:
            arguments["verify"] = ssl.create_default_context(cafile=network.ca_bundle)
        except (OSError, ssl.SSLError):
            raise InvalidField(
                f"ca_bundle: {network.ca_bundle} can't be read as PEM",
                hint="check the file, or remove it from the connection",
                metadata={"field": "ca_bundle"},
            ) from None
    return arguments


def _mounts(entry: str) -> tuple[str, ...]:
    host = entry.strip()
    if host == "*":
        return ("all://",)
    if host.startswith("."):
        return (f"all://*{host}",)
    if host.count(":") > 1 and not host.startswith("["):
        return (f"all://[{host}]",)
    return (f"all://{host}", f"all://*.{host}") if not host.replace(".", "").isdigit() else (f"all://{host}",)


def openai(connection: ResolvedConnection, async_client: bool = False) -> dict[str, Any]:
    """For `openai.OpenAI`, or `openai.AsyncOpenAI` if `async_client`.

    The two differ only if an HTTP client has to be made: for a proxy, a CA bundle, a key in another header.
    """
    headers: dict[str, Any] = openai_headers(connection)
    key = connection.api_key
    network = network_arguments(connection.network) | _unredirected(headers)
    if headers.get("Authorization") == f"Bearer {key}":
        del headers["Authorization"]
    elif "Authorization" not in headers and headers:
        # The SDK insists on this header, and a gateway that wants the key elsewhere refuses a wrong one.
        # Where nothing else is sent the placeholder does no harm, and no HTTP client has to be made.
        key = NO_KEY
        network["auth"] = _without_authorization
    for variable, name in _AMBIENT_ACCOUNT.items():
        if os.environ.get(variable) and not any(given.lower() == name.lower() for given in headers):
            from openai import Omit

            headers[name] = Omit()
    arguments: dict[str, Any] = {"api_key": key or NO_KEY, "base_url": openai_base(connection)}
    if headers:
        arguments["default_headers"] = headers
    if network:
        from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

        kind = DefaultAsyncHttpxClient if async_client else DefaultHttpxClient
        arguments["http_client"] = kind(**network)
    return arguments


def _unredirected(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an HTTP client that follows no redirect, where one would carry secrets to another host.

    The HTTP clients of the SDKs follow redirects, and take nothing but `Authorization` out of them.
    """
    return {"follow_redirects": False} if headers.keys() - {"Authorization"} else {}


def _without_authorization(request: Any) -> Any:
    del request.headers["Authorization"]
    return request


def anthropic(connection: ResolvedConnection, async_client: bool = False) -> dict[str, Any]:
    """For `anthropic.Anthropic`, or `anthropic.AsyncAnthropic` if `async_client`.

    Raises:
        InvalidField: the provider speaks no Anthropic dialect.
    """
    from anthropic import Omit

    headers: dict[str, Any] = wire_headers(connection)
    base = anthropic_base(connection)
    # SDK 1 sends `api_key` as x-api-key and SDK 2 as Bearer; the header that the daemon has tested is the one
    # that is sent, whichever SDK it is.
    if headers.get("Authorization") == f"Bearer {connection.api_key}":
        del headers["Authorization"]
        arguments: dict[str, Any] = {"auth_token": connection.api_key, "base_url": base}
    else:
        headers.setdefault("Authorization", Omit())
        headers.setdefault("X-Api-Key", Omit())
        arguments = {"api_key": connection.api_key or NO_KEY, "base_url": base}
    if headers:
        arguments["default_headers"] = headers
    network = network_arguments(connection.network) | _unredirected(wire_headers(connection))
    if network:
        from anthropic import DefaultAsyncHttpxClient, DefaultHttpxClient

        kind = DefaultAsyncHttpxClient if async_client else DefaultHttpxClient
        arguments["http_client"] = kind(**network)
    return arguments


def google(connection: ResolvedConnection) -> dict[str, Any]:
    """For `google.genai.Client`, which serves both sync and asyncio.

    Raises:
        InvalidField: the provider speaks no Gemini dialect.
    """
    headers = wire_headers(connection)
    key = headers.pop("X-Goog-Api-Key", "") or NO_KEY
    options: dict[str, Any] = {"base_url": google_base(connection), "api_version": "v1beta"}
    if headers:
        options["headers"] = headers
    network = network_arguments(connection.network) | _unredirected(wire_headers(connection))
    if network:
        options["client_args"] = dict(network)
        options["async_client_args"] = dict(network) | _without_aiohttp(network)
    # Without vertexai=False, GOOGLE_GENAI_USE_VERTEXAI would send the request to another service.
    return {"api_key": key, "vertexai": False, "http_options": options}


def _without_aiohttp(network: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps the SDK to httpx, where it would take aiohttp, which cannot be told to follow no redirect."""
    if importlib.util.find_spec("aiohttp") is None:
        return {}
    from google.genai import types as genai_types

    http: Any = getattr(genai_types, "httpx2", None) or importlib.import_module("httpx")
    return {"transport": http.AsyncHTTPTransport(verify=network.get("verify", True))}


def ollama(connection: ResolvedConnection) -> dict[str, Any]:
    """For `ollama.Client` and `ollama.AsyncClient`.

    Raises:
        InvalidField: the provider speaks no Ollama dialect.
    """
    headers = wire_headers(connection)
    if "Authorization" not in headers and os.environ.get("OLLAMA_API_KEY"):
        # The SDK would send the key of the variable to this host.
        headers["Authorization"] = f"Bearer {NO_KEY}"
    arguments: dict[str, Any] = {"host": ollama_base(connection), "follow_redirects": False}
    if headers:
        arguments["headers"] = headers
    return arguments | network_arguments(connection.network)
