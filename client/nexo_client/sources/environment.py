"""The variables that the official SDKs read, in this shell or in any table of variables.

Source: providers' SDKs (openai, anthropic, google-genai, ollama) and what aider and LiteLLM document for the
services that speak the OpenAI dialect.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from nexo_client.sources import keys, reading, services
from nexo_client.sources.finding import Finding, Found, Skipped
from nexo_client.terms import AuthScheme, Provider
from nexo_client.types import Header

PLACE = "environment"

_SPECIAL = ("openai", "anthropic", "google", "azure")
_ADDRESS = re.compile(r"BASE|URL|URI|HOST|ENDPOINT|PROXY")
# Of a server of one's own, of other clouds: not where that key goes.
_NO_ADDRESS = (
    "OLLAMA_HOST",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
)
_OPENAI_ADDRESSES = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_BASE_URL")
_ANTHROPIC_ADDRESSES = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE")
_GOOGLE_PREFIXES = ("GEMINI_", "GOOGLE_GEMINI_", "GOOGLE_GENAI_", "GOOGLE_API_")
_GOOGLE_ADDRESSES = ("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL", "GEMINI_API_BASE")


def find() -> Found:
    """What the variables of this shell say."""
    return from_variables(reading.environment(), PLACE)


def from_variables(variables: Mapping[str, str], place: str) -> Found:
    """What a table of variables says.

    A program that reads its own table reads the shell as well, so an address that only the shell has counts.
    """
    variables = {**_addresses_of_shell(variables), **variables}
    found = _openai(variables, place) + _anthropic(variables, place) + _google(variables, place)
    found += _azure(variables, place) + _remote_ollama(variables, place)
    for service in services.SERVICES:
        if service.name in _SPECIAL:
            continue
        variable = _first(variables, service.variables)
        if variable:
            found += _service(service, variable, variables, place)
    return found


def _addresses_of_shell(variables: Mapping[str, str]) -> dict[str, str]:
    """The shell's addresses for the keys of a table that has no address for them."""
    found: dict[str, str] = {}
    shell = reading.environment()
    for service in services.SERVICES:
        for variable in service.variables:
            prefixes = _prefixes(variable)
            if not variables.get(variable, "").strip() or _other_address(variables, prefixes, ()):
                continue
            for name in shell:
                if any(_other_address({name: shell[name]}, [prefix], ()) for prefix in prefixes):
                    found[name] = shell[name]
    return found


def address_of(service: services.Service, variables: Mapping[str, str]) -> str:
    """A variable that says where the key of this service goes, in whatever name; empty if there is none."""
    prefixes = [prefix for variable in service.variables for prefix in _prefixes(variable)]
    return _other_address(variables, prefixes, ())


def _prefixes(variable: str) -> tuple[str, ...]:
    """MISTRAL_ of MISTRAL_API_KEY."""
    if variable in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        # Not all of GOOGLE_: a redirect of its logins is no address of the API.
        return _GOOGLE_PREFIXES
    return (re.sub(r"(_OPENAI)?(_API|_AUTH)?_(KEY|TOKEN)$", "", variable) + "_",)


def _service(service: services.Service, variable: str, variables: Mapping[str, str], place: str) -> Found:
    (prefix,) = _prefixes(variable)
    names = [prefix + rest for rest in ("BASE_URL", "API_BASE", "API_BASE_URL")]
    provider, preset, base_url, name = service.provider, service.preset, "", service.name
    address = _first(variables, tuple(names))
    if address:
        provider, preset, base_url, name = openai_like(variables[address])
    other = _other_address(variables, [prefix], names)
    if other and not address:
        return _half(name, f"{place}: {variable}", other)
    finding = Finding(
        name=name, place=f"{place}: {variable}", provider=provider, preset=preset, base_url=base_url
    )
    return one(finding, variables[variable], variables)


