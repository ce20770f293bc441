"""The environment variables that make programs use a connection, and those that have to be removed.

A key is set only together with the address, under every name that programs read, because a program that reads
only the key sends it to the vendor's own host. The variables were found in programs' sources and traffic in
November 2026 (docs/programs.md lists the versions).
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


class Role(enum.Enum):
    """The meaning of a variable."""

    KEY = "the key"
    ADDRESS = "the address"
    HEADERS = "further headers"
    MODEL = "the model"
    QUIET = "no additional traffic to the vendor's own host"
    VERSION = "the version in the path"


class When(enum.Enum):
    """The connections for which a variable is set."""

    ALWAYS = "always"
    BEARER = "the key is sent as Bearer"
    NOT_BEARER = "the key is sent in another header"
    VENDOR = "the address is the vendor's own"
    NOT_VENDOR = "the address is not the vendor's own"


Maker = Callable[[ResolvedConnection], str]


@frozen
class Variable:
    """One variable that programs read.

    Attributes:
        dialect: the dialect of the programs that read it.
        make: returns its value; the variable is not set if the value is empty.
    """

    name: str
    dialect: str
    role: Role
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
    # In this order: most programs; LangChain, LlamaIndex, DSPy and aider; Open WebUI and fabric; Crush;
    # Copilot CLI.
    Variable("OPENAI_API_KEY", "openai", Role.KEY, _key),
    Variable("OPENAI_BASE_URL", "openai", Role.ADDRESS, _openai_base),
    Variable("OPENAI_API_BASE", "openai", Role.ADDRESS, _openai_base),
    Variable("OPENAI_API_BASE_URL", "openai", Role.ADDRESS, _openai_base),
    Variable("OPENAI_API_ENDPOINT", "openai", Role.ADDRESS, _openai_base),
    Variable("COPILOT_PROVIDER_API_KEY", "openai", Role.KEY, _key),
    Variable("COPILOT_PROVIDER_BASE_URL", "openai", Role.ADDRESS, _openai_base),
    Variable("OPENAI_CUSTOM_HEADERS", "openai", Role.HEADERS, _openai_headers),
    Variable("OPENAI_MODEL", "openai", Role.MODEL, _model),
    Variable("COPILOT_MODEL", "openai", Role.MODEL, _model),
    Variable("OPENAI_AGENTS_DISABLE_TRACING", "openai", Role.QUIET, _yes, When.NOT_VENDOR),
    # Claude Code asks for confirmation of an unknown key, but not of a token.
    Variable("ANTHROPIC_AUTH_TOKEN", "anthropic", Role.KEY, _key, When.BEARER),
    Variable("ANTHROPIC_API_KEY", "anthropic", Role.KEY, _key, When.NOT_BEARER),
    Variable("ANTHROPIC_BASE_URL", "anthropic", Role.ADDRESS, _anthropic_base),
    Variable("ANTHROPIC_API_URL", "anthropic", Role.ADDRESS, _anthropic_base),  # LangChain
    Variable("ANTHROPIC_API_BASE", "anthropic", Role.ADDRESS, _anthropic_base),  # LiteLLM
    Variable("ANTHROPIC_API_BASE_URL", "anthropic", Role.ADDRESS, _anthropic_base),  # fabric
    Variable("ANTHROPIC_API_ENDPOINT", "anthropic", Role.ADDRESS, _anthropic_base),  # Crush
    Variable("ANTHROPIC_HOST", "anthropic", Role.ADDRESS, _anthropic_base),  # goose
    Variable("ANTHROPIC_CUSTOM_HEADERS", "anthropic", Role.HEADERS, _anthropic_headers),
    Variable("ANTHROPIC_MODEL", "anthropic", Role.MODEL, _model),
    # Otherwise Claude Code also sends the key and the headers to api.anthropic.com.
    Variable("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "anthropic", Role.QUIET, _yes, When.NOT_VENDOR),
    Variable("GOOGLE_API_KEY", "google", Role.KEY, _key),
    Variable("GEMINI_API_KEY", "google", Role.KEY, _key),
    # Gemini CLI 0.61 refuses to start if this is set and a line in its settings is missing.
    Variable("GOOGLE_GEMINI_BASE_URL", "google", Role.ADDRESS, _google_base, When.NOT_VENDOR),
    Variable("GEMINI_API_BASE", "google", Role.ADDRESS, _gemini_base),  # LiteLLM, DSPy, smolagents
    Variable("GEMINI_API_ENDPOINT", "google", Role.ADDRESS, _google_base),  # Crush
    Variable("GOOGLE_HOST", "google", Role.ADDRESS, _google_base),  # goose
    Variable("GOOGLE_GENAI_API_VERSION", "google", Role.VERSION, lambda _: "v1beta"),
    Variable("GEMINI_CLI_CUSTOM_HEADERS", "google", Role.HEADERS, _gemini_headers),
    Variable("GEMINI_MODEL", "google", Role.MODEL, _model),
    # The programs that read these have no variable for the address (Vercel AI SDK, llm-gemini).
    Variable("GOOGLE_GENERATIVE_AI_API_KEY", "google", Role.KEY, _key, When.VENDOR),
    Variable("LLM_GEMINI_KEY", "google", Role.KEY, _key, When.VENDOR),
    Variable("OLLAMA_HOST", "ollama", Role.ADDRESS, _ollama_base),
    Variable("OLLAMA_API_BASE", "ollama", Role.ADDRESS, _ollama_base),  # LiteLLM, aider
    Variable("OLLAMA_API_KEY", "ollama", Role.KEY, lambda connection: connection.api_key),
    Variable("AIDER_MODEL", "any", Role.MODEL, _litellm_model),
)

_ACCOUNTS = (
    "OPENAI_ORG_ID",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT_ID",
    "OPENAI_ADMIN_KEY",
    "OPENAI_PROXY",  # LangChain sends requests with the key through it
    "OPENAI_HOST",  # goose prefers it to OPENAI_BASE_URL, and appends OPENAI_BASE_PATH
    "OPENAI_BASE_PATH",
    "LLM_PROXY_URL",  # gptme sends the key there
    "LLM_PROXY_API_KEY",
    "AIDER_API_KEY",
    "AIDER_SET_ENV",
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
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_VERTEX",
    "AWS_BEARER_TOKEN_BEDROCK",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_DEFAULT_HEADERS",
    "GOOGLE_VERTEX_BASE_URL",
    "OLLAMA_BASE_URL",  # pydantic-ai wants /v1 at its end, LangChain.js must not have it
)
"""Variables that select another account, service or proxy, and that no connection sets."""

_PREFIXED = tuple(
    prefix + variable.name
    for prefix in ("AIDER_", "CRUSH_", "GPTME_")
    for variable in VARIABLES
    if variable.role in (Role.KEY, Role.ADDRESS)
)
"""aider, Crush and gptme prefer a variable with their own prefix."""

RIVALS = tuple(dict.fromkeys((*(variable.name for variable in VARIABLES), *_ACCOUNTS, *_PREFIXED)))
"""The variables that a program must not inherit if it is to use a connection."""

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
    """Whether the address is the default of the vendor's own programs."""
    parts = urlsplit(connection.base_url)
    return parts.scheme == "https" and parts.netloc in _VENDORS.get(connection.provider, ())


