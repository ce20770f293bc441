"""Which environment variables make a program use a connection, and which would lead it elsewhere?

One table. A key is set only together with the address in every spelling that the programs read, because a
program that reads the key and not the address sends it to the vendor's own host. What programs read was seen
on the wire or in their sources in November 2026 (docs/programs.md has the versions).
"""

import enum
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from nexo.connections import faces, proxies, run_marks
from nexo.connections.terms import AuthScheme, HealthState, Provider, ResolutionSource
from nexo.connections.values import frozen
from nexo_client import adapters
from nexo_client.types import Gateway, Headers, Health, NetworkProfile, ResolvedConnection


class Holds(enum.Enum):
    """What a variable says."""

    KEY = "the key"
    ADDRESS = "the address"
    HEADERS = "further headers"
    MODEL = "the model"
    QUIET = "no side traffic to the vendor's own host"
    VERSION = "the version in the path"


class When(enum.Enum):
    """For which connections a variable is set."""

    ALWAYS = "always"
    BEARER = "the key goes as Bearer"
    NOT_BEARER = "the key goes in a header of its own"
    VENDOR = "the address is the vendor's own"
    NOT_VENDOR = "the address is not the vendor's own"


Maker = Callable[[ResolvedConnection], str]


@frozen
class Variable:
    """One variable that programs read.

    Attributes:
        dialect: whose programs read it.
        make: its value; an empty one is left out.
    """

    name: str
    dialect: str
    holds: Holds
    make: Maker
    when: When = When.ALWAYS


def _key(connection: ResolvedConnection) -> str:
    return connection.api_key or adapters.NO_KEY


def _model(connection: ResolvedConnection) -> str:
    return connection.model


def _yes(_: ResolvedConnection) -> str:
    return "1"


def _lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def _openai_headers(connection: ResolvedConnection) -> str:
    headers = adapters.headers_of(connection, "openai")
    if headers.get("Authorization") == f"Bearer {connection.api_key}":
        del headers["Authorization"]
    return _lines(headers)


def _anthropic_headers(connection: ResolvedConnection) -> str:
    bearer = connection.auth_scheme is AuthScheme.BEARER
    carrier = "Authorization" if bearer else "X-Api-Key"
    headers = adapters.headers_of(connection, "anthropic")
    return _lines({name: value for name, value in headers.items() if name != carrier})


def _gemini_headers(connection: ResolvedConnection) -> str:
    headers = adapters.headers_of(connection, "google")
    return ", ".join(f"{name}:{value}" for name, value in headers.items() if name != "X-Goog-Api-Key")


def _gemini_base(connection: ResolvedConnection) -> str:
    return adapters.base_of(connection, "google") + "/v1beta"


def _litellm_model(connection: ResolvedConnection) -> str:
    prefix = {Provider.GOOGLE: "gemini"}.get(connection.provider, connection.provider.value)
    prefix = "openai" if connection.provider is Provider.CUSTOM else prefix
    return f"{prefix}/{connection.model}" if connection.model else ""


_openai_base, _anthropic_base, _google_base, _ollama_base = (
    partial(adapters.base_of, dialect=dialect) for dialect in faces.DIALECTS
)