def _other_address(variables: Mapping[str, str], prefixes: Iterable[str], known: Iterable[str]) -> str:
    """A variable that says where the key goes, in a name that no SDK has: it is not for the public host."""
    return next(
        (
            name
            for prefix in prefixes
            for name, value in variables.items()
            if name.startswith(prefix)
            and _ADDRESS.search(name.removeprefix(prefix))
            and value.strip()
            and name not in (*known, *_NO_ADDRESS)
        ),
        "",
    )


def _half(name: str, place: str, other: str) -> Found:
    reason = f"{other} beside it says where it goes, which Nexo does not read; add it with --base-url"
    return Found((), (Skipped(name, place, reason),))


def one(
    finding: Finding, key_text: str, variables: Mapping[str, str], *, needs_key: bool = True, what: str = ""
) -> Found:
    """The finding with its key, or the reason why not.

    Args:
        what: its name in the source, for the reason.
    """
    key = keys.read(key_text, variables)
    problem = key.problem
    if services.holds_password(finding.base_url):
        # Not shown: the address is in what is said of a finding.
        problem = "its address holds a user name or password; give the key as the API key or a header"
    headers = []
    for header in finding.headers:
        value, missing = keys.filled(header.value, variables)
        headers.append(Header(header.name, value))
        if missing:
            problem = problem or f"its header {header.name} needs {keys.absent(missing[0], variables)}"
    if not problem and not key.value and needs_key and not services.is_local(finding.address):
        problem = "it has no key"
    if problem:
        return Found((), (Skipped(what or finding.name, finding.place, problem),))
    return Found((replace(finding, api_key=key.value, headers=tuple(headers)),))


def openai_like(url: str) -> tuple[Provider, str, str, str]:
    """Provider, preset, base URL and name for an address of the OpenAI dialect; the URL may be empty."""
    url = services.normal_base_url(Provider.CUSTOM, url)
    service = services.by_address(url) if url else services.by_name("openai")
    if service is None:
        return (Provider.CUSTOM, "", url, name_of_address(url))
    if service.provider not in (Provider.OPENAI, Provider.CUSTOM):
        # The OpenAI face of a provider that has its own dialect, too.
        return (Provider.CUSTOM, "", url, f"{service.name}-openai")
    base_url = "" if url == service.base_url else url
    return (service.provider, service.preset, base_url, service.name)


def headers_of(text: str) -> tuple[Header, ...]:
    """`Name: value` lines, as OPENAI_CUSTOM_HEADERS and ANTHROPIC_CUSTOM_HEADERS hold them."""
    pairs = (line.partition(":") for line in text.splitlines())
    return tuple(
        Header(name.strip(), value.strip()) for name, colon, value in pairs if colon and name.strip()
    )


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((name for name in names if variables.get(name, "").strip()), "")


def _openai(variables: Mapping[str, str], place: str) -> Found:
    address = _first(variables, _OPENAI_ADDRESSES)
    variable = _first(variables, ("OPENAI_API_KEY",))
    if not address and not variable:
        return Found()
    provider, preset, base_url, name = openai_like(variables.get(address, ""))
    other = _other_address(variables, ["OPENAI_"], _OPENAI_ADDRESSES)
    if other and not address:
        return _half(name, f"{place}: {variable}", other)
    headers = headers_of(variables.get("OPENAI_CUSTOM_HEADERS", ""))
    for other, header in (("OPENAI_ORG_ID", "OpenAI-Organization"), ("OPENAI_PROJECT_ID", "OpenAI-Project")):
        if provider is Provider.OPENAI and variables.get(other, "").strip():
            headers += (Header(header, variables[other].strip()),)
    finding = Finding(
        name=name,
        place=f"{place}: {variable or address}",
        provider=provider,
        preset=preset,
        base_url=base_url,
        headers=headers,
        model=variables.get("OPENAI_MODEL", "").strip(),
    )
    return one(finding, variables.get(variable, ""), variables)