def of_connection(connection: ResolvedConnection, *, openai_face: bool) -> dict[str, str]:
    """The variables for a program that does not know Nexo. Remove `RIVALS` from its environment first.

    Args:
        openai_face: also set OpenAI's variables for a connection to Anthropic or Google. Not the default,
            because programs that prefer an OpenAI key then request OpenAI's models there.
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
    # Claude Code asks for confirmation of an unknown key, but not of a token.
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

    The program gets the token instead of the key. The gateway uses the proxy and the certificates of the
    connection. Requests to the gateway itself bypass proxies, which would see the token.

    Args:
        provider, model: those of the connection that the program starts with.
        inherited: the environment of the program; its list of hosts without a proxy is kept.
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
    """A connection to the gateway."""
    provider, scheme = _BEHIND_GATEWAY[dialect]
    # Not every Ollama client sends a key, so the token is part of the address.
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
    """The variables that HTTP libraries read: the proxy, the hosts without a proxy, the CA bundle.

    If the connection's host needs no proxy, the list contains that host itself, because libraries interpret
    other entries differently.

    Args:
        environment: the variables from which the system proxy is read.
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
        # Set even if empty, because an inherited list belongs to an inherited proxy.
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
    """The parts of the connection that some programs do not get through variables, described for the user."""
    told = []
    if connection.headers:
        told.append(f"the header {', '.join(connection.headers)}")
    if connection.auth_scheme is AuthScheme.API_KEY:
        told.append("the key in the header Api-Key (they also send it as Bearer)")
    return tuple(told)