VARIABLES = (
    # Most programs; LangChain, LlamaIndex, DSPy and aider; Open WebUI; Copilot CLI.
    Variable("OPENAI_API_KEY", "openai", Holds.KEY, _key),
    Variable("OPENAI_BASE_URL", "openai", Holds.ADDRESS, _openai_base),
    Variable("OPENAI_API_BASE", "openai", Holds.ADDRESS, _openai_base),
    Variable("OPENAI_API_BASE_URL", "openai", Holds.ADDRESS, _openai_base),
    Variable("COPILOT_PROVIDER_API_KEY", "openai", Holds.KEY, _key),
    Variable("COPILOT_PROVIDER_BASE_URL", "openai", Holds.ADDRESS, _openai_base),
    Variable("OPENAI_CUSTOM_HEADERS", "openai", Holds.HEADERS, _openai_headers),
    Variable("OPENAI_MODEL", "openai", Holds.MODEL, _model),
    Variable("COPILOT_MODEL", "openai", Holds.MODEL, _model),
    Variable("OPENAI_AGENTS_DISABLE_TRACING", "openai", Holds.QUIET, _yes, When.NOT_VENDOR),
    # Claude Code asks the person about a key that it does not know, and not about a token.
    Variable("ANTHROPIC_AUTH_TOKEN", "anthropic", Holds.KEY, _key, When.BEARER),
    Variable("ANTHROPIC_API_KEY", "anthropic", Holds.KEY, _key, When.NOT_BEARER),
    Variable("ANTHROPIC_BASE_URL", "anthropic", Holds.ADDRESS, _anthropic_base),
    Variable("ANTHROPIC_API_URL", "anthropic", Holds.ADDRESS, _anthropic_base),  # LangChain
    Variable("ANTHROPIC_API_BASE", "anthropic", Holds.ADDRESS, _anthropic_base),  # LiteLLM
    Variable("ANTHROPIC_CUSTOM_HEADERS", "anthropic", Holds.HEADERS, _anthropic_headers),
    Variable("ANTHROPIC_MODEL", "anthropic", Holds.MODEL, _model),
    # Claude Code sends the key, and our headers, to api.anthropic.com beside the requests that count.
    Variable("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "anthropic", Holds.QUIET, _yes, When.NOT_VENDOR),
    Variable("GOOGLE_API_KEY", "google", Holds.KEY, _key),
    Variable("GEMINI_API_KEY", "google", Holds.KEY, _key),
    # Gemini CLI 0.61 refuses to start where this is set without a line in its settings.
    Variable("GOOGLE_GEMINI_BASE_URL", "google", Holds.ADDRESS, _google_base, When.NOT_VENDOR),
    Variable("GEMINI_API_BASE", "google", Holds.ADDRESS, _gemini_base),  # LiteLLM, DSPy, smolagents
    Variable("GOOGLE_GENAI_API_VERSION", "google", Holds.VERSION, lambda _: "v1beta"),
    Variable("GEMINI_CLI_CUSTOM_HEADERS", "google", Holds.HEADERS, _gemini_headers),
    Variable("GEMINI_MODEL", "google", Holds.MODEL, _model),
    # Their readers know no variable for the address (Vercel AI SDK, llm-gemini).
    Variable("GOOGLE_GENERATIVE_AI_API_KEY", "google", Holds.KEY, _key, When.VENDOR),
    Variable("LLM_GEMINI_KEY", "google", Holds.KEY, _key, When.VENDOR),
    Variable("OLLAMA_HOST", "ollama", Holds.ADDRESS, _ollama_base),
    Variable("OLLAMA_API_BASE", "ollama", Holds.ADDRESS, _ollama_base),  # LiteLLM, aider
    Variable("OLLAMA_API_KEY", "ollama", Holds.KEY, lambda connection: connection.api_key),
    Variable("AIDER_MODEL", "any", Holds.MODEL, _litellm_model),
)

_ACCOUNTS = (
    "OPENAI_ORG_ID",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT_ID",
    "OPENAI_ADMIN_KEY",
    "OPENAI_PROXY",  # LangChain sends request and key there
    "CODEX_API_KEY",
    "AZURE_API_KEY",
    "AZURE_API_BASE",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_OPENAI_ENDPOINT",
    "OPENAI_API_TYPE",
    "OPENAI_API_VERSION",
    "OPENROUTER_API_KEY",
    "AI_GATEWAY_API_KEY",
    "ANTHROPIC_OAUTH_TOKEN",
    "ANTHROPIC_UNIX_SOCKET",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_FOUNDRY_RESOURCE",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
    "AWS_BEARER_TOKEN_BEDROCK",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_DEFAULT_HEADERS",
    "GOOGLE_VERTEX_BASE_URL",
    "OLLAMA_BASE_URL",  # pydantic-ai wants /v1 at its end, LangChain.js must not have it
)
"""Variables that choose another account, service or way, and that no connection sets."""

RIVALS = tuple(dict.fromkeys((*(variable.name for variable in VARIABLES), *_ACCOUNTS)))
"""What a program that is to use a connection must not inherit."""

_VENDORS = {
    Provider.OPENAI: ("api.openai.com",),
    Provider.ANTHROPIC: ("api.anthropic.com",),
    Provider.GOOGLE: ("generativelanguage.googleapis.com",),
}

_DIALECTS = {
    Provider.OPENAI: ("openai",),
    Provider.CUSTOM: ("openai",),
    Provider.ANTHROPIC: ("anthropic",),
    Provider.GOOGLE: ("google",),
    Provider.OLLAMA: ("ollama", "openai"),
}


def is_vendors(connection: ResolvedConnection) -> bool:
    """Whether the address is the one that the vendor's own programs have built in."""
    parts = urlsplit(connection.base_url)
    return parts.scheme == "https" and parts.netloc in _VENDORS.get(connection.provider, ())


def of_connection(connection: ResolvedConnection, *, openai_face: bool = False) -> dict[str, str]:
    """The variables for a program that knows nothing of Nexo. Remove `RIVALS` from what it inherits first.

    Args:
        openai_face: set the OpenAI variables for a connection of Anthropic or Google, too. Programs that
            look for an OpenAI key first take it for one, and ask for models that are not there.
    """
    dialects = {*_DIALECTS[connection.provider], "any"} | ({"openai"} if openai_face else set())
    return _set(connection, dialects) | of_network(connection, os.environ)


def _set(connection: ResolvedConnection, dialects: Collection[str]) -> dict[str, str]:
    applying = [
        variable
        for variable in VARIABLES
        if variable.dialect in dialects and _applies(variable.when, connection)
    ]
    values = {variable.name: variable.make(connection) for variable in applying}
    return {name: value for name, value in values.items() if value}


_BEHIND_GATEWAY = {
    "openai": (Provider.CUSTOM, AuthScheme.BEARER),
    # Claude Code asks the person about a key that it does not know, and not about a token.
    "anthropic": (Provider.ANTHROPIC, AuthScheme.BEARER),
    "google": (Provider.GOOGLE, AuthScheme.X_GOOG_API_KEY),
    "ollama": (Provider.OLLAMA, AuthScheme.BEARER),
}

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def of_gateway(
    gateway: Gateway,
    token: str,
    provider: Provider,
    model: str,
    inherited: Mapping[str, str],
    *,
    openai_face: bool = False,
) -> dict[str, str]:
    """The variables for a program whose requests go through the gateway. Remove `RIVALS` first.

    A program holds the token in place of the key. The gateway uses the proxy and the certificates of the
    connection; the way to the gateway itself takes no proxy, which would see request and token.

    Args:
        provider, model: of the connection that the program begins with.
        inherited: what it would inherit; its list of hosts without a proxy is kept.
    """
    dialects = list(_DIALECTS[provider]) + (["openai"] if openai_face else [])
    variables: dict[str, str] = {}
    for number, dialect in enumerate(dict.fromkeys(dialects)):
        local = _local(gateway, dialect, token, model)
        of_dialect = {dialect, "any"} if number == 0 else {dialect}
        variables |= _set(local, of_dialect)
    bypass = [*_listed(inherited.get("NO_PROXY")), *_listed(inherited.get("no_proxy")), *_LOOPBACK]
    variables["NO_PROXY"] = variables["no_proxy"] = ",".join(dict.fromkeys(bypass))
    return variables


def _local(gateway: Gateway, dialect: str, token: str, model: str) -> ResolvedConnection:
    """The gateway as a connection."""
    provider, scheme = _BEHIND_GATEWAY[dialect]
    # Not every client of Ollama sends a key, so the token is in the address.
    url = gateway.base_url(dialect, token if dialect == "ollama" else "")
    return ResolvedConnection(
        connection_id="",
        name="",
        provider=provider,
        preset="",
        base_url=url,
        auth_scheme=scheme,
        api_key=token,
        headers=Headers(),
        model=model,
        network=NetworkProfile(),
        source=ResolutionSource.DEFAULT,
        source_detail="",
        revision=0,
        health=Health(HealthState.UNKNOWN),
    )


def _listed(no_proxy: str | None) -> list[str]:
    return (no_proxy or "").replace(",", " ").split()


def _applies(when: When, connection: ResolvedConnection) -> bool:
    match when:
        case When.BEARER:
            return connection.auth_scheme is AuthScheme.BEARER
        case When.NOT_BEARER:
            return connection.auth_scheme is not AuthScheme.BEARER
        case When.VENDOR:
            return is_vendors(connection)
        case When.NOT_VENDOR:
            return not is_vendors(connection)
        case When.ALWAYS:
            return True


def of_network(connection: ResolvedConnection, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that HTTP libraries read, for a proxy and a certificate bundle.

    Where the host takes no proxy, the list names it: not every library reads the other entries as we do.

    Args:
        environment: what a system proxy is read from.
    """
    network = connection.network
    variables: dict[str, str] = {}
    system = proxies.system_proxies(run_marks.outside(environment))
    destination = proxies.destination(connection.base_url)
    said = network.proxy or proxies.SYSTEM
    proxy = proxies.proxy_for(*destination, proxy=said, no_proxy=network.no_proxy, system=system)
    direct = destination[1] if proxy is None else ""
    if network.proxy == "direct":
        variables["NO_PROXY"] = variables["no_proxy"] = "*"
    elif network.proxy not in ("", "system"):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            variables[name] = variables[name.lower()] = network.proxy
        # Set even if empty: the inherited list belongs to the inherited proxy.
        variables["NO_PROXY"] = variables["no_proxy"] = _list(network.no_proxy, direct)
    elif system.urls and direct and "*" not in system.bypass and direct not in system.bypass:
        variables["NO_PROXY"] = variables["no_proxy"] = _list(system.bypass, direct)
    if network.ca_bundle:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            variables[name] = network.ca_bundle
    return variables


def _list(entries: Sequence[str], host: str) -> str:
    return ",".join([*entries, *([host] if host and host not in entries else [])])


def not_carried(connection: ResolvedConnection) -> tuple[str, ...]:
    """What of the connection some programs do not get through variables, in words for a person."""
    told = []
    if connection.headers:
        told.append(f"the header {', '.join(connection.headers)}")
    if connection.auth_scheme is AuthScheme.API_KEY:
        told.append("the key in the header Api-Key (they send it as Bearer, too)")
    return tuple(told)