def _anthropic(variables: Mapping[str, str], place: str) -> Found:
    variable = _first(variables, ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    address = _first(variables, _ANTHROPIC_ADDRESSES)
    url = variables.get(address, "").strip()
    if not variable and not url:
        return Found()
    other = _other_address(variables, ["ANTHROPIC_"], _ANTHROPIC_ADDRESSES)
    if other and not url:
        return _half("anthropic", f"{place}: {variable}", other)
    base_url = services.normal_base_url(Provider.ANTHROPIC, url)
    own = base_url in ("", services.default_base_url(Provider.ANTHROPIC, ""))
    finding = Finding(
        name="anthropic" if own else name_of_address(base_url),
        place=f"{place}: {variable or 'ANTHROPIC_BASE_URL'}",
        provider=Provider.ANTHROPIC,
        base_url="" if own else base_url,
        auth_scheme=AuthScheme.BEARER if variable == "ANTHROPIC_AUTH_TOKEN" else None,
        headers=headers_of(variables.get("ANTHROPIC_CUSTOM_HEADERS", "")),
        model=services.whole_model(variables.get("ANTHROPIC_MODEL", "")),
    )
    return one(finding, variables.get(variable, ""), variables)


def _google(variables: Mapping[str, str], place: str) -> Found:
    variable = _first(variables, ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"))
    if not variable:
        return Found()
    address = _first(variables, _GOOGLE_ADDRESSES)
    other = _other_address(variables, _GOOGLE_PREFIXES, _GOOGLE_ADDRESSES)
    if other and not address:
        return _half("google", f"{place}: {variable}", other)
    base_url = services.normal_base_url(Provider.GOOGLE, variables.get(address, ""))
    own = base_url in ("", services.default_base_url(Provider.GOOGLE, ""))
    finding = Finding(
        name="google" if own else name_of_address(base_url),
        place=f"{place}: {variable}",
        provider=Provider.GOOGLE,
        base_url="" if own else base_url,
        model=variables.get("GEMINI_MODEL", "").strip(),
    )
    return one(finding, variables[variable], variables)


def _azure(variables: Mapping[str, str], place: str) -> Found:
    variable = _first(variables, ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"))
    if not variable:
        return Found()
    endpoint = _first(variables, ("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"))
    place = f"{place}: {variable}"
    if not endpoint:
        reason = "AZURE_OPENAI_ENDPOINT, which names your resource, is not set beside it"
        return Found((), (Skipped("azure", place, reason),))
    return azure(variables[endpoint], variables[variable], variables, place)


def azure(endpoint: str, key: str, variables: Mapping[str, str], place: str) -> Found:
    """An Azure resource; its key travels in a header of its own."""
    root = endpoint.strip().rstrip("/").removesuffix("/v1").removesuffix("/openai")
    finding = Finding(
        name="azure",
        place=place,
        provider=Provider.CUSTOM,
        preset="azure",
        base_url=f"{root}/openai/v1",
    )
    return one(finding, key, variables)


def _remote_ollama(variables: Mapping[str, str], place: str) -> Found:
    # A local one is found by asking it (see `servers`).
    host = variables.get("OLLAMA_HOST", "").strip()
    url = host if "://" in host else f"http://{host}"
    if not host or services.is_local(url) or host.startswith(":"):
        return Found()
    if "://" not in host and ":" not in host:
        url += ":11434"
    finding = Finding(
        name="ollama", place=f"{place}: OLLAMA_HOST", provider=Provider.OLLAMA, base_url=url.rstrip("/")
    )
    return one(finding, "", variables, needs_key=False)


def name_of_address(url: str) -> str:
    """A short name for an address: "gateway" of gateway.example.com, "local-8080" of a local one."""
    host = services.host_of(url) or "custom"
    if services.is_local(url):
        try:
            port = urlsplit(url).port
        except ValueError:
            port = None
        return f"local-{port}" if port else "local"
    labels = [
        label for label in host.split(".") if label not in ("api", "www", "com", "net", "org", "io", "ai")
    ]
    return labels[0] if labels and not labels[0].isdigit() else host
