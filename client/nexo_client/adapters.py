"""Converts a resolved connection into keyword arguments for the official SDKs.

Nothing is sent, and an SDK is imported only if one of its objects has to be passed. The URLs that each SDK
makes from a base URL were observed in November 2026 (openai 3.54, anthropic 2.12, google-genai 3.4, ollama
0.6); tests/thirdparty checks them. SDKs also read environment variables, so every argument that a variable
could replace is given explicitly. `variables` sets the environment of a program.
"""

import importlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nexo.connections import faces, proxies, run_marks
from nexo_client.errors import InvalidField
from nexo_client.types import ResolvedConnection

NO_KEY = "no-key-needed"
"""Placeholder for SDKs that refuse an empty key; the header that would carry it is left out."""

CREDENTIAL_HEADERS = faces.CREDENTIAL_HEADERS

# These variables select an account. They would be sent with the key of another account.
_AMBIENT_ACCOUNT = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


_PACKAGES = {"google.genai": "google-genai"}
"""Packages with another name than their module."""


@contextmanager
def needed(module: str) -> Iterator[None]:
    """Around the import of an SDK.

    Raises:
        ImportError: it is not installed; the message says which package to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        package = _PACKAGES.get(module, module)
        raise ModuleNotFoundError(
            f"the package {package} is not installed; install it with: pip install {package}", name=module
        ) from None


def headers_of(connection: ResolvedConnection, dialect: str) -> dict[str, str]:
    """All headers for a request in this dialect: the one with the key, and the custom headers, which win."""
    scheme = faces.scheme_of(dialect, connection.provider, connection.auth_scheme)
    return faces.headers(scheme, connection.api_key, connection.headers.items())


def base_of(connection: ResolvedConnection, dialect: str) -> str:
    """The base URL to which the paths of this dialect are appended.

    Such paths are `/chat/completions` for "openai", `/v1/messages` for "anthropic", `/v1beta/models` for
    "google" and `/api/chat` for "ollama". For "openai" it is the provider's OpenAI-compatible API.

    Raises:
        InvalidField: the provider does not support the dialect, or there is no such dialect.
    """
    faces.check_dialect(dialect)
    providers = faces.PROVIDERS[dialect]
    if connection.provider not in providers:
        raise InvalidField(
            f"provider: connection '{connection.name}' is of provider {connection.provider}, "
            f"which the {dialect} SDK does not support",
            hint=f"choose a connection of provider {' or '.join(providers)}, or call .openai()",
            metadata={"field": "provider"},
        )
    return faces.base_url(dialect, connection.provider, connection.base_url)


def network_arguments(connection: ResolvedConnection) -> dict[str, Any]:
    """Arguments for an httpx client that uses this connection's proxy and CA bundle; empty for the defaults.

    Raises:
        InvalidField: the CA bundle cannot be read.
    """
    network = connection.network
    environment = run_marks.outside(os.environ)
    system = proxies.system_proxies(environment)
    scheme, host, port = proxies.destination(connection.base_url)
    url = proxies.proxy_for(
        *(scheme, host, port),
        proxy=network.proxy or proxies.SYSTEM,
        no_proxy=network.no_proxy,
        system=system,
    )
    arguments: dict[str, Any] = {} if url is None else {"proxy": url}
    ca_bundle = network.ca_bundle
    if network.proxy not in ("", proxies.SYSTEM):
        arguments["trust_env"] = False
    elif environment != os.environ:
        # `nexoctl run` has set these variables for another connection.
        arguments["trust_env"] = False
        ca_bundle = ca_bundle or environment.get("SSL_CERT_FILE", "")
    elif _read_alike(system.bypass) and (url or not proxies.is_loopback(host) or host in system.bypass):
        arguments = {}
    elif system.urls and url is None:
        # In httpx, None means "no proxy".
        arguments["mounts"] = dict.fromkeys(("all://", "http://", "https://"))
    if ca_bundle:
        import ssl

        try:
            arguments["verify"] = ssl.create_default_context(cafile=ca_bundle)
        except (OSError, ssl.SSLError):
            raise InvalidField.of(
                "ca_bundle",
                f"{ca_bundle} is not a readable PEM file",
                "check the file, or remove it from the connection",
            ) from None
    return arguments


_PLAIN = re.compile(r"\*|::1|[\w-]+(\.[\w-]+)*")


def _read_alike(no_proxy: Sequence[str]) -> bool:
    """Whether httpx interprets the list as we do: it has no networks, ports or leading dots."""
    return all(_PLAIN.fullmatch(entry) for entry in no_proxy)


def openai(connection: ResolvedConnection, async_client: bool = False) -> dict[str, Any]:
    """Keyword arguments for `openai.OpenAI`, or for `openai.AsyncOpenAI` if `async_client`.

    They differ only if an HTTP client is needed: for a proxy, a CA bundle, or a key in another header.

    Raises:
        ImportError: an object of the SDK is needed, and it is not installed.
    """
    headers: dict[str, Any] = headers_of(connection, "openai")
    key = connection.api_key
    network = network_arguments(connection) | _unredirected(headers)
    if headers.get("Authorization") == f"Bearer {key}":
        del headers["Authorization"]
    elif "Authorization" not in headers and headers:
        # The SDK always sends this header, and a server that expects the key in another one may refuse it.
        # Without other headers the placeholder does no harm, and no HTTP client is needed.
        key = NO_KEY
        network["auth"] = _without_authorization
    for variable, name in _AMBIENT_ACCOUNT.items():
        if os.environ.get(variable) and not any(given.lower() == name.lower() for given in headers):
            with needed("openai"):
                from openai import Omit

            headers[name] = Omit()
    arguments: dict[str, Any] = {"api_key": key or NO_KEY, "base_url": base_of(connection, "openai")}
    if headers:
        arguments["default_headers"] = headers
    if network:
        with needed("openai"):
            from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

        kind = DefaultAsyncHttpxClient if async_client else DefaultHttpxClient
        arguments["http_client"] = kind(**network)
    return arguments


def _unredirected(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that disable redirects if there are secret headers besides `Authorization`.

    The HTTP clients of the SDKs follow redirects to other hosts, and remove only `Authorization`.
    """
    return {"follow_redirects": False} if headers.keys() - {"Authorization"} else {}


