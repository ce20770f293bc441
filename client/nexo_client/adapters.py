"""How a hand-out is spelled for the official SDKs. For the environment of a program: `variables`.

Pure: nothing is sent, and an SDK is imported only where one of its own objects has to be passed. What each
SDK makes of a base URL was seen on the wire in November 2026 (openai 3.54, anthropic 2.12, google-genai 3.4,
ollama 0.6); tests/thirdparty repeats it. An SDK also reads its own variables, so that everything that an
ambient variable could replace is given explicitly.
"""

import importlib
import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nexo.connections import faces, proxies, run_marks
from nexo_client.errors import InvalidField
from nexo_client.types import ResolvedConnection

NO_KEY = "no-key-needed"
"""Stands in where an SDK refuses an empty key; the header that would carry it is left out."""

CREDENTIAL_HEADERS = faces.CREDENTIAL_HEADERS

# Of an account, not of a service: the variable of one account would be sent with the key of another.
_AMBIENT_ACCOUNT = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


def headers_of(connection: ResolvedConnection, dialect: str) -> dict[str, str]:
    """Every header that a request of this dialect carries: the key's, then the custom ones, which win."""
    scheme = faces.scheme_of(dialect, connection.provider, connection.auth_scheme)
    return faces.headers(scheme, connection.api_key, connection.headers.items())


def base_of(connection: ResolvedConnection, dialect: str) -> str:
    """The URL in front of the paths of this dialect, of the provider's own OpenAI face where it has one.

    These are `/chat/completions` of "openai", `/v1/messages` of "anthropic", `/v1beta/models` of "google" and
    `/api/chat` of "ollama".

    Raises:
        InvalidField: the provider has no such face.
    """
    providers = faces.PROVIDERS[dialect]
    if connection.provider not in providers:
        raise InvalidField(
            f"provider: connection '{connection.name}' is of provider {connection.provider}, "
            f"which the {dialect} SDK can't talk to",
            hint=f"choose a connection of provider {' or '.join(providers)}, or call .openai()",
            metadata={"field": "provider"},
        )
    return faces.base_url(dialect, connection.provider, connection.base_url)


def network_arguments(connection: ResolvedConnection) -> dict[str, Any]:
    """Arguments of an httpx client that talks to this connection's host; empty if its defaults do the same.

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
        # The variables here are those of the connection that `nexoctl run` was given.
        arguments["trust_env"] = False
        ca_bundle = ca_bundle or environment.get("SSL_CERT_FILE", "")
    elif _read_alike(system.bypass) and (url or not proxies.is_loopback(host) or host in system.bypass):
        arguments = {}
    elif system.urls and url is None:
        # None is httpx's word for "no proxy here".
        arguments["mounts"] = dict.fromkeys(("all://", "http://", "https://"))
    if ca_bundle:
        import ssl

        try:
            arguments["verify"] = ssl.create_default_context(cafile=ca_bundle)
        except (OSError, ssl.SSLError):
            raise InvalidField(
                f"ca_bundle: {ca_bundle} can't be read as PEM",
                hint="check the file, or remove it from the connection",
                metadata={"field": "ca_bundle"},
            ) from None
    return arguments


_PLAIN = re.compile(r"\*|::1|[\w-]+(\.[\w-]+)*")


def _read_alike(no_proxy: Sequence[str]) -> bool:
    """Whether httpx reads the list as we do: names and addresses, no networks, ports or dots in front."""
    return all(_PLAIN.fullmatch(entry) for entry in no_proxy)


def openai(connection: ResolvedConnection, async_client: bool = False) -> dict[str, Any]:
    """For `openai.OpenAI`, or `openai.AsyncOpenAI` if `async_client`.

    The two differ only if an HTTP client has to be made: for a proxy, a CA bundle, a key in another header.
    """
    headers: dict[str, Any] = headers_of(connection, "openai")
    key = connection.api_key
    network = network_arguments(connection) | _unredirected(headers)
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
    arguments: dict[str, Any] = {"api_key": key or NO_KEY, "base_url": base_of(connection, "openai")}
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

    headers: dict[str, Any] = headers_of(connection, "anthropic")
    base = base_of(connection, "anthropic")
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
    network = network_arguments(connection) | _unredirected(headers_of(connection, "anthropic"))
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
    headers = headers_of(connection, "ollama")
    if "Authorization" not in headers and os.environ.get("OLLAMA_API_KEY"):
        # The SDK would send the key of the variable to this host.
        headers["Authorization"] = f"Bearer {NO_KEY}"
    arguments: dict[str, Any] = {"host": base_of(connection, "ollama"), "follow_redirects": False}
    if headers:
        arguments["headers"] = headers
    return arguments | network_arguments(connection)