def _without_authorization(request: Any) -> Any:
    del request.headers["Authorization"]
    return request


def anthropic(connection: ResolvedConnection, async_client: bool = False) -> dict[str, Any]:
    """Keyword arguments for `anthropic.Anthropic`, or for `anthropic.AsyncAnthropic` if `async_client`.

    Raises:
        InvalidField: the provider does not support the Anthropic dialect.
        ImportError: the SDK is not installed.
    """
    headers: dict[str, Any] = headers_of(connection, "anthropic")
    base = base_of(connection, "anthropic")
    with needed("anthropic"):
        from anthropic import Omit

    # SDK 1 sends `api_key` as x-api-key, SDK 2 as Bearer. Both must send the header that the daemon tested.
    if headers.get("Authorization") == f"Bearer {connection.api_key}":
        del headers["Authorization"]
        arguments: dict[str, Any] = {"auth_token": connection.api_key, "base_url": base}
    else:
        headers.setdefault("Authorization", Omit())
        headers.setdefault("X-Api-Key", Omit())
        arguments = {"api_key": connection.api_key or NO_KEY, "base_url": base}
    if headers:
        arguments["default_headers"] = headers
    network = network_arguments(connection) | _unredirected(headers_of(connection, "anthropic"))
    if network:
        from anthropic import DefaultAsyncHttpxClient, DefaultHttpxClient

        kind = DefaultAsyncHttpxClient if async_client else DefaultHttpxClient
        arguments["http_client"] = kind(**network)
    return arguments


def google(connection: ResolvedConnection) -> dict[str, Any]:
    """Keyword arguments for `google.genai.Client`, which has a synchronous and an asyncio API.

    Raises:
        InvalidField: the provider does not support the Gemini dialect.
    """
    headers = headers_of(connection, "google")
    key = headers.pop("X-Goog-Api-Key", "") or NO_KEY
    options: dict[str, Any] = {"base_url": base_of(connection, "google"), "api_version": "v1beta"}
    if headers:
        options["headers"] = headers
    network = network_arguments(connection) | _unredirected(headers_of(connection, "google"))
    if network:
        options["client_args"] = dict(network)
        options["async_client_args"] = dict(network) | _without_aiohttp(network)
    # Without vertexai=False, GOOGLE_GENAI_USE_VERTEXAI would send the request to another service.
    return {"api_key": key, "vertexai": False, "http_options": options}


def _without_aiohttp(network: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that make the SDK use httpx instead of aiohttp, in which redirects cannot be disabled."""
    if importlib.util.find_spec("aiohttp") is None:
        return {}
    from google.genai import types as genai_types

    http: Any = getattr(genai_types, "httpx2", None) or importlib.import_module("httpx")
    return {"transport": http.AsyncHTTPTransport(verify=network.get("verify", True))}


def ollama(connection: ResolvedConnection) -> dict[str, Any]:
    """Keyword arguments for `ollama.Client` and `ollama.AsyncClient`.

    Raises:
        InvalidField: the provider does not support the Ollama dialect.
    """
    headers = headers_of(connection, "ollama")
    if "Authorization" not in headers and os.environ.get("OLLAMA_API_KEY"):
        # Otherwise the SDK would send the key in that variable to this host.
        headers["Authorization"] = f"Bearer {NO_KEY}"
    arguments: dict[str, Any] = {"host": base_of(connection, "ollama"), "follow_redirects": False}
    if headers:
        arguments["headers"] = headers
    return arguments | network_arguments(connection)
